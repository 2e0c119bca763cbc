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
	"plugstorm/harness/agent"
	"plugstorm/harness/console"
	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/qmp"
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
				var bare, idle, storm, ratios, stormRatios, cpu, stormCPU []float64
				for range paceRounds {
					bare = append(bare, barePace(b, spec))
					cycles, perStep := harnessPace(b, spec, suites.Pace)
					idle, cpu = append(idle, cycles), append(cpu, perStep)
					ratios = append(ratios, cycles/bare[len(bare)-1])
					cycles, perStep = harnessPace(b, spec, suites.Storm)
					storm, stormCPU = append(storm, cycles), append(stormCPU, perStep)
					stormRatios = append(stormRatios, cycles/bare[len(bare)-1])
				}
				b.ReportMetric(median(bare), "bare-cycles/s")
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

// barePace does the same with QMP alone: add, the completion event where the
// machine has one, remove, DEVICE_DELETED and where there is one its completion.
func barePace(b *testing.B, s vm.Spec) float64 {
	b.Helper()
	s.Dir = filepath.Join(b.TempDir(), "bare")
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	v, err := vm.QEMU.Start(ctx, s)
	check(b, err)
	defer v.Close()
	_, err = v.WaitAgent(ctx)
	check(b, err)
	events := v.Monitor.Watch(ctx)
	cycles, began := 0, time.Now()
	for time.Since(began) < paceFor {
		size := map[string]any{"size": s.Machine.DIMM.UnitMiB << 20}
		check(b, qmp.ObjectAdd(ctx, v.Monitor, "memory-backend-ram", "m", size))
		check(b, qmp.DeviceAdd(ctx, v.Monitor, "pc-dimm", "d", map[string]any{"memdev": "m", "node": s.Machine.DIMM.Node}))
		acpi := s.Machine.DIMM.AddEvent != ""
		if acpi {
			await(b, events, inserted)
		} else {
			awaitMemory(ctx, b, v) // no event tells; removing it before is refused
		}
		check(b, qmp.DeviceDel(ctx, v.Monitor, "d"))
		await(b, events, deleted)
		if acpi {
			await(b, events, ejected) // before that the guest takes a new DIMM in the slot for the old one
		}
		check(b, qmp.ObjectDel(ctx, v.Monitor, "m"))
		cycles++
	}
	return float64(cycles) / time.Since(began).Seconds()
}

// The events that a cycle waits for.
func inserted(event any) bool { return answered(event, qmp.OSTDeviceCheck) }
func ejected(event any) bool  { return answered(event, qmp.OSTEjectRequest) }
func deleted(event any) bool {
	_, ok := event.(qmp.DeviceDeleted)
	return ok
}

func answered(event any, source int64) bool {
	ost, ok := event.(qmp.ACPIDeviceOST)
	return ok && ost.Source == source && ost.Status == qmp.OSTSuccess
}

// awaitMemory asks the guest until it has more memory than before the add.
func awaitMemory(ctx context.Context, b *testing.B, v *vm.VM) {
	b.Helper()
	devices, err := qmp.QueryMemoryDevices(ctx, v.Monitor)
	check(b, err)
	where := agent.MemoryParams{Start: devices[0].Data.Addr, Size: devices[0].Data.Size}
	for {
		var m agent.MemoryReply
		check(b, v.Agent.Call(ctx, agent.MethodMemory, where, &m))
		if m.Present && m.Blocks[0].State == "online" {
			return
		}
	}
}

// await reads events up to one that fits.
func await(b *testing.B, events <-chan qmp.Event, fits func(any) bool) {
	b.Helper()
	for e := range events {
		data, err := e.Decode()
		check(b, err)
		if fits(data) {
			return
		}
	}
	b.Fatal("QEMU is gone")
}
