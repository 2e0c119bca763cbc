// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"plugstorm/harness/blame"
	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/harness/speed"
	"plugstorm/harness/vm"
)

// A child is one call of plugstorm's own command that has ended.
type child struct {
	started time.Time
	took    time.Duration
	memory  memory         // at most, of the command itself
	guests  map[int]memory // at most, of each QEMU that it started, by process
}

// childGrace is how long a child may take to end when it is interrupted.
const childGrace = 20 * time.Second

// How often memory is looked at: that of a child, which may live for some
// milliseconds only, and in how many of these looks that of its guest, which is
// dear. What wait4(2) tells is of no use: it has our own memory at the fork in it.
const (
	memoryEvery = 5 * time.Millisecond
	guestLooks  = 40
)

// runOurselves runs this program with other arguments, as a user would. Exit
// codes that are verdicts are no errors.
func runOurselves(ctx context.Context, args ...string) (child, error) {
	program, err := os.Executable()
	if err != nil {
		return child{}, blame.On(blame.Host, err, "")
	}
	// The kernel sends Pdeathsig when the thread that forked ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = nil, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = childGrace
	c := child{started: time.Now(), guests: map[int]memory{}}
	if err := cmd.Start(); err != nil {
		return c, blame.On(blame.Host, err, "")
	}
	watched, stop := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		c.watch(cmd.Process.Pid, stop)
	}()
	err = cmd.Wait()
	c.took = time.Since(c.started)
	close(stop)
	<-watched
	if code := cmd.ProcessState.ExitCode(); code == 2 || code < 0 {
		return c, fmt.Errorf("plugstorm %v: %w: %s", args, err, lastLine(output.Bytes()))
	}
	return c, nil
}

// watch notes the most memory of a process and its child, now and then.
func (c *child) watch(pid int, stop <-chan struct{}) {
	tick := time.NewTicker(memoryEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		c.memory.peak = max(c.memory.peak, peakOf(pid))
		if n%guestLooks != 0 {
			continue
		}
		for _, qemu := range children(pid) {
			m, most := memoryOf(qemu), c.guests[qemu]
			c.guests[qemu] = memory{resident: max(most.resident, m.resident), private: max(most.private, m.private)}
		}
	}
}

// guest is the mean of its guests' most.
func (c *child) guest() memory {
	var mean memory
	for _, m := range c.guests {
		mean.resident += m.resident / float64(len(c.guests))
		mean.private += m.private / float64(len(c.guests))
	}
	return mean
}

func lastLine(text []byte) string {
	text = bytes.TrimSpace(text)
	return string(text[bytes.LastIndexByte(text, '\n')+1:])
}

// A traced run is what the history of one says of its pace.
type traced struct {
	history  *history.History
	restored string        // the snapshot's directory; "" if its first guest booted
	command  time.Duration // from the process's start to the run's
	guest    time.Duration // from there to the agent
	first    time.Duration // from the process's start to the first op
	hotplug  time.Duration // and to that of a hotplug lane
	stormed  time.Duration // from the first op to the end of the last one
	done     int           // ops
	cycles   int           // DIMMs that were removed
	units    float64       // and their memory, in units of the machine's DIMMs
}

// trace reads the history in dir, of one slot or of a whole run on a machine. The
// run's process began at started.
func trace(dir string, m *vm.Machine, started time.Time) (*traced, error) {
	h, err := history.Read(dir)
	if err != nil {
		return nil, err
	}
	t := &traced{history: h, command: h.Case.Started.Sub(started)}
	dimms := dimmBooks{unit: float64(m.DIMM.UnitMiB), steps: map[int]op.Spec{}, mib: map[string]float64{}}
	for _, e := range h.Events {
		at := t.command + e.At
		switch e.Type {
		case history.GuestStart:
			if e.Restored && e.Guest == 1 {
				t.restored = e.Text
			} else if e.Guest == 1 {
				t.restored = "" // it was restored in vain
			}
		case history.AgentUp:
			if t.guest == 0 {
				t.guest = e.At
			}
		case history.StepBegin:
			dimms.steps[e.Seq] = e.Step.Op
			t.began(e.Step, at)
		case history.StepEnd:
			t.stormed = at - t.first
			if e.Outcome == op.Done {
				t.done++
				if units, removed := dimms.done(e.Seq); removed {
					t.cycles++
					t.units += units
				}
			}
		}
	}
	if t.first == 0 {
		return nil, blame.Errorf(blame.Harness, "see "+dir, "it came to no op")
	}
	return t, nil
}

// dimmBooks know how large the DIMMs are that come and go.
type dimmBooks struct {
	unit  float64 // MiB
	steps map[int]op.Spec
	mib   map[string]float64 // of the DIMMs that are plugged
}

// done takes in a step that went well. If it removed a DIMM, that had so many units.
func (b *dimmBooks) done(seq int) (units float64, removed bool) {
	var o struct {
		Args struct {
			ID  string  `json:"id"`
			MiB float64 `json:"mib"`
		} `json:"args"`
	}
	step := b.steps[seq]
	text, err := json.Marshal(step)
	if err != nil || json.Unmarshal(text, &o) != nil {
		return 0, false
	}
	if step.Kind == op.DIMMAdd {
		b.mib[o.Args.ID] = o.Args.MiB
	}
	return b.mib[o.Args.ID] / b.unit, step.Kind == op.DIMMRemove
}

// began notes when the first ops began.
func (t *traced) began(s *schedule.Step, at time.Duration) {
	if t.first == 0 {
		t.first = at
	}
	if t.hotplug == 0 && s.Op.Kind != op.WorkloadStartOp {
		t.hotplug = at
	}
}

// starts are the values of the part start.
func (t *traced) starts() map[string]float64 {
	v := map[string]float64{"start_s": t.first.Seconds(), "command_s": t.command.Seconds(), "guest_s": t.guest.Seconds()}
	if t.hotplug > 0 {
		v["hotplug_s"] = t.hotplug.Seconds()
	}
	return v
}

// paces are the values of the part cycles.
func (t *traced) paces() map[string]float64 {
	if t.stormed <= 0 {
		return nil
	}
	s := t.stormed.Seconds()
	return map[string]float64{"units_per_s": t.units / s, "cycles_per_s": float64(t.cycles) / s, "ops_per_s": float64(t.done) / s}
}

// failed is a sample of something that went wrong.
func failed(s speed.Sample, err error) speed.Sample {
	s.Failed, s.Note = true, err.Error()
	return s
}
