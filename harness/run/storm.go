// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/blame"
	"plugstorm/harness/calls"
	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/qmp"
	"plugstorm/harness/schedule"
	"plugstorm/harness/vm"
)

// storm runs all lanes until the guest's end is called. It returns why.
func (g *guest) storm() error {
	length, over := g.left(), errTimeUp
	if g.slice > 0 && g.slice < length {
		length, over = g.slice, errTurnUp
	}
	timer := time.AfterFunc(length, func() { g.end(over) })
	defer timer.Stop()
	g.side.Go(g.watchPool)
	var lanes sync.WaitGroup
	g.side.Go(g.watchHealth)
	g.side.Go(func() { g.watchDeadlock(g.ctx) })
	g.side.Go(g.watchWaits)
	g.startWorkloads(g.ctx, &lanes, g.scenario.Workloads)
	ours := schedule.LanesOf(g.lanes, g.cfg.Scenario, g.scenario)
	meets := newFloor(ours, &g.usual)
	for _, lane := range ours {
		lanes.Go(func() { g.runLane(lane, meets) })
	}
	<-g.ctx.Done()
	lanes.Wait()
	why := context.Cause(g.ctx)
	g.progress("collecting")
	g.collect(why)
	return why
}

// startWorkloads has workloads started, side by side with one another and with
// the lanes.
func (g *guest) startWorkloads(ctx context.Context, starts *sync.WaitGroup, all []op.WorkloadStart) {
	for _, w := range all {
		start := w
		start.Params.Seed = g.cfg.Case.Seed
		starts.Go(func() {
			g.stepIn(ctx, schedule.Step{Lane: "workloads", Op: op.Spec{Kind: op.WorkloadStartOp, Op: &start}}, true)
		})
	}
}

// runLane sets the lane's devices up and then does its steps one by one.
func (g *guest) runLane(lane *schedule.Sequence, meets *floor) {
	defer meets.leave(lane.Lane(), true)
	tired, breath := worn{}, breath(0)
	for _, spec := range lane.Setup() {
		if g.ctx.Err() != nil {
			return
		}
		g.step(schedule.Step{Lane: lane.Lane(), Op: spec}, true)
	}
	for g.ctx.Err() == nil {
		step, ok := lane.Next()
		if !ok || !op.Pause(g.ctx, step.Gap) {
			return
		}
		if step.Meet, ok = meets.enter(g.ctx, step, lane.Callers(), g.vm.Deadline); !ok {
			return
		}
		lane.Begin()
		outcome := g.step(step, false)
		meets.leave(lane.Lane(), false)
		if why := tired.note(lane.Lane(), step.Op.Kind.Name, outcome, time.Now(), g.vm.Deadline(wornAfter)); why != nil {
			g.end(why)
		}
		op.Pause(g.ctx, breath.next(outcome))
	}
}

// step does one step of the storm.
func (g *guest) step(step schedule.Step, setup bool) op.Outcome { return g.stepIn(g.ctx, step, setup) }

// stepIn does one step, records how it ended, and returns that. Its own deadline,
// or ctx, may cut it off.
func (g *guest) stepIn(ctx context.Context, step schedule.Step, setup bool) op.Outcome {
	seq := int(g.seq.Add(1))
	g.noteWorkload(step)
	g.history.Add(history.Event{Type: history.StepBegin, Guest: g.number, Seq: seq, Step: &step, Setup: setup})
	ctx, cancel := context.WithTimeout(ctx, g.vm.Deadline(step.Op.Kind.Deadline))
	defer cancel()
	began := time.Now()
	err := step.Op.Op.Inject(ctx, g.vm)
	if err == nil && !step.Leaves() {
		err = step.Op.Op.Confirm(ctx, g.vm)
	}
	outcome := op.OutcomeOf(err, context.Cause(ctx))
	if outcome == op.Hung && !g.answers() {
		outcome = ""
		g.deaf()
	}
	end := history.Event{Type: history.StepEnd, Guest: g.number, Seq: seq, Outcome: outcome}
	if err != nil {
		end.Text = err.Error()
	}
	if reporter, ok := step.Op.Op.(op.Reporter); ok {
		end.Calls = reporter.Reports()
		g.noteFired(end.Calls)
	} else if fired := g.fired.Load(); fired.explains(outcome, began) {
		outcome = op.Refused // a machine need not say that the guest has given up
		end.Outcome, end.Text = outcome, fmt.Sprintf("%s failed meanwhile, and the guest doesn't do it: %s", fired.call, end.Text)
	}
	g.history.Add(end)
	g.finished.Add(1)
	if outcome == op.Done {
		if !step.OfFinale() { // nobody meets those, and some are half of what they are otherwise
			g.usual.add(step.Op.Kind, time.Since(began))
		}
		g.dropWorkload(step)
	}
	g.react(step, outcome, err)
	return outcome
}

// firedCall is one that a step has had fail, and when that step told of it.
type firedCall struct {
	call string
	at   time.Time
}

// explains reports whether a step of another op's ended as it did for want of an
// answer that the failed call has prevented.
func (f *firedCall) explains(outcome op.Outcome, began time.Time) bool {
	return outcome == op.Hung && f != nil && f.at.After(began)
}

// noteFired keeps the last call that failed: it may have been made for the sake of
// another lane's step.
func (g *guest) noteFired(reports []calls.Report) {
	for _, r := range reports {
		if r.Fired {
			g.fired.Store(&firedCall{r.Func, time.Now()})
			if r.Own() {
				g.ownFired.Store(true)
			}
		}
	}
}

// react draws the consequences of a step that didn't go well.
func (g *guest) react(step schedule.Step, outcome op.Outcome, err error) {
	name := step.Op.Kind.Name
	switch {
	case errors.Is(err, op.ErrSpent):
		g.end(retired("%v", err))
	case outcome == op.Hung:
		g.end(retired("%s hung for %s", name, g.vm.Deadline(step.Op.Kind.Deadline).Round(time.Second)))
	case outcome == op.Broken && op.Gone(err):
		g.awaitEnd(err) // the lane can't go on
	case outcome == op.Broken:
		g.fault(blame.Of(err), blame.Next(err), "guest %d: %s: %v", g.number, name, err)
	}
}

// answers reports whether the agent still answers.
func (g *guest) answers() bool {
	ctx, cancel := context.WithTimeout(g.ctx, g.vm.Deadline(answerLimit))
	defer cancel()
	return g.vm.Agent.Call(ctx, agent.MethodPing, nil, nil) == nil
}

// deaf ends a guest that shows life although its agent doesn't answer: nobody
// can tell how its steps end. One that shows none is watchHealth's.
func (g *guest) deaf() {
	if g.ctx.Err() == nil && g.live.silentFor() < g.vm.Deadline(answerLimit) {
		g.loseQEMU(lost(blame.Harness, "see the end of its "+vm.ConsoleLog, "the guest's agent does not answer, although the guest shows life"))
	}
}

const (
	healthEvery  = time.Second
	settleAfter  = time.Second      // quiet that ends a complaint nobody continued
	silenceLimit = 30 * time.Second // without any sign of life; stretched by slowness
	answerLimit  = 15 * time.Second // for the agent to answer a ping; stretched
	qmpLimit     = 20 * time.Second // for QEMU itself to answer; the guest has no say in it
)

// watchHealth looks at the guest now and then until its storm ends.
func (g *guest) watchHealth() {
	every(g.ctx, healthEvery, func() bool {
		g.progress("storming")
		silent := g.live.silentFor()
		switch {
		case g.history.Err() != nil:
			g.end(lost(blame.Host, "", "recording failed"))
		case silent > g.vm.Deadline(silenceLimit):
			g.judgeSilence(silent)
		default:
			return true
		}
		return false
	})
}

// every looks at intervals, until it is told not to go on or ctx ends.
func every(ctx context.Context, interval time.Duration, look func() (goOn bool)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if ctx.Err() != nil || !look() { // both may have been ready
			return
		}
	}
}

// judgeSilence decides whose silence it is: QEMU's, when its monitor is dumb
// too, or the guest kernel's.
func (g *guest) judgeSilence(silent time.Duration) {
	status, err := g.askQEMU(g.ctx)
	switch {
	case op.Gone(err): // watchQEMU deals with it
	case err != nil:
		g.loseQEMU(err)
	case g.hello != nil && !g.beats.Load():
		g.loseRestored(silent)
	default:
		text := fmt.Sprintf("no heartbeat, neither on the console nor from the agent, for %s; QEMU says the guest is %s", silent.Round(time.Second), status)
		g.history.Add(history.Event{Type: history.Silent, Guest: g.number, Text: text})
		g.inspect("lq") // w is collected from every guest that is retired
		g.end(retired("silent: %s", text))
	}
}

// askQEMU asks QEMU what the guest does. That it doesn't answer is its own
// fault, the guest has no say in it.
func (g *guest) askQEMU(ctx context.Context) (status string, err error) {
	ctx, cancel := context.WithTimeout(ctx, qmpLimit)
	defer cancel()
	answer, err := qmp.QueryStatus(ctx, g.vm.Monitor)
	if err == nil || op.Gone(err) || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return answer.Status, err
	}
	return "", lost(blame.Hypervisor, "is it stopped, or starved? see "+filepath.Join(g.vm.Spec.Dir, vm.StderrFile),
		"QEMU does not answer its monitor for %s: %v", qmpLimit, err)
}

// stopWorkloads stops all workloads that were started, at once, so that they
// clean up under our eyes, and records what they did. One that doesn't stop is
// killed in the end, which may undo a deadlock: whoever waits for a new kernel
// thread can be killed (kernel/kthread.c __kthread_create_on_node).
func (g *guest) stopWorkloads(ctx context.Context) {
	watch, enough := context.WithCancel(ctx)
	var all, side sync.WaitGroup
	side.Go(func() { g.watchDeadlock(watch) })
	defer func() {
		all.Wait()
		enough()
		side.Wait()
	}()
	for id := range g.workloads.Range {
		all.Go(func() {
			var stats agent.WorkloadStats
			params := agent.StopWorkloadParams{ID: id.(string), LimitMS: g.vm.Deadline(stopLimit).Milliseconds()}
			if err := g.vm.Agent.Call(ctx, agent.MethodStopWorkload, params, &stats); err != nil {
				return // it never started, was stopped, or the guest is gone, or it doesn't die: see stuck
			}
			g.workloads.Delete(id)
			text, _ := json.Marshal(stats)
			g.history.Add(history.Event{Type: history.Workload, Guest: g.number, Text: string(text)})
		})
	}
}
