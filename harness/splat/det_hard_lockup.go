// SPDX-License-Identifier: Apache-2.0

package splat

import "regexp"

// HardLockup reads reports about CPUs that don't take interrupts.
var HardLockup = register(&Detector{
	Name: "hard_lockup",
	Doc: "A CPU that takes no interrupts: x86 \"Watchdog detected hard LOCKUP\" (kernel/watchdog.c), powerpc \"CPU 3 Hard LOCKUP\" and " +
		"\"self-detected hard LOCKUP\", before 4.18 \"Watchdog CPU:3 Hard LOCKUP\" (arch/powerpc/kernel/watchdog.c). Identity: the function through which the CPU got where it loops.",
	Anchors: []string{"hard LOCKUP", "Hard LOCKUP"},
	Begins:  matching(`(?i)watchdog CPU:\d+ (?:detected )?Hard LOCKUP|watchdog: (?:.*detected hard LOCKUP on CPUs? ?\d+|CPU \d+ (?:self-detected )?hard LOCKUP|CPU \d+ detected hard LOCKUP on other CPUs)|detected hard LOCKUP on cpu \d+`),
	Sequel: func(first *Report, _ string) bool {
		return first.detector.Name == "hard_lockup" && len(first.lines) < 8
	},
	Read: func(r *Report, f *Finding) {
		f.Type, f.Fatal = TypeHang, true
		if m := hardCPURE.FindStringSubmatch(r.Head()); m != nil {
			f.setCPU(m[1])
		}
		s := r.faultStack()
		f.Stack = s.all()
		r.stalledIn(f, "BUG: hard lockup", f.Stack)
	},
})

// The CPU that is stuck, not the one that says so.
var hardCPURE = regexp.MustCompile(`(?i)(?:LOCKUP (?:on )?(?:cpu|other CPUs|CPUs):? ?|CPU:? ?)(\d+)`)
