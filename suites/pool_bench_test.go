// SPDX-License-Identifier: Apache-2.0

package suites_test

import (
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"plugstorm/guests"
	"plugstorm/harness/vm"
)

// poolGuests go on from one snapshot in BenchmarkPoolMemory, of poolMiB each.
const (
	poolGuests = 4
	poolMiB    = 512
)

// BenchmarkPoolMemory measures what guests have of the host's memory for
// themselves as soon as they are up: one that booted, and the largest of several
// that go on from its snapshot, by reading its memory and by mapping it.
func BenchmarkPoolMemory(b *testing.B) {
	machine := *guests.X8664 // no other machine can be saved under TCG
	machine.MemMiB = poolMiB
	spec := paceSpec(b, &machine)
	spec.Savable = true
	for b.Loop() {
		dir := b.TempDir()
		spec.Dir = filepath.Join(dir, "booted")
		booted, err := vm.QEMU.Start(b.Context(), spec)
		check(b, err)
		defer booted.Close()
		_, err = booted.WaitAgent(b.Context())
		check(b, err)
		woken, err := booted.Wake(b.Context())
		check(b, err)
		snapshot := &vm.Snapshot{Dir: b.TempDir(), Name: b.Name(), Pace: booted.Pace(woken)}
		check(b, booted.Save(b.Context(), snapshot, func([]byte) error { return nil }))
		b.ReportMetric(float64(booted.Private()>>20), "MiB-booted")
		b.ReportMetric(restored(b, snapshot, spec, filepath.Join(dir, "read")), "MiB-read")
		check(b, vm.QEMU.Share(b.Context(), snapshot, booted.Spec))
		b.ReportMetric(restored(b, snapshot, spec, filepath.Join(dir, "mapped")), "MiB-mapped")
		b.ReportMetric(float64(snapshot.Bytes>>20), "MiB-snapshot")
	}
}

// restored is the private memory of the largest of some guests that go on from a
// snapshot side by side, in MiB.
func restored(b *testing.B, s *vm.Snapshot, spec vm.Spec, dir string) float64 {
	b.Helper()
	var most int64
	for i := range poolGuests {
		spec.Dir = filepath.Join(dir, strconv.Itoa(i))
		began := time.Now()
		v, _, err := vm.Restore(b.Context(), vm.QEMU, spec, s, vm.HostLoad())
		check(b, err)
		defer v.Close()
		b.Logf("%s: up after %s, %d MiB", spec.Dir, time.Since(began).Round(time.Millisecond), v.Private()>>20)
		most = max(most, v.Private())
	}
	return float64(most >> 20)
}
