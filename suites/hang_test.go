// SPDX-License-Identifier: Apache-2.0

package suites_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"

	"plugstorm/guests"
	"plugstorm/workloads"
)

// A party is one task of a deadlock and what it waits for: the next party of
// the cycle is who could give it.
type party struct{ Task, Kind, Name, Mode string }

// trueCycles says who waits for what in each deadlock of plugstorm_deadlock.c,
// from the party whose name sorts first.
var trueCycles = map[string][]party{
	"abba": {
		{"deadlock/first", "mutex", "deadlock_b", ""},
		{"deadlock/second", "mutex", "deadlock_a", ""},
	},
	"kthread-stop": {
		{"deadlock/holder", "kthread-stop", "", ""},
		{"deadlock/taker", "mutex", "deadlock_a", ""},
	},
	"completion": {
		{"deadlock/holder", "completion", "", ""},
		{"deadlock/taker", "mutex", "deadlock_a", ""},
	},
	"flush-work": {
		{"deadlock/holder", "work", "", ""},
		{"kworker", "mutex", "deadlock_a", ""},
	},
	"rwsem-queue": {
		{"deadlock/holder", "completion", "", ""},
		{"deadlock/reader", "percpu-rwsem", "deadlock_sem", "read"},
		{"deadlock/writer", "percpu-rwsem", "deadlock_sem", "write"},
	},
	"kernfs-drain": {
		{"deadlock/holder", "kernfs-drain", "", ""},
		{"exe", "mutex", "deadlock_a", ""},
	},
	"rwsem-drain": {
		{"deadlock/holder", "kernfs-drain", "", ""},
		{"exe", "rwsem", "deadlock_rw", "read"},
		{"deadlock/writer", "rwsem", "deadlock_rw", "write"},
	},
}

// truth is what may be said of a kind. A console doesn't tell everything:
//   - Nothing names who would complete a completion. In rwsem-queue the writer
//     would do as well as the reader, so no cycle is proven, and none is better
//     than a wrong one.
//   - Lists of held locks give no mode. If the holder of rwsem-drain had its
//     rwsem to write, the reader would wait for it without the writer's help.
func truth(kind string) types.GomegaMatcher {
	cycle := trueCycles[kind]
	switch kind {
	case "rwsem-queue":
		return Or(BeEmpty(), Equal(cycle))
	case "rwsem-drain":
		return Or(Equal(cycle[:2]), Equal(cycle))
	}
	return Equal(cycle)
}

// Deadlocks that we make ourselves are found, and explained as they are.
var _ = Describe("a deadlock of our own", Label("hang"), func() {
	for _, kind := range workloads.Deadlocks {
		for _, machine := range guests.Default() {
			labels := Label(machine.Name, kind)
			if kind != "kthread-stop" || machine != guests.X8664 {
				labels = append(labels, "on-demand")
			}
			It("is explained: "+kind+" on "+machine.Name, labels, func() {
				dir, code, r := tryRun("--machine", machine.Name, "--suite", "hang-"+kind, "--seed", "1")
				Expect(code).To(Equal(1))
				Expect(r.faults()).To(BeEmpty())
				Expect(r.unknown()).To(ContainElement(And(
					HaveField("Title", HavePrefix("INFO: task hung in ")), HaveField("Type", "HANG"))))
				consoles, err := filepath.Glob(filepath.Join(dir, machine.Name, "guest-*", "console.log"))
				Expect(err).NotTo(HaveOccurred())
				Expect(consoles).NotTo(BeEmpty())
				Expect(cycles(consoles[len(consoles)-1])).To(HaveEach(truth(kind)), "in the last guest, which ended the run")
			})
		}
	}

	It("is lockdep's if lockdep may see it", Label("x86_64", "validated", "on-demand"), func() {
		_, code, r := tryRun("--machine", "x86_64", "--suite", "hang-validated", "--seed", "1")
		Expect(code).To(Equal(1))
		Expect(r.unknown()).To(ConsistOf(And(HaveField("Type", "LOCKDEP"), HaveField("Locks", ConsistOf("deadlock_a", "deadlock_b")))))
	})
})

// cycles are the wait-for cycles that triage sees in a console log, one for
// each hang.
func cycles(log string) [][]party {
	GinkgoHelper()
	out, err := exec.Command(plugstormPath, "triage", "--json", log).Output()
	Expect(err).To(HaveField("ExitCode()", 1))
	var triaged struct {
		Findings []struct {
			Type, Explain string
			Waits         struct {
				Waits []struct {
					Task   string
					Object struct{ Kind, Name, Mode string }
				}
				Cycle []int
			}
		}
	}
	Expect(json.NewDecoder(bytes.NewReader(out)).Decode(&triaged)).To(Succeed(), "%s", out)
	var all [][]party
	for _, f := range triaged.Findings {
		if f.Type != "HANG" {
			continue
		}
		AddReportEntry("explained", f.Explain)
		var cycle []party
		for _, i := range f.Waits.Cycle {
			w := f.Waits.Waits[i]
			cycle = append(cycle, party{taskRE.ReplaceAllString(w.Task, "$1"), w.Object.Kind, w.Object.Name, w.Object.Mode})
		}
		all = append(all, canonical(cycle))
	}
	return all
}

// taskRE takes the number from a task, and from a kworker which one it is.
var taskRE = regexp.MustCompile(`^(kworker|.*)(?:/[^/]*){1,2}$`)

// canonical forgets what the truth doesn't settle: where the cycle begins, the
// subclass by which the module fools lockdep, and names that locks don't have.
func canonical(cycle []party) []party {
	for i, p := range cycle {
		cycle[i].Name = strings.TrimSuffix(p.Name, "/1")
		if p.Kind != "mutex" && !strings.HasSuffix(p.Kind, "rwsem") {
			cycle[i].Name = ""
		}
	}
	if len(cycle) == 0 {
		return cycle
	}
	first := slices.MinFunc(cycle, func(a, b party) int { return strings.Compare(a.Task, b.Task) })
	at := slices.Index(cycle, first)
	return slices.Concat(cycle[at:], cycle[:at])
}
