// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"plugstorm/harness/bare"
	"plugstorm/harness/blame"
	"plugstorm/harness/history"
	"plugstorm/harness/schedule"
	"plugstorm/harness/speed"
	"plugstorm/harness/vm"
	"plugstorm/suites"
)

// startLength is that of a run of which only the start matters.
const startLength = "1s"

// bareLimit bounds each wait for a bare guest.
const bareLimit = 10 * time.Minute

// warm sees to it that there are snapshots to go on from, and that everything was
// read once.
func (b *speedBench) warm(ctx context.Context, t *speedTarget) error {
	b.app.ui.Stage("preparing "+t.machine.Name, 0)
	for part, all := range map[string][]*schedule.Scenario{"start": {suites.Smoke}, "guests": {suites.Storm, suites.Pace}} {
		if !b.flags.wants(part) {
			continue
		}
		for _, suite := range all {
			if _, err := b.call(ctx, t, speed.Sample{Part: "warm", Machine: t.machine.Name}, suite, "--seed", "1", "--duration", startLength); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *speedBench) coldStart(ctx context.Context, t *speedTarget, s speed.Sample) (map[string]float64, error) {
	r, err := b.call(ctx, t, s, suites.Smoke, "--seed", fmt.Sprint(s.Rep), "--duration", startLength, "--cold")
	if err != nil {
		return nil, err
	}
	return r.starts(), nil
}

func (b *speedBench) snapshotStart(ctx context.Context, t *speedTarget, s speed.Sample) (map[string]float64, error) {
	if t.noRestore != nil {
		return nil, &impossibleError{t.noRestore}
	}
	r, err := b.call(ctx, t, s, suites.Smoke, "--seed", fmt.Sprint(s.Rep), "--duration", startLength)
	switch {
	case err != nil:
		return nil, err
	case r.restored == "":
		return nil, blame.Errorf(blame.Harness, "see "+b.dir, "the guest booted")
	}
	t.snapshot = r.restored
	return r.starts(), nil
}

// bareGuest starts a guest of its own. The caller closes it.
func (b *speedBench) bareGuest(ctx context.Context, spec vm.Spec, s speed.Sample) (*vm.VM, time.Duration, error) {
	dir, err := b.newDir(s)
	if err != nil {
		return nil, 0, err
	}
	spec.Dir = dir
	ctx, cancel := context.WithTimeout(ctx, bareLimit)
	defer cancel()
	return bare.Boot(ctx, b.backend, spec)
}

func (b *speedBench) bareBoot(ctx context.Context, t *speedTarget, s speed.Sample) (map[string]float64, error) {
	v, took, err := b.bareGuest(ctx, t.spec, s)
	if err != nil {
		return nil, err
	}
	v.Close()
	return map[string]float64{"start_s": took.Seconds()}, nil
}

// bareRestore has QEMU alone go on from the snapshot that runs go on from.
func (b *speedBench) bareRestore(ctx context.Context, t *speedTarget, s speed.Sample) (map[string]float64, error) {
	if t.noRestore != nil {
		return nil, &impossibleError{t.noRestore}
	}
	if t.snapshot == "" {
		if _, err := b.snapshotStart(ctx, t, s); err != nil {
			return nil, err
		}
	}
	spec := t.spec
	spec.Savable, spec.Incoming = true, vm.StateFile(t.snapshot)
	v, took, err := b.bareGuest(ctx, spec, s)
	if err != nil {
		return nil, err
	}
	v.Close()
	return map[string]float64{"start_s": took.Seconds()}, nil
}

// paced does the same by way of plugstorm, in a guest that has booted as well.
func (b *speedBench) paced(ctx context.Context, t *speedTarget, s speed.Sample) (map[string]float64, error) {
	r, err := b.call(ctx, t, s, suites.Pace, "--seed", fmt.Sprint(s.Rep), "--duration", b.flags.loop.String(), "--cold")
	if err != nil {
		return nil, err
	}
	return r.paces(), nil
}

func (b *speedBench) stormed(ctx context.Context, t *speedTarget, s speed.Sample) (map[string]float64, error) {
	r, err := b.call(ctx, t, s, suites.Storm, "--seed", fmt.Sprint(s.Rep), "--duration", b.flags.loop.String(), "--cold")
	if err != nil {
		return nil, err
	}
	return r.paces(), nil
}

// slotCycles is how many cycles of the last DIMM are measured.
const slotCycles = 5

// slots fills all slots of a guest but one, and takes the last DIMM in and out.
func (b *speedBench) slots(ctx context.Context, t *speedTarget, s speed.Sample) (map[string]float64, error) {
	if most := t.machine.DIMM.QEMUMax; s.Size > most {
		return nil, &impossibleError{fmt.Errorf("QEMU gives it %d slots at most", most)}
	}
	spec := t.spec
	spec.Machine = withSlots(t.machine, s.Size)
	v, start, err := b.bareGuest(ctx, spec, s)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	ctx, cancel := context.WithTimeout(ctx, bareLimit)
	defer cancel()
	loop := bare.NewLoop(ctx, v)
	values := map[string]float64{"start_s": start.Seconds()}
	began := time.Now()
	for i := range s.Size - 1 {
		if err := loop.Add(ctx, fmt.Sprintf("dimm%d", i)); err != nil {
			return nil, fmt.Errorf("DIMM %d of %d: %w", i+1, s.Size, err)
		}
	}
	if s.Size > 1 {
		values["fill_s"] = time.Since(began).Seconds() / float64(s.Size-1)
	}
	began = time.Now()
	for range slotCycles {
		if err := loop.Cycle(ctx, "last"); err != nil {
			return nil, err
		}
	}
	values["cycle_s"] = time.Since(began).Seconds() / slotCycles
	return values, nil
}

// withSlots is a machine with so many DIMM slots, and room for a unit in each.
func withSlots(m *vm.Machine, n int) *vm.Machine {
	wide := *m
	wide.DIMM.Slots = n
	wide.MaxMemMiB = max(m.MaxMemMiB, m.MemMiB+(n+1)*m.DIMM.UnitMiB)
	return &wide
}

// judged judges a record of a run of a certain length, which is a short one
// repeated (speed.Stretch).
func (b *speedBench) judged(ctx context.Context, t *speedTarget, s speed.Sample) (map[string]float64, error) {
	short, err := b.call(ctx, t, s, suites.Storm, "--seed", fmt.Sprint(s.Rep), "--duration", b.flags.loop.String())
	if err != nil {
		return nil, err
	}
	recorded, err := b.lastDir()
	if err != nil {
		return nil, err
	}
	dir, err := b.newDir(s)
	if err != nil {
		return nil, err
	}
	events, bytes, err := writeStretched(short.history, filepath.Join(recorded, t.machine.Name), filepath.Join(dir, t.machine.Name), time.Duration(s.Size)*time.Minute)
	if err != nil {
		return nil, err
	}
	c, err := b.command(ctx, "judge", "--json", dir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, t.machine.Name, verdictFile)); err != nil {
		return nil, blame.Errorf(blame.Harness, "judge "+dir+" by hand", "nothing was judged: %w", err)
	}
	return map[string]float64{"judge_s": c.took.Seconds(), "judge_mib": c.memory.peak, "record_mib": float64(bytes) / (1 << 20), "events": float64(events)}, nil
}

// lastDir is the directory of the last call.
func (b *speedBench) lastDir() (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	all, err := filepath.Glob(filepath.Join(b.dir, fmt.Sprintf("%03d-*", b.calls)))
	if err != nil || len(all) != 1 {
		return "", errors.Join(err, fmt.Errorf("%d directories of call %d", len(all), b.calls))
	}
	return all[0], nil
}

// writeStretched writes a machine's part of a run that is a short one repeated.
func writeStretched(h *history.History, from, to string, length time.Duration) (events int, bytes int64, err error) {
	console, err := os.ReadFile(filepath.Join(from, "guest-1", vm.ConsoleLog))
	if err != nil {
		return 0, 0, blame.On(blame.Host, err, "")
	}
	all, console := speed.Stretch(h.Events, console, length)
	if all == nil {
		return 0, 0, blame.Errorf(blame.Harness, "see "+from, "the recorded run has nothing to repeat")
	}
	if err := os.MkdirAll(filepath.Join(to, "guest-1"), 0o755); err != nil {
		return 0, 0, blame.On(blame.Host, err, "")
	}
	c := h.Case
	c.Duration = length
	var lines []byte
	for _, e := range all {
		if e.Case != nil {
			e.Case = &c
		}
		line, err := json.Marshal(e)
		if err != nil {
			return 0, 0, err
		}
		lines = append(append(lines, line...), '\n')
	}
	err = errors.Join(
		history.WriteJSON(filepath.Join(to, history.CaseFile), c),
		os.WriteFile(filepath.Join(to, history.File), lines, 0o644),
		os.WriteFile(filepath.Join(to, "guest-1", vm.ConsoleLog), console, 0o644))
	return len(all), int64(len(lines) + len(console)), blame.On(blame.Host, err, "")
}
