// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"plugstorm/harness/blame"
	"plugstorm/harness/console"
	"plugstorm/harness/schedule"
	"plugstorm/harness/speed"
	"plugstorm/harness/vm"
	"plugstorm/suites"
)

// samplesFile holds what a speed benchmark has measured, a sample a line.
const samplesFile = "samples.ndjson"

// A speedBench is a speed benchmark in progress.
type speedBench struct {
	app     *app
	flags   *speedFlags
	dir     string
	host    speed.Host
	targets []*speedTarget
	todo    []measurement

	// command runs plugstorm itself, backend starts bare guests; tests put their own
	// here.
	command func(ctx context.Context, args ...string) (child, error)
	backend *vm.Backend

	mu      sync.Mutex // of what follows
	samples []speed.Sample
	calls   int // of directories, so that each has its own
}

// A speedTarget is a machine to measure.
type speedTarget struct {
	machine   *vm.Machine
	spec      vm.Spec // what its bare guests are started with
	snapshot  string  // the last one that a run went on from; "" for none yet
	noRestore error   // why none can be; nil if one can
}

// A measurement is one repetition of one thing.
type measurement struct {
	sample speed.Sample
	do     func(ctx context.Context, s speed.Sample) (map[string]float64, error)
}

// prepare builds or finds what a machine boots.
func (b *speedBench) prepare(ctx context.Context, m *vm.Machine) error {
	p := &plan{flags: &runFlags{}, scenario: suites.Smoke}
	if b.host.Cores == 0 {
		start := b.host.Start
		b.host = hostFacts()
		b.host.Start = start
	}
	emulator, version, kernel, initramfs, err := b.app.boots(ctx, p, m)
	if err != nil {
		return err
	}
	t := &speedTarget{machine: m, spec: vm.Spec{
		Machine: m, Emulator: emulator, Version: version, Kernel: kernel.Image, Initramfs: initramfs,
		Console: func(console.Chunk) error { return nil },
	}}
	if t.spec.Accel, err = b.app.chooseAccel(ctx, b.flags.accel, t.spec); err != nil {
		return err
	}
	t.noRestore = vm.CanSnapshot(m, t.spec.Accel, version)
	t.spec.AutoOnline = true
	b.host.QEMU[m.Name] = version.String()
	b.targets = append(b.targets, t)
	return nil
}

// growthShare is by how much more seldom things that grow are measured.
const growthShare = 3

// plan lists what is to be measured, in its order: repetition by repetition, so
// that what is compared is measured at about the same time.
func (b *speedBench) plan() {
	for _, p := range speed.Parts {
		if !b.flags.wants(p.Name) {
			continue
		}
		repeat := b.flags.repeat
		if p.Size != "" {
			repeat = (repeat + growthShare - 1) / growthShare
		}
		for rep := range repeat {
			for _, t := range b.targets {
				for _, size := range b.sizes(p.Name) {
					for _, what := range p.What {
						s := speed.Sample{Version: speed.Version, Part: p.Name, Machine: t.machine.Name, What: what, Size: size, Rep: rep + 1}
						b.todo = append(b.todo, measurement{s, b.way(t, s)})
					}
				}
			}
		}
	}
}

// sizes of what grows in a part.
func (b *speedBench) sizes(part string) []int {
	switch part {
	case "guests":
		return b.flags.guests
	case "slots":
		return b.flags.slots
	case "history":
		return b.flags.minutes
	}
	return []int{0}
}

// way is how a sample is measured.
func (b *speedBench) way(t *speedTarget, s speed.Sample) func(context.Context, speed.Sample) (map[string]float64, error) {
	ways := map[string]func(context.Context, *speedTarget, speed.Sample) (map[string]float64, error){
		speed.BareBoot: b.bareBoot, speed.BareRestore: b.bareRestore, speed.Cold: b.coldStart, speed.Snapshot: b.snapshotStart,
		speed.BareLoop: b.bareLoop, speed.Paced: b.paced, speed.Stormed: b.stormed,
		speed.BareTogether: b.bareTogether, speed.Together: b.together(suites.Storm), speed.TogetherPaced: b.together(suites.Pace), speed.Guest: b.slots, speed.Judge: b.judged,
	}
	do := ways[s.What]
	return func(ctx context.Context, s speed.Sample) (map[string]float64, error) { return do(ctx, t, s) }
}

// measure takes all samples. Its error is about what ends the benchmark; what
// fails is a sample as well.
func (b *speedBench) measure(ctx context.Context) error {
	for _, t := range b.targets {
		if err := b.warm(ctx, t); err != nil {
			return err
		}
	}
	b.app.ui.Line(fmt.Sprintf("%d measurements to do; results in %s", len(b.todo), b.dir))
	b.app.ui.Stage("bench speed", 0)
	for i, m := range b.todo {
		values, err := m.do(ctx, m.sample)
		if ctx.Err() != nil {
			return blame.Errorf(blame.User, "", "interrupted: %w", context.Cause(ctx))
		}
		s := m.sample
		s.Values = values
		if values == nil {
			s.Values = map[string]float64{}
		}
		switch reason, impossible := err.(*impossibleError); { //nolint:errorlint // it is never wrapped
		case impossible:
			s.Note = reason.Error()
		case err != nil:
			s = failed(s, err)
		}
		if err := b.keep(s); err != nil {
			return err
		}
		b.app.ui.Fraction(float64(i+1) / float64(len(b.todo)))
	}
	return nil
}

// An impossibleError says why something can't be measured here. It is no
// failure.
type impossibleError struct{ why error }

func (e *impossibleError) Error() string { return e.why.Error() }

// keep records a sample.
func (b *speedBench) keep(s speed.Sample) error {
	s.Load, s.Pressure = hostBusiness().Load, parsePressure(readText("/proc/pressure/cpu"), "avg10")
	b.mu.Lock()
	b.samples = append(b.samples, s)
	b.mu.Unlock()
	result := s.Note
	for _, m := range measuresOf(s.Part) {
		if v, ok := s.Values[m.Name]; ok {
			result += fmt.Sprintf("%s %.3g; ", m.Name, v)
		}
	}
	size := ""
	if s.Size > 0 {
		size = fmt.Sprintf(" %d", s.Size)
	}
	b.app.ui.Line(fmt.Sprintf("%s %s, %s%s, %d: %s", s.Part, s.Machine, s.What, size, s.Rep, result))
	return appendLine(filepath.Join(b.dir, samplesFile), s, "start again")
}

func measuresOf(part string) []speed.Measure {
	for _, p := range speed.Parts {
		if p.Name == part {
			return p.Measures
		}
	}
	return nil
}

// newDir makes a directory for one call, or one guest.
func (b *speedBench) newDir(s speed.Sample) (string, error) {
	b.mu.Lock()
	b.calls++
	name := fmt.Sprintf("%03d-%s-%s", b.calls, s.Part, s.Machine)
	b.mu.Unlock()
	dir := filepath.Join(b.dir, name)
	return dir, blame.On(blame.Host, os.Mkdir(dir, 0o755), "choose another directory with --out")
}

// call runs a suite on one guest at a time, as a user would, and reads what it
// recorded.
func (b *speedBench) call(ctx context.Context, t *speedTarget, s speed.Sample, suite *schedule.Scenario, more ...string) (*traced, error) {
	all, _, err := b.callTogether(ctx, t, s, suite, 1, more...)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// callTogether does it with n guests at a time.
func (b *speedBench) callTogether(ctx context.Context, t *speedTarget, s speed.Sample, suite *schedule.Scenario, n int, more ...string) ([]*traced, child, error) {
	dir, err := b.newDir(s)
	if err != nil {
		return nil, child{}, err
	}
	args := append([]string{
		"run", "--quiet", "--machine", t.machine.Name, "--accel", string(t.spec.Accel), "--suite", suite.Name, "--out", dir, "--vms", fmt.Sprint(n),
	}, more...)
	c, err := b.command(ctx, args...)
	if err != nil {
		return nil, c, err
	}
	var all []*traced
	for _, slot := range slotDirs(t.machine.Name, n) {
		r, err := trace(filepath.Join(dir, slot), t.machine, c.started)
		if err != nil {
			return nil, c, err
		}
		all = append(all, r)
	}
	return all, c, nil
}
