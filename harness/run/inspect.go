// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"plugstorm/harness/qmp"
)

// stateFile is where a guest is described that fell silent or ended by itself, in its
// directory.
const stateFile = "qemu.state"

// stateQuestions are what QEMU's human monitor is asked about such a guest: where its
// CPUs are, whether they are halted, and whether an interrupt or a timer is on its way
// to them. A machine without one of these says so.
var stateQuestions = []string{"info registers -a", "info lapic", "info pic"}

// inspect gathers what can be known of a guest that shows no life, for whoever
// has to tell the kernel's fault from QEMU's: QEMU's view of its CPUs, and then
// the kernel's, which answers the given SysRqs typed on the console if it still
// takes interrupts: stacks of all CPUs (l), timers (q), blocked tasks (w).
func (g *guest) inspect(keys string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(g.ctx), g.vm.Deadline(collectLimit))
	defer cancel()
	g.saveState(ctx)
	for _, key := range []byte(keys) {
		_ = g.typeSysRq(ctx, key) // a guest that hears nothing tells nothing
	}
	g.waitQuiet(ctx)
}

// saveState writes down QEMU's view of the guest.
func (g *guest) saveState(ctx context.Context) {
	var state []byte
	for _, question := range stateQuestions {
		answer, err := qmp.Human(ctx, g.vm.Monitor, question)
		if err != nil {
			answer = err.Error()
		}
		state = fmt.Appendf(state, "==== %s\n%s\n", question, answer)
	}
	if err := os.WriteFile(filepath.Join(g.vm.Spec.Dir, stateFile), state, 0o644); err != nil {
		g.blame(err)
	}
}

// autopsy says where the CPUs of a guest were that has ended by itself, which is all
// there is to see of a triple fault: no console says a word of it. QEMU waits for that
// (vm.Spec.HoldEnd) and is ended then.
func (g *guest) autopsy() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(g.ctx), qmpLimit)
	defer cancel()
	g.saveState(ctx)
	g.dissected.Store(true)
	_ = qmp.Quit(ctx, g.vm.Monitor) // a QEMU that doesn't is ended with the guest
}
