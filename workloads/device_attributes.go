// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// DeviceAttributes uses what hotplug removes.
var DeviceAttributes = agent.Workloads.Register(&agent.Workload{
	Name: "device-attributes",
	Doc: "reads every attribute of what comes and goes, memory blocks, nodes, CPUs, the firmware's devices behind them, again and again through one open file, " +
		"mostly of the newest, and writes to those that act or take back what they have: kn->active of whatever is being removed, and each lock that a show or a store takes",
	Touches: []string{
		"drivers/base/memory.c:valid_zones_show", "drivers/base/memory.c:state_show", "drivers/base/memory.c:removable_show", "drivers/base/node.c",
		"drivers/base/cpu.c", "drivers/base/topology.c", "drivers/base/cacheinfo.c", "arch/powerpc/kernel/cacheinfo.c", "arch/powerpc/kernel/sysfs.c", "drivers/base/core.c:online_show", "drivers/acpi/device_sysfs.c",
		"drivers/firmware/memmap.c", "drivers/of/kobj.c", "mm/compaction.c:compact_store", "mm/hugetlb.c:nr_hugepages_store",
		"mm/memory-tiers.c:nodelist_show", "kernel/cpu.c", "fs/kernfs/", "fs/sysfs/", "drivers/base/power/sysfs.c",
	},
	Run: deviceAttributes{tree: guest}.run,
})

type deviceAttributes struct{ tree sysfs.Tree }

// hotDevices are directories of devices that hotplug adds and removes. Blocks
// are taken from below their nodes: one that has none yet kills its reader
// (docs/known-issues.md, valid-zones-without-node).
var hotDevices = []string{
	"sys/devices/system/node/node[0-9]*/memory[0-9]*",
	"sys/devices/system/node/node[0-9]*/memory[0-9]*", // they come and go the most
	"sys/devices/system/node/node[0-9]*",
	"sys/devices/system/cpu/cpu[0-9]*",
	"sys/bus/acpi/devices/PNP0C80:*",
	"sys/bus/acpi/devices/ACPI0007:*",
	"sys/firmware/memmap/[0-9]*",
	"sys/firmware/devicetree/base/cpus/*@*",
	"sys/devices/virtual/memory_tiering/memory_tier[0-9]*",
}

// attributeWrites are attributes that are written to as well, by name: with a
// value that does something and changes nothing, or with what was read, "".
var attributeWrites = map[string]string{
	"compact":                "1", // drivers/base/node.c, mm/compaction.c compact_store
	"nr_hugepages":           "",  // mm/hugetlb.c nr_hugepages_store
	"nr_hugepages_mempolicy": "",
	"control":                "", // drivers/base/power/sysfs.c control_store
}

// actingAttributes are those of attributeWrites that go with a node.
var actingAttributes = []string{
	"sys/devices/system/node/node[0-9]*/compact",
	"sys/devices/system/node/node[0-9]*/hugepages/*/nr_hugepages",
}

const (
	// actOneIn is how many rounds there are to one that writes to one of them.
	actOneIn = 10
	// attributeReads is how often an attribute is read before the next one: some
	// milliseconds, in which a removal finds it in use.
	attributeReads = 32
	// attributeMax bounds what is read of a file.
	attributeMax = 16 << 10
)

// attributeRefusals are answers of devices that are leaving, or lack what an
// attribute is about.
var attributeRefusals = append([]unix.Errno{unix.ENXIO, unix.ENODATA, unix.ENOSYS, unix.EBADF}, knobRefusals...)

func (d deviceAttributes) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	l := loop{params: p, meter: m, threads: 3, refuses: attributeRefusals}
	return l.run(ctx, func(int) (round, error) {
		buffer := make([]byte, attributeMax)
		return func(ctx context.Context, rng *rand.Rand) error { return d.round(ctx, rng, buffer) }, nil
	})
}

// round uses one attribute of one device, now and then one of those that act:
// among all the others they would hardly have a turn.
func (d deviceAttributes) round(ctx context.Context, rng *rand.Rand, buffer []byte) error {
	if rng.IntN(actOneIn) == 0 {
		file, err := pick(rng, d.newest(glob(d.tree.Path(actingAttributes[rng.IntN(len(actingAttributes))])), rng))
		if err != nil {
			return err
		}
		return rewrite(ctx, file, attributeWrites[filepath.Base(file)])
	}
	device, err := pick(rng, d.newest(glob(d.tree.Path(hotDevices[rng.IntN(len(hotDevices))])), rng))
	if err != nil {
		return err
	}
	file, err := randomFile(rng, device, func(string, os.FileMode) bool { return true })
	if err != nil {
		return err
	}
	if value, ok := attributeWrites[filepath.Base(file)]; ok && rng.IntN(2) == 0 {
		return rewrite(ctx, file, value)
	}
	return reread(ctx, file, buffer)
}

// glob lists the files that there are now.
func glob(pattern string) []string {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		panic(err) // a bad pattern is a bug of ours, for the tests to find
	}
	return paths
}

// newest leaves, three times of four, the last few of what there is: with their
// numbers in order, what was plugged last, and will leave first.
func (d deviceAttributes) newest(devices []string, rng *rand.Rand) []string {
	const few = 4
	if len(devices) <= few || rng.IntN(4) == 0 {
		return devices
	}
	return devices[len(devices)-few:]
}

// reread reads a file many times. What can't be read is no refusal of the
// kernel's.
func reread(ctx context.Context, path string, buffer []byte) error {
	if mode(path)&0o444 == 0 {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for range attributeReads {
		if ctx.Err() != nil {
			return nil
		}
		if _, err := f.ReadAt(buffer, 0); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	return nil
}

// rewrite writes a value, or what is there.
func rewrite(ctx context.Context, path, value string) error {
	if value == "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		value = strings.TrimSpace(string(text))
	}
	return sysfs.Write(ctx, path, value)
}
