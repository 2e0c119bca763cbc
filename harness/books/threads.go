// SPDX-License-Identifier: Apache-2.0

package books

import (
	"fmt"
	"slices"
	"strings"
)

// NodeThreads holds the kernel's threads of nodes against the nodes with memory.
var NodeThreads = Invariants.Register(&Invariant{
	Name:  "node-threads",
	Title: "the threads of nodes don't fit the nodes with memory",
	Doc: "each node with memory has one kswapd and one kcompactd, others have none; that one is missing is not judged once allocations were made to fail, " +
		"for the kernel does without a thread that it can't make",
	Source: "mm/memory_hotplug.c online_pages, offline_pages; mm/vmscan.c kswapd_run, kswapd_stop; mm/compaction.c kcompactd_run, kcompactd_stop",
	check: func(p *picture, say complain) {
		memory, ok := p.list("node/has_memory")
		if !ok {
			return
		}
		for _, name := range []string{"kswapd", "kcompactd"} {
			threads := p.threads(name)
			for node, n := range threads {
				switch {
				case !slices.Contains(memory, node):
					say(name+" left", fmt.Sprint(node), "%s%d runs, and nodes %v have memory", name, node, memory)
				case n > 1:
					say(name+" twice", fmt.Sprint(node), "there are %d threads %s%d", n, name, node)
				}
			}
			if lost := missing(memory, numbers(threads)); len(lost) > 0 && len(threads) > 0 && p.complete() {
				say(name+" lost", "", "nodes %v have memory and no %s", lost, name)
			}
		}
	},
})

// CPUThreads wants the kernel's threads of each CPU.
var CPUThreads = Invariants.Register(&Invariant{
	Name:   "cpu-threads",
	Title:  "the threads of a CPU are not there once each",
	Doc:    "each CPU that is online has one each of cpuhp, ksoftirqd and migration, or it doesn't come online; no CPU has two: they are kept, parked, when it goes",
	Source: "kernel/smpboot.c smpboot_create_threads, __smpboot_create_thread",
	check: func(p *picture, say complain) {
		online, _ := p.list("cpu/online")
		for _, name := range []string{"cpuhp/", "ksoftirqd/", "migration/"} {
			threads := p.threads(name)
			if lost := missing(online, numbers(threads)); len(lost) > 0 && len(threads) > 0 {
				say(name+" lost", "", "CPUs %v are online and have no thread %s", lost, name)
			}
			for cpu, n := range threads {
				if n > 1 {
					say(name+" twice", fmt.Sprint(cpu), "there are %d threads %s%d", n, name, cpu)
				}
			}
		}
	},
})

// threads counts the kernel threads whose names begin so and end in a number.
func (p *picture) threads(prefix string) map[int]int {
	all := map[int]int{}
	for name, n := range p.sample.Guest.Threads {
		digits, ok := strings.CutPrefix(name, prefix)
		number, err := parseList(digits)
		if ok && err == nil && len(number) == 1 {
			all[number[0]] += n
		}
	}
	return all
}
