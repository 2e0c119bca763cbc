// SPDX-License-Identifier: Apache-2.0

// Package sysfs reads and writes the kernel's hotplug attributes: memory
// blocks, CPUs and their lists. It is used inside the guest, by the agent and
// by the workloads. Paths are made of numbers only, never of a caller's string.
package sysfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Tree is the directory that holds "sys" and "proc": "/" in the guest, a
// directory of the test's own elsewhere.
type Tree string

// Path joins elements below the tree's root.
func (t Tree) Path(elements ...string) string {
	return filepath.Join(append([]string{string(t)}, elements...)...)
}

// Text reads a small attribute without its trailing newline.
func (t Tree) Text(elements ...string) (string, error) {
	data, err := os.ReadFile(t.Path(elements...))
	return strings.TrimRight(string(data), "\n"), err
}

// peekBytes is more than an attribute has, or a file of one process or task.
const peekBytes = 4096

// Peek is Text for who looks again and again while something else is tested: it
// opens, reads and closes. os.ReadFile has Go's poller look at the file as well,
// which takes twice as many system calls, and waits on an attribute's kernfs node.
func (t Tree) Peek(elements ...string) (string, error) {
	path := t.Path(elements...)
	fd, err := openFile(path, unix.O_RDONLY)
	if err != nil {
		return "", &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var text []byte
	for buffer := make([]byte, peekBytes); ; {
		n, err := unix.Read(fd, buffer)
		switch {
		case errors.Is(err, unix.EINTR): // a preemption by Go's runtime
		case err != nil:
			return "", &fs.PathError{Op: "read", Path: path, Err: err}
		case n == 0:
			return strings.TrimRight(string(text), "\n"), nil
		default:
			text = append(text, buffer[:n]...)
		}
	}
}

// A Block is a memory block device.
type Block struct {
	ID    uint64
	State string
	Node  int // -1 when the kernel doesn't say
}

const memoryDir = "sys/devices/system/memory"

func blockDir(id uint64) string { return memoryDir + "/memory" + strconv.FormatUint(id, 10) }

// BlockBytes is the size of a memory block, 0 without memory hotplug.
func (t Tree) BlockBytes() uint64 {
	text, err := t.Peek(memoryDir, "block_size_bytes")
	if err != nil {
		return 0
	}
	size, err := strconv.ParseUint(text, 16, 64) // drivers/base/memory.c prints %lx
	if err != nil {
		return 0
	}
	return size
}

// BlockIDs lists the memory blocks that exist, in order.
func (t Tree) BlockIDs() ([]uint64, error) {
	entries, err := os.ReadDir(t.Path(memoryDir))
	if err != nil {
		return nil, err
	}
	var ids []uint64
	for _, entry := range entries {
		digits, ok := strings.CutPrefix(entry.Name(), "memory")
		if !ok {
			continue
		}
		if id, err := strconv.ParseUint(digits, 10, 64); err == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// BlockState reads no more of a block than is needed to confirm a hotplug: it is
// on the way of every DIMM, and reading valid_zones of a block whose node is just
// being brought up is a race of its own (seen in 6.12), for workloads to look for.
// A block that is removed meanwhile is an error (ENOENT or ENODEV).
func (t Tree) BlockState(id uint64) (string, error) { return t.Peek(blockDir(id), "state") }

// BlockBound reports whether a block is bound to a device of the firmware's.
func (t Tree) BlockBound(id uint64) bool {
	_, err := os.Readlink(t.Path(blockDir(id), "firmware_node"))
	return err == nil
}

// Block reads a block's state and its node. See BlockState.
func (t Tree) Block(id uint64) (Block, error) {
	state, err := t.BlockState(id)
	if err != nil {
		return Block{}, err
	}
	return Block{ID: id, State: state, Node: t.blockNode(id)}, nil
}

// BlockZones reads the zones that a block can go to; of one that is online,
// the zone that it is in. See BlockState for why nobody else reads it.
func (t Tree) BlockZones(id uint64) (string, error) { return t.Text(blockDir(id), "valid_zones") }

// blockNode finds the link "nodeN" in a block's directory.
func (t Tree) blockNode(id uint64) int {
	links, err := filepath.Glob(t.Path(blockDir(id), "node[0-9]*"))
	if err != nil || len(links) == 0 {
		return -1
	}
	node, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(links[0]), "node"))
	if err != nil {
		return -1
	}
	return node
}

// BlocksOfNode lists the blocks of a node without reading their attributes;
// every block for a negative node.
func (t Tree) BlocksOfNode(node int) ([]uint64, error) {
	ids, err := t.BlockIDs()
	if err != nil || node < 0 {
		return ids, err
	}
	return slices.DeleteFunc(ids, func(id uint64) bool { return t.blockNode(id) != node }), nil
}

// SetBlock writes a block's attribute, "state" or "online". See Write.
func (t Tree) SetBlock(ctx context.Context, id uint64, attribute, value string) error {
	return Write(ctx, t.Path(blockDir(id), attribute), value)
}

const cpuDir = "sys/devices/system/cpu"

// CPUs reads one of the kernel's CPU lists: "possible", "present", "online".
func (t Tree) CPUs(list string) ([]int, error) {
	text, err := t.Text(cpuDir, list)
	if err != nil {
		return nil, err
	}
	return ParseList(text)
}

// HardwareID is the hardware's number of a CPU where the kernel says it
// (physical_id, arch/powerpc/kernel/sysfs.c).
func (t Tree) HardwareID(cpu int) (int, bool) {
	text, err := t.Text(cpuDir, "cpu"+strconv.Itoa(cpu), "physical_id")
	if err != nil {
		return 0, false
	}
	id, err := strconv.ParseInt(text, 0, 32)
	return int(id), err == nil
}

// SetCPU brings a CPU online or offline. See Write.
func (t Tree) SetCPU(ctx context.Context, cpu int, online bool) error {
	value := "0"
	if online {
		value = "1"
	}
	return Write(ctx, t.Path(cpuDir, "cpu"+strconv.Itoa(cpu), "online"), value)
}

// listMax bounds a list, so that nobody's "0-4000000000" fills our memory.
const listMax = 1 << 16

// ParseList expands the kernel's list format ("0-3,8").
func ParseList(text string) ([]int, error) {
	var list []int
	text = strings.TrimSpace(text)
	if text == "" {
		return list, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		low, err := strconv.Atoi(first)
		if err != nil {
			return nil, fmt.Errorf("bad list %q: %w", text, err)
		}
		high, err := strconv.Atoi(last)
		if err != nil {
			return nil, fmt.Errorf("bad list %q: %w", text, err)
		}
		if low < 0 || high < low || high >= listMax {
			return nil, fmt.Errorf("bad list %q", text)
		}
		for n := low; n <= high; n++ {
			list = append(list, n)
		}
	}
	return list, nil
}
