// SPDX-License-Identifier: Apache-2.0

package books

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"

	"plugstorm/harness/agent"
)

// LostLinks finds links that lead nowhere.
var LostLinks = Invariants.Register(&Invariant{
	Name:   "lost-links",
	Title:  "a link in sysfs leads nowhere",
	Doc:    "each link in the directory of a CPU, a memory block or a node, of their ACPI devices, and of their buses, leads to a device: who removes the device removes its links before",
	Source: "drivers/base/node.c unregister_cpu_under_node, unregister_memory_block_under_nodes; drivers/base/bus.c bus_remove_device; drivers/acpi/glue.c acpi_unbind_one",
	check: func(p *picture, say complain) {
		for _, d := range slices.Concat(p.sample.Guest.Dirs, p.sample.Guest.ACPI) {
			for _, name := range d.Lost {
				say(nameless(d.Path)+"/"+nameless(name), path.Join(d.Path, name), "/sys/%s/%s", d.Path, name)
			}
		}
	},
})

var digitsRE = regexp.MustCompile(`\d+`)

// nameless is the name of a file without numbers.
func nameless(name string) string { return digitsRE.ReplaceAllString(path.Base(name), "N") }

// NodeLinks wants links between nodes and what is on them both ways.
var NodeLinks = Invariants.Register(&Invariant{
	Name:  "node-links",
	Title: "a link between a node and what is on it goes one way only",
	Doc: "a node has a link to a memory block or a CPU exactly if that one has a link to the node, and each memory block is on a node; not judged once " +
		"allocations were made to fail, for the kernel does without a link that it can't make",
	Source: "drivers/base/node.c register_cpu_under_node, do_register_memory_block_under_node",
	check: func(p *picture, say complain) {
		if !p.complete() {
			return
		}
		for kind, devices := range map[string]map[int]agent.BooksDir{"memory": p.blocks, "cpu": p.cpus} {
			for number, d := range devices {
				nodes := links(d, "node")
				for _, node := range nodes {
					if n, ok := p.nodeDir[node]; ok && !slices.Contains(links(n, kind), number) {
						say("from a "+kind, strconv.Itoa(number), "%s%d has a link to node%d, which has none back", kind, number, node)
					}
				}
				if kind == "memory" && len(nodes) == 0 {
					say("no node", strconv.Itoa(number), "memory%d has no link to a node", number)
				}
			}
			for node, n := range p.nodeDir {
				for _, number := range links(n, kind) {
					if d, ok := devices[number]; ok && !slices.Contains(links(d, "node"), node) {
						say("to a "+kind, strconv.Itoa(number), "node%d has a link to %s%d, which has none back", node, kind, number)
					}
				}
			}
		}
	},
})

// BusDevices holds what is on a bus against the devices.
var BusDevices = Invariants.Register(&Invariant{
	Name:   "bus-devices",
	Title:  "what is on a bus in sysfs are not the devices that there are",
	Doc:    "the buses cpu, memory and node list exactly the devices below /sys/devices/system",
	Source: "drivers/base/bus.c bus_add_device, bus_remove_device",
	check: func(p *picture, say complain) {
		for kind, devices := range map[string]map[int]agent.BooksDir{"memory": p.blocks, "cpu": p.cpus, "node": p.nodeDir} {
			bus, ok := p.buses[kind]
			if !ok {
				continue
			}
			listed := links(bus, kind)
			for _, number := range missing(listed, slices.Collect(maps.Keys(devices))) {
				say(kind+" left", strconv.Itoa(number), "%s%d is on the bus and no device", kind, number)
			}
			for _, number := range missing(numbers(devices), listed) {
				say(kind+" lost", strconv.Itoa(number), "%s%d is a device and not on the bus", kind, number)
			}
		}
	},
})
