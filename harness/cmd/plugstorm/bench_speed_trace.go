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
	stormed  time.Duration   // from the first op to the end of the last one that was not cut off
	done     []time.Duration // when ops were done, from the process's start
	looks    []history.Event // of type Host
	cycles   float64         // DIMMs that came or went, half a cycle each
	units    float64         // and their memory, in units of the machine's DIMMs, likewise
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
			if e.Outcome == "" {
				break // cut off by the end of the storm
			}
			t.stormed = at - t.first
			if e.Outcome == op.Done {
				t.done = append(t.done, at)
				if units := dimms.done(e.Seq); units > 0 {
					t.cycles += 0.5
					t.units += units / 2
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

// done takes in a step that went well. If a DIMM came or went, it has so many units.
func (b *dimmBooks) done(seq int) (units float64) {
	var o struct {
		Args struct {
			ID  string  `json:"id"`
			MiB float64 `json:"mib"`
		} `json:"args"`
	}
	step := b.steps[seq]
	text, err := json.Marshal(step)
	if err != nil || json.Unmarshal(text, &o) != nil {
		return 0
	}
	switch step.Kind {
	case op.DIMMAdd:
		b.mib[o.Args.ID] = o.Args.MiB
	case op.DIMMRemove:
	default:
		return 0
	}
	return b.mib[o.Args.ID] / b.unit
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
	v := map[string]float64{"units_per_s": t.units / s, "cycles_per_s": t.cycles / s, "ops_per_s": float64(len(t.done)) / s}
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
	controller time.Duration // CPU time
	ops        int           // that were done
}

// costs are what the run's storm took.
func (t *traced) costs() cost {
	var c cost
	var first, last history.Event
	var ran float64 // CPU seconds of QEMU
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
	if passed := last.At - first.At; passed > 0 {
		c.cpus = ran / passed.Seconds()
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
