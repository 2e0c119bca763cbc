// SPDX-License-Identifier: Apache-2.0

package suites_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/guests"
	"plugstorm/harness/bare"
	"plugstorm/harness/console"
	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/run"
	"plugstorm/harness/schedule"
	"plugstorm/harness/vm"
	"plugstorm/images"
	"plugstorm/suites"
	"plugstorm/workloads"
)

const (
	paceRounds = 3
	paceFor    = 10 * time.Second // of each loop
)

// BenchmarkPace measures add+remove cycles of one DIMM per second, through the
// harness and in a bare QMP loop, each in a fresh guest, turn and turn about,
// and with the harness those of a whole storm. "ratio" and "storm-ratio" are the
// medians of the rounds' quotients. "controller-ms/step" is the CPU time of this
// process, which is the controller, by the steps done meanwhile, boots apart.
func BenchmarkPace(b *testing.B) {
	for _, machine := range guests.Default() {
		b.Run(machine.Name, func(b *testing.B) {
			spec := paceSpec(b, machine)
			for b.Loop() {
				var floor, idle, storm, ratios, stormRatios, cpu, stormCPU []float64
				for range paceRounds {
					floor = append(floor, barePace(b, spec))
					cycles, perStep := harnessPace(b, spec, suites.Pace)
					idle, cpu = append(idle, cycles), append(cpu, perStep)
					ratios = append(ratios, cycles/floor[len(floor)-1])
					cycles, perStep = harnessPace(b, spec, suites.Storm)
					storm, stormCPU = append(storm, cycles), append(stormCPU, perStep)
					stormRatios = append(stormRatios, cycles/floor[len(floor)-1])
				}
				b.ReportMetric(median(floor), "bare-cycles/s")
				b.ReportMetric(median(idle), "harness-cycles/s")
				b.ReportMetric(median(ratios), "ratio")
				b.ReportMetric(median(cpu), "controller-ms/step")
				b.ReportMetric(median(storm), "storm-cycles/s")
				b.ReportMetric(median(stormRatios), "storm-ratio")
				b.ReportMetric(median(stormCPU), "storm-controller-ms/step")
			}
		})
	}
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// paceSpec builds or finds what a machine boots.
func paceSpec(b *testing.B, m *vm.Machine) vm.Spec {
	b.Helper()
	cache, err := os.UserCacheDir()
	check(b, err)
	store := &images.Store{Dir: filepath.Join(cache, "plugstorm"), Modules: workloads.Modules, Env: os.Environ(), Log: io.Discard}
	arch, err := images.Archs.Get(m.Arch)
	check(b, err)
	kernel, err := store.Build(b.Context(), arch, images.Source{}, images.Options{})
	check(b, err)
	initramfs, err := store.Initramfs(b.Context(), kernel, arch)
	check(b, err)
	emulator, version, err := vm.Emulator(b.Context(), m)
	check(b, err)
	return vm.Spec{
		Machine: m, Accel: vm.TCG, Emulator: emulator, Version: version, Kernel: kernel.Image, Initramfs: initramfs,
		AutoOnline: true, Console: func(console.Chunk) error { return nil },
	}
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// harnessPace runs a suite and counts the cycles in its history, and what a
// step cost the controller, in milliseconds of CPU time.
func harnessPace(b *testing.B, s vm.Spec, suite *schedule.Scenario) (cyclesPerSecond, perStep float64) {
	b.Helper()
	dir := filepath.Join(b.TempDir(), "run")
	m := &meter{}
	check(b, run.Run(b.Context(), run.Config{
		Case: history.Case{
			Machine: s.Machine.Name, Suite: suite.Name, Duration: paceFor,
			Kernel: history.Kernel{Image: s.Kernel, Initramfs: s.Initramfs},
		},
		Machine: s.Machine, Backend: vm.QEMU, Accel: s.Accel, Emulator: s.Emulator, Version: s.Version,
		Scenario: suite, Dir: dir, Watch: m.watch,
	}))
	h, err := history.Read(dir)
	check(b, err)
	var first, last time.Duration
	moved := 0 // DIMMs, in or out
	cycle := map[int]bool{}
	for _, e := range h.Events {
		switch {
		case e.Type == history.AgentUp && first == 0:
			first = e.At
		case e.Type == history.StepBegin:
			kind := e.Step.Op.Kind
			cycle[e.Seq] = kind == op.DIMMAdd || kind == op.DIMMRemove
		case e.Type == history.StepEnd && e.Outcome == op.Done && cycle[e.Seq]:
			moved++
			last = e.At
		}
	}
	if moved == 0 || m.steps == 0 {
		b.Logf("%s: %d DIMMs moved and %d steps done within %s: is the host busy?", suite.Name, moved, m.steps, paceFor)
		return 0, 0
	}
	return float64(moved) / 2 / (last - first).Seconds(), m.used.Seconds() * 1000 / float64(m.steps)
}

// A meter measures what the controller uses while it storms.
type meter struct {
	mu      sync.Mutex
	storms  bool
	before  time.Duration
	already int
	used    time.Duration
	steps   int
}

func (m *meter) watch(p run.Progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case p.Phase == "storming" && !m.storms:
		m.storms, m.before, m.already = true, cpuTime(), p.Steps
	case p.Phase != "booting" && m.storms:
		m.used, m.steps = cpuTime()-m.before, p.Steps-m.already
	}
}

// cpuTime is the CPU time that this process has used, its children's apart.
func cpuTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u) // fails for a bad argument only
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// barePace does the same with QMP alone.
func barePace(b *testing.B, s vm.Spec) float64 {
	b.Helper()
	s.Dir = filepath.Join(b.TempDir(), "bare")
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	v, _, err := bare.Boot(ctx, vm.QEMU, s)
	check(b, err)
	defer v.Close()
	loop := bare.NewLoop(ctx, v)
	cycles, began := 0, time.Now()
	for time.Since(began) < paceFor {
		check(b, loop.Cycle(ctx, "d"))
		cycles++
	}
	return float64(cycles) / time.Since(began).Seconds()
}
