// SPDX-License-Identifier: Apache-2.0

package books

import "slices"

// CPUMasks holds the masks of CPUs against each other.
var CPUMasks = Invariants.Register(&Invariant{
	Name:   "cpu-masks",
	Title:  "a CPU is in a mask and not in the one that holds it",
	Doc:    "CPUs that are online are present, those that are present are possible",
	Source: "kernel/cpu.c set_cpu_online, arch/x86/kernel/acpi/boot.c acpi_unmap_cpu, arch/powerpc/platforms/pseries/hotplug-cpu.c pseries_remove_processor",
	check: func(p *picture, say complain) {
		for _, pair := range [][2]string{{"online", "present"}, {"present", "possible"}} {
			inner, ok1 := p.list("cpu/" + pair[0])
			outer, ok2 := p.list("cpu/" + pair[1])
			if lost := missing(inner, outer); ok1 && ok2 && len(lost) > 0 {
				say(pair[0], "", "CPUs %v are %s and not %s", lost, pair[0], pair[1])
			}
		}
	},
})

// CPUsPlugged finds CPUs that are gone.
var CPUsPlugged = Invariants.Register(&Invariant{
	Name:   "cpus-plugged",
	Title:  "the kernel has a CPU present that is gone",
	Doc:    "no more CPUs are present than QEMU has: the guest lets a vCPU go after it has removed the CPU",
	Source: "drivers/acpi/acpi_processor.c acpi_processor_post_eject, arch/powerpc/platforms/pseries/hotplug-cpu.c dlpar_cpu_remove",
	check: func(p *picture, say complain) {
		present, ok := p.list("cpu/present")
		if q := p.sample.QEMU; ok && q != nil && q.VCPUs > 0 && len(present) > q.VCPUs {
			say("", "", "CPUs %v are present, and %d are plugged", present, q.VCPUs)
		}
	},
})

// CPUDevices holds the devices against the masks.
var CPUDevices = Invariants.Register(&Invariant{
	Name:  "cpu-devices",
	Title: "the devices of CPUs don't fit the CPUs",
	Doc: "each CPU that is present has a device; others have none, or all that are possible have one: x86 registers a CPU when it comes, " +
		"pseries all of them at boot",
	Source: "drivers/base/cpu.c cpu_dev_register_generic, drivers/acpi/acpi_processor.c acpi_processor_hotadd_init, arch/powerpc/kernel/sysfs.c topology_init",
	check: func(p *picture, say complain) {
		present, ok1 := p.list("cpu/present")
		possible, ok2 := p.list("cpu/possible")
		if !ok1 || !ok2 {
			return
		}
		devices := numbers(p.cpus)
		if lost := missing(present, devices); len(lost) > 0 {
			say("none", "", "CPUs %v are present and have no device", lost)
		}
		if left := missing(devices, present); len(left) > 0 && !slices.Equal(devices, possible) {
			say("left", "", "CPUs %v have a device and are not present", left)
		}
	},
})

// CPULists holds what lists CPUs one by one against the mask.
var CPULists = Invariants.Register(&Invariant{
	Name:   "cpu-lists",
	Title:  "a file lists other CPUs than are online",
	Doc:    "/proc/stat and /proc/cpuinfo have the CPUs that are online",
	Source: "fs/proc/stat.c show_stat, arch/x86/kernel/cpu/proc.c c_start, arch/powerpc/kernel/setup-common.c show_cpuinfo",
	check: func(p *picture, say complain) {
		online, ok := p.list("cpu/online")
		for file, cpus := range map[string][]int{"/proc/stat": p.sample.Guest.CPUStat, "/proc/cpuinfo": p.sample.Guest.CPUInfo} {
			cpus = slices.Sorted(slices.Values(cpus))
			if ok && len(cpus) > 0 && !slices.Equal(cpus, online) {
				say(file, "", "CPUs %v are online, %s has %v", online, file, cpus)
			}
		}
	},
})

// CPUTopology wants the topology of CPUs that are online.
var CPUTopology = Invariants.Register(&Invariant{
	Name:   "cpu-topology",
	Title:  "a CPU is online and its device has no topology",
	Doc:    "the device of a CPU has its topology from an early step of coming online on, or the CPU doesn't come online",
	Source: "drivers/base/topology.c topology_sysfs_init",
	check: func(p *picture, say complain) {
		online, _ := p.list("cpu/online")
		var lost []int
		for _, cpu := range online {
			if d, ok := p.cpus[cpu]; ok && !slices.Contains(d.Groups, "topology") {
				lost = append(lost, cpu)
			}
		}
		if len(lost) > 0 {
			say("", "", "CPUs %v", lost)
		}
	},
})
