// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

var (
	// ACPI's devices of processors and memory (drivers/acpi/acpi_processor.c
	// processor_device_ids, drivers/acpi/acpi_memhotplug.c memory_device_ids).
	acpiRE = regexp.MustCompile(`^(LNXCPU|ACPI0007|PNP0C80):[[:xdigit:]]{1,8}$`)

	// Links of an ACPI device to what it describes (drivers/acpi/glue.c
	// acpi_physnode_link_name).
	physicalRE = regexp.MustCompile(`^physical_node\d{0,9}$`)
)

// bookACPI looks at ACPI's devices of processors and memory. Their status isn't
// asked for: that has the interpreter run, with its locks.
func (a *guestAgent) bookACPI(reply *agent.BooksReply) error {
	const bus = "bus/acpi/devices"
	entries, err := os.ReadDir(a.tree.Path("sys", bus))
	if err != nil {
		return ignoreMissing(err)
	}
	for _, e := range entries {
		if !acpiRE.MatchString(e.Name()) || len(reply.ACPI) >= booksDirsMax {
			continue
		}
		d, err := a.bookDir(path.Join(bus, e.Name()))
		if gone(err) {
			continue
		}
		if err != nil {
			return err
		}
		reply.ACPI = append(reply.ACPI, d)
	}
	return nil
}

// ignoreMissing is for what another platform doesn't have.
func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

const (
	deviceTree = "sys/firmware/devicetree/base"
	drMemory   = deviceTree + "/ibm,dynamic-reconfiguration-memory"
	dlparFile  = "sys/kernel/dlpar"

	// refreshTries is how many blocks refreshLMBs tries.
	refreshTries = 4
)

// bookLMBs reads pseries' logical memory blocks. A kernel without them, or one
// whose present view can't be had, has none in the reply.
func (a *guestAgent) bookLMBs(reply *agent.BooksReply) error {
	lmbs, err := a.lmbs()
	if err != nil || lmbs == nil {
		return err
	}
	fresh, err := a.refreshLMBs(lmbs)
	if err != nil || !fresh {
		return err
	}
	reply.LMBs, err = a.lmbs()
	return err
}

// refreshLMBs has the kernel write what it keeps of its blocks into the device
// tree, and reports whether it did: it does so after a request that went well only
// (arch/powerpc/platforms/pseries/hotplug-memory.c dlpar_memory). One to remove a
// block that the kernel doesn't have goes well and does nothing
// (dlpar_memory_remove_by_ic). Of blocks for which there is no memory, those are
// asked for that were least likely ever plugged, from the end. If the kernel
// believes that it has such a block, it says EINVAL: there is nothing to remove.
func (a *guestAgent) refreshLMBs(lmbs *agent.BooksLMBs) (bool, error) {
	blocks, err := a.tree.BlockIDs()
	if err != nil {
		return false, err
	}
	tries := 0
	for _, set := range slices.Backward(lmbs.Sets) {
		if set.Flags&(agent.LMBAssigned|agent.LMBReserved|agent.LMBNoDRC) != 0 {
			continue
		}
		for i := set.Count; i > 0 && tries < refreshTries; i-- {
			if id := (set.Start + uint64(i-1)*lmbs.Bytes) / a.blockBytes(); slices.Contains(blocks, id) {
				continue
			}
			tries++
			request := fmt.Sprintf("memory remove indexed-count 1 %#x", set.DRC+i-1)
			if sysfs.Write(context.Background(), a.tree.Path(dlparFile), request) == nil {
				return true, nil
			}
		}
	}
	return false, nil
}

// lmbs reads them from the device tree, nil where it has none in the form that
// kernels ask firmware for since 4.16 (arch/powerpc/kernel/prom_init.c OV5_DRMEM_V2).
func (a *guestAgent) lmbs() (*agent.BooksLMBs, error) {
	text, err := os.ReadFile(a.tree.Path(drMemory, "ibm,dynamic-memory-v2"))
	if err != nil {
		return nil, ignoreMissing(err)
	}
	size, err := os.ReadFile(a.tree.Path(drMemory, "ibm,lmb-size"))
	if err != nil {
		return nil, err
	}
	return parseLMBs(text, size)
}

// parseLMBs reads the two properties (arch/powerpc/mm/drmem.c __walk_drmem_v2_lmbs),
// both big-endian: how many sets there are, and the sets; a block's size in bytes.
func parseLMBs(text, size []byte) (*agent.BooksLMBs, error) {
	r := bytes.NewReader(text)
	var sets uint32
	lmbs := &agent.BooksLMBs{}
	if _, err := binary.Decode(size, binary.BigEndian, &lmbs.Bytes); err != nil {
		return nil, fmt.Errorf("ibm,lmb-size: %w", err)
	}
	err := binary.Read(r, binary.BigEndian, &sets)
	if err == nil && (sets > booksDirsMax || lmbs.Bytes == 0) {
		err = fmt.Errorf("%d sets of blocks of %d bytes", sets, lmbs.Bytes)
	}
	if err == nil {
		lmbs.Sets = make([]agent.LMBSet, sets)
		err = binary.Read(r, binary.BigEndian, lmbs.Sets)
	}
	if err != nil {
		return nil, fmt.Errorf("ibm,dynamic-memory-v2: %w", err)
	}
	return lmbs, nil
}

// bookOFCPUs reads which CPUs pseries' device tree has. What goes meanwhile isn't
// there.
func (a *guestAgent) bookOFCPUs(reply *agent.BooksReply) error {
	if _, err := os.Stat(a.tree.Path(dlparFile)); err != nil {
		return ignoreMissing(err)
	}
	cpus, err := os.ReadDir(a.tree.Path(deviceTree, "cpus"))
	if err != nil {
		return ignoreMissing(err)
	}
	for _, e := range cpus {
		text, err := os.ReadFile(a.tree.Path(deviceTree, "cpus", e.Name(), "ibm,ppc-interrupt-server#s"))
		if err != nil || len(reply.OFCPUs) >= booksDirsMax {
			continue // not a CPU, or it has gone
		}
		for ; len(text) >= 4; text = text[4:] {
			reply.OFCPUs = append(reply.OFCPUs, binary.BigEndian.Uint32(text))
		}
	}
	slices.Sort(reply.OFCPUs)
	return nil
}
