// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"slices"
	"strconv"
	"strings"

	"plugstorm/harness/frame"
	"plugstorm/harness/waitfor"
)

// Deadlock looks for tasks that wait for each other in what the kernel says of
// its tasks when it is asked (SysRq-d, SysRq-w), where it complains of nothing
// yet. pids are tasks that are known not to have run since before it was asked:
// what is said of them is of one moment, however long it took to print. A cycle
// counts if all of its tasks are among them and none of its waits is inferred:
// then no time will end it. The finding is what khungtaskd's report would have
// become of its first task.
func Deadlock(log []byte, pids []int) (Finding, bool) {
	graph := readWaits(log).Graph()
	parts := graph.Parts()
	for _, w := range graph.Waits {
		part := parts[w.Task]
		if part == nil || !certain(part, pids) {
			continue
		}
		first := part.Waits[part.Cycle[0]]
		f := Finding{
			Title: "INFO: task hung in " + orCorrupted(frame.Printable(hungIn(first.Stack))), Type: TypeHang, Detector: "deadlock",
			Identity: "hang: " + frame.Printable(part.Signature()), Explain: frame.Printable(part.Sentence()),
			Task: frame.Printable(first.Task), Stack: first.Stack, Waits: part, CPU: -1, Start: -1, End: -1,
		}
		f.Text = f.Explain
		return f, true
	}
	return Finding{}, false
}

// certain reports whether a part's cycle is made of waits of pids only, each
// known to be for the next one.
func certain(part *waitfor.Graph, pids []int) bool {
	for k, i := range part.Cycle {
		wait, next := part.Waits[i], part.Waits[part.Cycle[(k+1)%len(part.Cycle)]]
		if !slices.Contains(pids, pidOf(wait.Task)) || !slices.ContainsFunc(wait.By, func(b waitfor.Block) bool { return b.Task == next.Task && b.Why != waitfor.Inferred }) {
			return false
		}
	}
	return len(part.Cycle) > 0
}

// pidOf is the number in "comm/pid", -1 if there is none.
func pidOf(task string) int {
	pid, err := strconv.Atoi(task[strings.LastIndexByte(task, '/')+1:])
	if err != nil {
		return -1
	}
	return pid
}
