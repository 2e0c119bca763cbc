// SPDX-License-Identifier: Apache-2.0

package suites_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
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
// harness and in a bare QMP loop, each in a fresh guest, turn and turn about.
// "ratio" is the median of the rounds' quotients. "controller-ms/step" is the
// CPU time of this process, which is the controller, over the steps done; it
// includes that of the guest's boot.
func BenchmarkPace(b *testing.B) {
	for _, machine := range guests.Default() {
		b.Run(machine.Name, func(b *testing.B) {
			spec := paceSpec(b, machine)
			for b.Loop() {
				var bare, ours, ratios, cpu []float64
				for range paceRounds {
					bare = append(bare, barePace(b, spec))
					cycles, perStep := harnessPace(b, spec)
					ours, cpu = append(ours, cycles), append(cpu, perStep.Seconds()*1000)
					ratios = append(ratios, ours[len(ours)-1]/bare[len(bare)-1])
				}
				b.ReportMetric(median(bare), "bare-cycles/s")
				b.ReportMetric(median(ours), "harness-cycles/s")
				b.ReportMetric(median(ratios), "ratio")
				b.ReportMetric(median(cpu), "controller-ms/step")
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

// harnessPace runs the pace suite and counts the cycles in its history, and
// what a step cost the controller.
func harnessPace(b *testing.B, s vm.Spec) (cyclesPerSecond float64, cpuPerStep time.Duration) {
	b.Helper()
	before := cpuTime(b)
	dir := filepath.Join(b.TempDir(), "run")
	check(b, run.Run(b.Context(), run.Config{
		Case: history.Case{
			Machine: s.Machine.Name, Suite: suites.Pace.Name, Duration: paceFor,
			Kernel: history.Kernel{Image: s.Kernel, Initramfs: s.Initramfs},
		},
		Machine: s.Machine, Backend: vm.QEMU, Accel: s.Accel, Emulator: s.Emulator, Version: s.Version,
		Scenario: suites.Pace, Dir: dir,
	}))
	used := cpuTime(b) - before
	h, err := history.Read(dir)
	check(b, err)
	var first, last time.Duration
	done := 0
	for _, e := range h.Events {
		switch {
		case e.Type == history.StepBegin && first == 0:
			first = e.At
		case e.Type == history.StepEnd && e.Outcome == op.Done:
			done++
			last = e.At
		}
	}
	if done == 0 {
		b.Fatalf("no step was done; see %s", dir)
	}
	return float64(done) / 2 / (last - first).Seconds(), used / time.Duration(done)
}

// cpuTime is the CPU time that this process has used, its children's apart.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	check(b, unix.Getrusage(unix.RUSAGE_SELF, &u))
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
