// SPDX-License-Identifier: Apache-2.0

package books

import (
	"path"
	"slices"

	"plugstorm/harness/agent"
)

// FirmwareLinks wants links between ACPI's devices and the kernel's both ways.
var FirmwareLinks = Invariants.Register(&Invariant{
	Name:  "firmware-links",
	Title: "a link between an ACPI device and what it describes goes one way only",
	Doc: "an ACPI device has a link to a memory block or a CPU exactly if that one has a link to it; not judged once allocations were made to fail, " +
		"for the kernel does without a link that it can't make",
	Source: "drivers/acpi/glue.c acpi_bind_one, acpi_unbind_one",
	check: func(p *picture, say complain) {
		acpi := map[string]agent.BooksDir{}
		for _, d := range p.sample.Guest.ACPI {
			acpi[path.Base(d.Path)] = d
		}
		if !p.complete() || len(acpi) == 0 {
			return
		}
		described := map[string]string{} // device: what it says describes it
		for _, d := range p.sample.Guest.Dirs {
			name := path.Base(d.Path)
			described[name] = d.Firmware
			if there, ok := acpi[d.Firmware]; ok && !slices.Contains(there.Links, name) {
				say("from a "+nameless(name), name, "%s has a link to %s, which has none back", name, d.Firmware)
			}
		}
		for firmware, d := range acpi {
			for _, name := range d.Links {
				if to, ok := described[name]; ok && to != firmware {
					say("to a "+nameless(name), name, "%s has a link to %s, which has one to %q", firmware, name, to)
				}
			}
		}
	},
})

// OFCPUs holds the device tree's CPUs against those that are present.
var OFCPUs = Invariants.Register(&Invariant{
	Name:   "of-cpus",
	Title:  "the device tree's CPUs are not the CPUs that are present",
	Doc:    "as many CPUs are present as there are threads of CPUs in the device tree: pseries makes one present when its node is attached, until it is detached",
	Source: "arch/powerpc/platforms/pseries/hotplug-cpu.c pseries_smp_notifier, dlpar_cpu_add, dlpar_cpu_remove",
	check: func(p *picture, say complain) {
		present, ok := p.list("cpu/present")
		if threads := p.sample.Guest.OFCPUs; ok && len(threads) > 0 && len(threads) != len(present) {
			say("", "", "CPUs %v are present, the device tree has those with the hardware numbers %v", present, threads)
		}
	},
})
