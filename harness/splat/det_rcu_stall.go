// SPDX-License-Identifier: Apache-2.0

package splat

import "regexp"

// RCUStall reads reports about grace periods that don't end.
var RCUStall = register(&Detector{
	Name: "rcu_stall",
	Doc: "An RCU grace period that is stuck (kernel/rcu/tree_stall.h, tree_exp.h, tasks.h). " +
		"Identity: the function through which the stalled CPU got where it loops, see dispatchers; of a task in a cycle of waits, that cycle (Explain).",
	Anchors: []string{"detected stall", "detected expedited stall"},
	Begins:  rcuStallRE.MatchString,
	Sequel: func(first *Report, _ string) bool {
		return first.detector.Name == "rcu_stall" && !first.stacked()
	},
	Read: readRCUStall,
})

var rcuStallRE = regexp.MustCompile(`INFO: rcu_\w+ (?:self-)?detected (?:expedited )?stall`)

func readRCUStall(r *Report, f *Finding) {
	f.Type = TypeHang
	frames := r.stalledStack()
	f.Stack = frames
	r.stalledIn(f, "INFO: rcu detected stall", frames, "rcu")
}
