// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/blame"
	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/qmp"
	"plugstorm/harness/schedule"
	"plugstorm/harness/vm"
)

// Why a guest's time ended. errTimeUp and errRetired are no faults; who is
// retired owes it to its kernel.
var (
	errTimeUp  = errors.New("the run's time is up")
	errTurnUp  = fmt.Errorf("its part of %w", errTimeUp)
	errRetired = errors.New("retired")
	errBlind   = fmt.Errorf("%w: blind", errRetired) // it works as before, but for lockdep
	errLost    = errors.New("lost")
	errBoot    = errors.New("never came up")
)

func retired(format string, args ...any) error {
	return blame.On(blame.Kernel, fmt.Errorf("%w: "+format, append([]any{errRetired}, args...)...), "")
}

func blinded(title string) error {
	return blame.On(blame.Kernel, fmt.Errorf("%w after: %s", errBlind, title), "")
}

func lost(p blame.Party, next, format string, args ...any) error {
	return blame.On(p, fmt.Errorf("%w: "+format, append([]any{errLost}, args...)...), next)
}

// bootLimit bounds a boot, in multiples of the machine's reference: nothing
// is known of this guest's slowness yet, so it is generous. What QEMU waits for a
// CPU comes on top, up to bootStarved times the limit in all.
const (
	bootLimit   = 20
	bootStarved = 8
)

// A guest is one guest of a run.
type guest struct {
	*runner
	vm        *vm.VM
	hello     *agent.Hello // of a guest that was restored: it is up when it is started
	identity  []string     // of its snapshot; nil if it isn't to have one
	primed    bool         // it was restored with its checkers loaded
	beats     atomic.Bool  // a heartbeat of its agent has come
	deadlock  atomic.Bool  // some of its tasks wait for each other
	number    int
	scenario  *schedule.Scenario // the run's, or this guest's part of it
	slice     time.Duration      // of the run that is this guest's at most; 0: all that is left
	parent    context.Context    // the run's
	ctx       context.Context
	end       context.CancelCauseFunc   // ends the guest's storm; the first cause counts
	live      *live                     // what the console says, as it says it
	shutdown  atomic.Pointer[string]    // the reason of QEMU's SHUTDOWN event
	dissected atomic.Bool               // it ended by itself, and stateFile says where
	workloads sync.Map                  // IDs of those that steps have started and not stopped
	side      sync.WaitGroup            // the goroutines that watch it
	noted     waitWatch                 // what its kernel's module of waits has told
	checked   bool                      // its kernel checks the run's rules
	fired     atomic.Pointer[firedCall] // the last call that a step has had fail
	ownFired  atomic.Bool               // one of the suite's own has failed (calls.Own)
	marked    time.Time                 // of the last console mark; of the goroutine that reads the console
}

// oneGuest boots a guest, storms it, and ends it. It returns why it ended,
// never nil.
func (r *runner) oneGuest(parent context.Context) error {
	ctx, end := context.WithCancelCause(parent)
	defer end(nil)
	turn := r.cfg.Scenario.Turn(r.cfg.Case.Seed, r.guest)
	g := &guest{runner: r, number: r.guest, scenario: turn.Part, slice: turn.Slice, parent: parent, ctx: ctx, end: end}
	g.live = newLive(g.onComplaint)
	r.progress("booting")
	if err := g.start(); err != nil {
		g.blame(err)
		r.history.Add(history.Event{Type: history.GuestEnd, Guest: g.number, Text: err.Error()})
		return fmt.Errorf("%w: %w", errBoot, err)
	}
	defer g.weighHangs()
	defer g.close()
	g.side.Go(g.watchQEMU)
	g.side.Go(g.watchConsole)
	g.side.Go(g.watchHost)
	g.side.Go(g.settleConsole)
	if err := g.boot(); err != nil {
		end(err)
		return fmt.Errorf("%w: %w", errBoot, err)
	}
	return g.storm()
}

// blame records a fault, unless it is only that the whole run was interrupted.
func (g *guest) blame(err error) {
	if !errors.Is(err, context.Canceled) {
		g.fault(blame.Of(err), blame.Next(err), "guest %d: %v", g.number, err)
	}
}

func (g *guest) start() error {
	args := g.scenario.GuestArgs(g.cfg.Case.Seed, g.number)
	spec := vm.Spec{
		Machine: g.cfg.Machine, Accel: g.cfg.Accel, Emulator: g.cfg.Emulator, Version: g.cfg.Version,
		Kernel: g.cfg.Case.Kernel.Image, Initramfs: g.cfg.Case.Kernel.Initramfs, KernelArgs: args,
		AutoOnline: autoOnline(append(slices.Clone(g.cfg.Machine.KernelArgs), args...)),
		Savable:    g.cfg.Snapshots != nil && !g.saved.off,
		ColdDIMMs:  g.scenario.ColdDIMMs,
		FreshVCPUs: g.scenario.FreshVCPUs,
		HoldEnd:    true,
		Dir:        filepath.Join(g.cfg.Dir, fmt.Sprintf("guest-%d", g.number)),
		Console:    g.onConsole, OnEvent: g.onAgent,
	}
	if g.restore(spec) {
		return nil
	}
	spec.Savable = spec.Savable && !g.saved.off
	g.history.Add(g.startEvent(spec))
	var err error
	g.vm, err = g.cfg.Backend.Start(g.ctx, spec)
	return err
}

// startEvent says with what the guest is started.
func (g *guest) startEvent(spec vm.Spec) history.Event {
	return history.Event{Type: history.GuestStart, Guest: g.number, Part: g.scenario.Name, KernelArgs: spec.KernelArgs}
}

// autoOnline reports whether the last memhp_default_state on a kernel command
// line brings new memory online by itself.
func autoOnline(args []string) bool {
	online := false
	for _, a := range args {
		if value, ok := strings.CutPrefix(a, "memhp_default_state="); ok {
			online = strings.HasPrefix(value, "online")
		}
	}
	return online
}

// boot waits for the guest's agent.
func (g *guest) boot() error {
	limit := bootLimit * g.cfg.Machine.BootReference
	ctx, cancel := context.WithTimeout(g.ctx, bootStarved*limit)
	defer cancel()
	g.side.Go(func() { g.awaitShare(ctx, limit, cancel) })
	if g.hello != nil {
		return g.up(ctx, *g.hello)
	}
	hello, err := g.vm.WaitAgent(ctx)
	if err != nil {
		if op.Gone(err) || blame.Of(err) == blame.Hypervisor {
			g.awaitEnd(err)
		}
		if cause := context.Cause(g.ctx); cause != nil {
			return cause // a panic while booting, or QEMU's end: recorded already
		}
		err := lost(blame.Harness, "read "+filepath.Join(g.vm.Spec.Dir, vm.ConsoleLog)+": has this kernel an initramfs, this console and virtio-serial or a second serial line?",
			"the kernel did not bring up our agent within %s", limit)
		g.inspect("lqw")
		g.blame(err)
		return err
	}
	return g.up(ctx, hello)
}

// awaitShare calls spent when QEMU has had so much time since its start: what it waited
// for a CPU doesn't count. It returns then, or when ctx ends.
func (g *guest) awaitShare(ctx context.Context, limit time.Duration, spent func()) {
	for {
		left := limit - shareOf(time.Since(g.vm.Started), g.vm.HostTime())
		if left <= 0 {
			spent()
			return
		}
		if !op.Pause(ctx, max(left, time.Second)) {
			return
		}
	}
}

// shareOf is how much of a time since QEMU's start it had what it wanted of the CPUs.
func shareOf(passed time.Duration, host vm.HostTime) time.Duration {
	return time.Duration((1 - host.Starved(vm.HostTime{})) * float64(passed))
}

// up brings a guest whose agent has introduced itself to where its storm can
// begin. A guest with a dead timer is no fault but counts as a boot that has failed, of
// which too many in a row are one.
func (g *guest) up(ctx context.Context, hello agent.Hello) error {
	text, _ := json.Marshal(hello)
	g.history.Add(history.Event{Type: history.AgentUp, Guest: g.number, Slowness: g.vm.Slowness(), Text: string(text)})
	g.live.alive()
	if g.primes() {
		g.loadCheckers(hello)
	}
	if g.hello == nil {
		g.save(ctx)
		if err := g.vm.Complete(ctx); err != nil {
			g.loseQEMU(lost(blame.Harness, "see the end of its "+vm.ConsoleLog, "%w", err))
		}
		// A third of a restored guest's start would go into this, and in the storm
		// a kernel that hangs at once would be excused by it.
		if err := g.vm.CheckTimers(ctx); errors.Is(err, vm.ErrDeadTimer) {
			return lost(blame.Hypervisor, "see the end of its "+vm.ConsoleLog, "%w", err)
		}
	}
	g.side.Go(func() { g.stretchHungTask(g.ctx) })
	if !g.primes() {
		g.loadCheckers(hello)
	}
	g.lastBoot = time.Since(g.vm.Started)
	g.seat.Up()
	if g.stormed.IsZero() {
		g.stormed = time.Now()
	}
	return nil
}

// loadCheckers has the guest's kernel look for more than it does by itself.
func (g *guest) loadCheckers(hello agent.Hello) {
	if g.rules == nil || g.scenario.NoRules { // who wants no rule checker wants nothing of ours in the kernel
		return
	}
	g.loadRules(hello)
	g.loadWaits(hello)
}

// hungTaskTimeout is where the kernel is told it (kernel/hung_task.c).
const hungTaskTimeout = "/proc/sys/kernel/hung_task_timeout_secs"

// hungTask is the guest kernel's hung-task timeout on the reference host. A
// healthy kernel's tasks wait for the one that offlines a block (op, blockLimit),
// and for one more after it, but not for as long.
const hungTask = 40 * time.Second

// hungTaskLooks is how often within its timeout khungtaskd looks. By itself it
// looks once, and so takes up to twice the timeout to see a hung task. Many more
// aren't better: each look that finds one prints all locks that are held.
const hungTaskLooks = 8

// stretchHungTask fits the kernel's hung-task timeout to the guest's slowness.
func (g *guest) stretchHungTask(ctx context.Context) {
	seconds := int(g.vm.Deadline(hungTask).Seconds())
	// A kernel without them is in Hello.Missing.
	_ = g.writeFile(ctx, "/proc/sys/kernel/hung_task_check_interval_secs", strconv.Itoa(seconds/hungTaskLooks))
	_ = g.writeFile(ctx, hungTaskTimeout, strconv.Itoa(seconds))
}

func (g *guest) writeFile(ctx context.Context, path, data string) error {
	return g.vm.Agent.Call(ctx, agent.MethodWriteFile, agent.FileParams{Path: path, Data: data}, nil)
}

// close ends QEMU and writes down how it ended.
func (g *guest) close() {
	g.vm.Close()
	g.side.Wait()
	e := history.Event{Type: history.GuestEnd, Guest: g.number, Text: fmt.Sprint(context.Cause(g.ctx))}
	if exit := g.vm.Exit(); !exit.Asked {
		e.Text += "; QEMU: " + exit.String()
		if errors.Is(context.Cause(g.ctx), errTimeUp) && g.shutdown.Load() == nil {
			// What is looked at last, the zones and the rules, was not looked at.
			g.blame(lost(blame.Hypervisor, "see "+filepath.Join(g.vm.Spec.Dir, vm.StderrFile), "QEMU died at the end: %s", exit))
		}
	}
	if reason := g.shutdown.Load(); reason != nil {
		e.Shutdown = *reason
	}
	if g.dissected.Load() {
		e.Text += "; where its CPUs were: " + filepath.Join(filepath.Base(g.vm.Spec.Dir), stateFile)
	}
	g.history.Add(e)
}

// watchQEMU ends the guest when QEMU ends, and notes why QEMU says it did.
func (g *guest) watchQEMU() {
	for e := range g.vm.Monitor.Watch(context.WithoutCancel(g.ctx), qmp.EventShutdown) {
		data, err := e.Decode()
		if err != nil {
			continue
		}
		reason := data.(qmp.Shutdown).Reason
		if g.shutdown.CompareAndSwap(nil, &reason) && byItself(reason) { // our quit is one, too
			g.autopsy()
		}
	}
	select { // the monitor is gone: is QEMU?
	case <-g.vm.Ended():
	case <-time.After(qemuEndGrace):
		g.loseQEMU(lost(blame.Hypervisor, "", "QEMU closed its monitor (%v) and lives on", g.vm.Monitor.Err()))
		return
	}
	exit := g.vm.Exit()
	reason := g.shutdown.Load()
	switch {
	case exit.Asked:
	case reason != nil && byItself(*reason):
		g.end(retired("the guest ended by itself (%s)", *reason))
	default:
		g.loseQEMU(lost(blame.Hypervisor, "see "+filepath.Join(g.vm.Spec.Dir, vm.StderrFile), "QEMU died: %s", exit))
	}
}

// byItself reports whether a reason of QEMU's SHUTDOWN event is the guest's doing.
func byItself(reason string) bool { return strings.HasPrefix(reason, "guest-") }

// watchConsole ends the guest when its console can't be recorded any more.
func (g *guest) watchConsole() {
	<-g.vm.Done()
	if err := g.vm.ConsoleError(); err != nil {
		g.loseQEMU(fmt.Errorf("%w: %w", errLost, err))
	}
}

// qemuEndGrace is how long QEMU may outlive its monitor when it ends.
const qemuEndGrace = 10 * time.Second

// awaitEnd waits until watchQEMU has found out why err says that QEMU or one
// of its channels has ended. If QEMU lives on, the channel is reason enough.
func (g *guest) awaitEnd(err error) {
	select {
	case <-g.ctx.Done():
	case <-time.After(2 * qemuEndGrace): // watchQEMU takes one
		g.loseQEMU(lost(blame.Of(err), blame.Next(err), "%w", err))
	}
}

// loseQEMU ends the guest through no fault of the kernel's. If the guest's end
// had another cause already, QEMU's death is no news.
func (g *guest) loseQEMU(err error) {
	if g.ctx.Err() == nil {
		g.blame(err)
	}
	g.end(err)
}

// onAgent records what the agent says unasked.
func (g *guest) onAgent(r agent.Reply) {
	switch r.Event {
	case agent.EventHeartbeat:
		g.beats.Store(true)
		g.live.alive()
	case agent.EventWorkloadEnd:
		g.history.Add(history.Event{Type: history.Workload, Guest: g.number, Text: string(r.Result)})
	}
}
