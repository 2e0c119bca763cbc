// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"time"

	"plugstorm/harness/blame"
	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/harness/vm"
)

// A traced run is what the history of one says of its pace.
type traced struct {
	history  *history.History
	restored string          // the snapshot's directory; "" if its first guest booted
	command  time.Duration   // from the process's start to the run's
	guest    time.Duration   // from there to the agent
	first    time.Duration   // from the process's start to the first op
	hotplug  time.Duration   // and to that of a hotplug lane
	stormed  time.Duration   // from the first op to the end of the last one
	done     []time.Duration // when ops were done, from the process's start
	looks    []history.Event // of type Host
	cycles   int             // DIMMs that were removed
	units    float64         // and their memory, in units of the machine's DIMMs
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
		case history.Host:
			e.At = at
			t.looks = append(t.looks, e)
		case history.StepBegin:
			dimms.steps[e.Seq] = e.Step.Op
			t.began(e.Step, at)
		case history.StepEnd:
			t.stormed = at - t.first
			if e.Outcome == op.Done {
				t.done = append(t.done, at)
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
	v := map[string]float64{"units_per_s": t.units / s, "cycles_per_s": float64(t.cycles) / s, "ops_per_s": float64(len(t.done)) / s}
	t.costs().into(v)
	return v
}

// end is when the last op ended.
func (t *traced) end() time.Duration { return t.first + t.stormed }

// doneIn is how many ops were done from one moment to another.
func (t *traced) doneIn(from, to time.Duration) int {
	n := 0
	for _, at := range t.done {
		if from < at && at <= to {
			n++
		}
	}
	return n
}

// A cost is what a storm took of the host, from the first time that the history says
// so to the last. Zero values are unknown.
type cost struct {
	cpus       float64       // that QEMU ran on
	passed     time.Duration // in that time
	controller time.Duration // CPU time
	ops        int           // that were done
}

// costs are what the run's storm took.
func (t *traced) costs() cost {
	var c cost
	var first, last history.Event
	var ran float64 // CPU seconds
	for _, e := range t.looks {
		switch {
		case e.At < t.first || e.At > t.end():
			continue
		case first.At == 0:
			first = e
		default:
			ran += e.CPUs * (e.At - last.At).Seconds()
		}
		last = e
	}
	if c.passed = last.At - first.At; c.passed > 0 {
		c.cpus = ran / c.passed.Seconds()
		c.controller, c.ops = last.ControllerCPU-first.ControllerCPU, t.doneIn(first.At, last.At)
	}
	return c
}

// into adds the measures to others.
func (c cost) into(v map[string]float64) {
	if c.cpus > 0 {
		v["cpus"] = c.cpus
	}
	if c.controller > 0 && c.ops > 0 {
		v["controller_ms"] = c.controller.Seconds() * 1000 / float64(c.ops)
	}
}
