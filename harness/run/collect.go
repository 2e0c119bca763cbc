// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"errors"
	"time"

	"plugstorm/harness/agent"
)

const (
	stopLimit    = 10 * time.Second // for a workload to clean up at the end
	collectLimit = 20 * time.Second // for everything that is collected at the end; stretched
	sysrqLimit   = 3 * time.Second  // for the agent to trigger a SysRq; stretched
	quietAfter   = 500 * time.Millisecond
)

// collect gathers what the guest can still tell before it goes: after a
// complaint the locks held (SysRq-d) and the blocked tasks (SysRq-w).
func (g *guest) collect(why error) {
	if !errors.Is(why, errTimeUp) && !errors.Is(why, errRetired) {
		return // it is lost, or nobody waits for it any more
	}
	limit := g.vm.Deadline(collectLimit)
	if g.scenario.Finale != nil {
		limit += g.vm.Deadline(finaleLimit) + stopLimit
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(g.ctx), limit)
	defer cancel()
	answers := true
	switch {
	case errors.Is(why, errTimeUp):
		if _, err := g.askQEMU(ctx); errors.Is(err, errLost) {
			g.blame(err) // it was lost before the time was up
			return
		}
		g.recordZones(ctx, false)
		if g.comesToRest(ctx) {
			g.recordZones(ctx, true)
			g.recordBooks(ctx)
		}
	case g.deadlock.Load():
		g.makeSpeak(ctx)
	default:
		g.letSpeak(ctx)
		answers = g.askWaits(ctx)
	}
	if errors.Is(why, errBlind) {
		// A report of lockdep's changes nothing else in the kernel, and there are
		// kernels whose every guest ends with one.
		if g.comesToRest(ctx) {
			g.recordBooks(ctx)
		}
	}
	// A guest in which tasks are stuck has used its time up over them.
	last, cancelLast := context.WithTimeout(context.WithoutCancel(g.ctx), g.vm.Deadline(collectLimit))
	defer cancelLast()
	if !answers {
		cancelLast() // an agent that doesn't answer isn't asked question after question
	}
	g.readWaits(last)
	g.readRules(last)
	g.letSpeak(context.WithoutCancel(g.ctx)) // not for ever: there are kernels and workloads that never fall silent
	g.live.settle(0)
}

// comesToRest stops the workloads of a guest whose storm is over, does its
// finale, and reports whether no task is stuck then.
func (g *guest) comesToRest(ctx context.Context) bool {
	g.stopWorkloads(ctx)
	if g.stuck() {
		return false
	}
	if g.scenario.Finale == nil {
		return true
	}
	g.finale()
	g.stopWorkloads(ctx)
	return !g.stuck()
}

// letSpeak lets the kernel come to the end of what it is saying, for a while:
// khungtaskd lists all locks after its complaints, and a SysRq would speak into
// that list.
func (g *guest) letSpeak(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, g.vm.Deadline(sysrqLimit))
	defer cancel()
	g.waitQuiet(ctx)
}

// askWaits asks the kernel who holds what, and who is blocked: for a report on its
// console, through the agent or, when that doesn't answer, by typing on the console,
// for which the kernel needs no user space. It reports whether the agent answers.
// A kernel that has panicked hears nothing, and is asked once.
func (g *guest) askWaits(ctx context.Context) (answers bool) {
	answers = true
	for _, key := range []byte("dw") {
		answers = answers && g.triggerSysRq(ctx, key) == nil
		if !answers && g.typeSysRq(ctx, key) != nil {
			break
		}
	}
	return answers
}

func (g *guest) triggerSysRq(ctx context.Context, key byte) error {
	ctx, cancel := context.WithTimeout(ctx, g.vm.Deadline(sysrqLimit))
	defer cancel()
	return g.vm.Agent.Call(ctx, agent.MethodWriteFile, agent.FileParams{Path: "/proc/sysrq-trigger", Data: string(key)}, nil)
}

func (g *guest) typeSysRq(ctx context.Context, key byte) error {
	ctx, cancel := context.WithTimeout(ctx, g.vm.Deadline(sysrqLimit))
	defer cancel()
	return g.vm.TypeSysRq(ctx, key)
}

// waitQuiet waits until the console has had nothing to say for a moment.
func (g *guest) waitQuiet(ctx context.Context) {
	ticker := time.NewTicker(quietAfter / 5)
	defer ticker.Stop()
	for g.live.quietFor() < g.vm.Deadline(quietAfter) {
		select {
		case <-ticker.C:
		case <-g.vm.Done():
			return
		case <-ctx.Done():
			return
		}
	}
}
