// SPDX-License-Identifier: Apache-2.0

package suites_test

import (
	"path/filepath"
	"strconv"
	"testing"

	"plugstorm/guests"
	"plugstorm/harness/vm"
)

// poolGuests go on from one snapshot in BenchmarkPoolMemory, of poolMiB each.
const (
	poolGuests = 4
	poolMiB    = 512
)

// BenchmarkPoolMemory measures what guests that go on from one snapshot have of
// the host's memory for themselves, as soon as they are up: the largest of them,
// and the one that booted and was saved.
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
		var most int64
		for i := range poolGuests {
			spec.Dir = filepath.Join(dir, strconv.Itoa(i))
			v, _, err := vm.Restore(b.Context(), vm.QEMU, spec, snapshot, vm.HostLoad())
			check(b, err)
			defer v.Close()
			most = max(most, v.Private())
		}
		b.ReportMetric(float64(booted.Private()>>20), "MiB-booted")
		b.ReportMetric(float64(most>>20), "MiB-restored")
		b.ReportMetric(float64(snapshot.Bytes>>20), "MiB-snapshot")
	}
}
