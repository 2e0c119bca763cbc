// SPDX-License-Identifier: Apache-2.0

package suites_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
)

// A hunt is a plant that a seed's scenario must find on a machine.
type hunt struct {
	suite, machine, plant string
	finding               types.GomegaMatcher
	everyTime             bool // part of `make vm`; one a seed, and a quick one
}

// Findings of the plants, each by what it models and not by its every frame.
func lockdepOf(locks ...any) types.GomegaMatcher {
	return And(HaveField("Type", "LOCKDEP"), HaveField("Locks", ContainElements(locks...)))
}

func in(functions ...any) types.GomegaMatcher {
	return HaveField("Stack", ContainElements(functions...))
}

func titled(text string) types.GomegaMatcher { return HaveField("Title", ContainSubstring(text)) }

var (
	needsCPUs   = titled("lockdep_assert_cpus_held")
	oopsInSlabs = And(titled("BUG: "), Or(titled("inc_slabs_node"), titled("__slab_free"), titled("deactivate_slab"), titled("put_partials")))
)

var hunts = []hunt{
	{"seed0", "x86_64", "s0a", needsCPUs, false},
	{"seed0", "pseries", "s0a", And(needsCPUs, in("pseries_lpar_resize_hpt")), true},
	{"seed0", "pseries", "s0b", And(needsCPUs, in("pseries_lpar_resize_hpt")), false},
	{"seed0", "x86_64", "s0c", Or(lockdepOf("cpu_hotplug_lock", "pcp_batch_high_lock"), needsCPUs), false},
	{"seed0", "pseries", "s0c", Or(lockdepOf("cpu_hotplug_lock", "pcp_batch_high_lock"), needsCPUs), false},
	{"seed0", "pseries", "c02", And(lockdepOf("cpu_hotplug_lock"), in("pseries_lpar_resize_hpt")), false},
	{"seed0", "x86_64", "c29", And(lockdepOf("cpu_hotplug_lock"), in("build_all_zonelists")), false},
	{"seed0", "pseries", "c29", And(lockdepOf("cpu_hotplug_lock"), in("build_all_zonelists")), false},
	{"seed1", "x86_64", "s1a", And(lockdepOf("cpu_hotplug_lock"), in("drain_all_pages")), true},
	{"seed1", "pseries", "s1a", And(lockdepOf("cpu_hotplug_lock"), in("drain_all_pages")), false},
	{"seed1", "x86_64", "s1b", And(lockdepOf("cpu_hotplug_lock"), in("__drain_all_pages")), false},
	{"seed1", "pseries", "s1b", And(lockdepOf("cpu_hotplug_lock"), in("__drain_all_pages")), false},
	{"seed4", "x86_64", "s4a", oopsInSlabs, true},
	{"seed4", "pseries", "s4a", oopsInSlabs, false},
	{"seed4", "x86_64", "s4b", lockdepOf("kn->active"), false},
	{"seed4", "pseries", "s4b", lockdepOf("kn->active"), false},
	{"seed4", "x86_64", "s4c", lockdepOf("kn->active"), false},
	{"seed4", "pseries", "s4c", lockdepOf("kn->active"), false},
	{"seed4", "x86_64", "s4d", lockdepOf("cpu_hotplug_lock", "slab_mutex"), false},
	{"seed4", "pseries", "s4d", lockdepOf("cpu_hotplug_lock", "slab_mutex"), false},
	{"seed4", "x86_64", "c04", lockdepOf("memory_tier_lock"), false},
	{"seed4", "pseries", "c04", lockdepOf("memory_tier_lock"), false},
}

// Each seed's scenario finds its plants. `ginkgo --label-filter=seed1 ./suites`
// runs one seed alone.
var _ = Describe("a seed's scenario", func() {
	for _, h := range hunts {
		labels := Label(h.suite, h.machine, h.plant, "plant")
		if !h.everyTime {
			labels = append(labels, "on-demand")
		}
		It(h.suite+" finds "+h.plant+" on "+h.machine, labels, func() {
			_, code, r := tryRun("--machine", h.machine, "--suite", h.suite, "--plant", h.plant, "--seed", "1", "--first", "--duration", "120s")
			Expect(code).To(Equal(1))
			Expect(r.unknown()).To(ContainElement(h.finding))
		})
	}

	// What c10 does to a reader of /proc/kpageflags looks exactly like a race of the
	// unmodified kernel, known issue kpageflags-offline-memmap, and is counted as it.
	for _, machine := range []string{"x86_64", "pseries"} {
		It("seed4 meets c10 on "+machine, Label("seed4", machine, "c10", "plant", "on-demand"), func() {
			_, _, r := tryRun("--machine", machine, "--suite", "seed4", "--plant", "c10", "--seed", "1", "--duration", "120s")
			Expect(r.Machines[0].Findings).To(ContainElement(And(titled("BUG: "), in("stable_page_flags"))))
		})
	}

	It("seed0 is silent about s0b on x86_64", Label("seed0", "x86_64", "s0b", "plant", "on-demand"), func() {
		_, code, r := tryRun("--machine", "x86_64", "--suite", "seed0", "--plant", "s0b", "--seed", "1", "--duration", "120s")
		Expect(r.unknown()).To(BeEmpty())
		Expect(code).To(Equal(0))
	})
})
