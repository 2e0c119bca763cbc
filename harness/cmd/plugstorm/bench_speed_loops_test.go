// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"plugstorm/guests"
	"plugstorm/harness/speed"
	"plugstorm/harness/vm"
	"plugstorm/harness/vm/vmtest"
)

// TestBareLoops: guests loop at the same time, whichever of them was up first, and
// what they do is added up.
func TestBareLoops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var started atomic.Int64
		backend := &vm.Backend{Start: func(ctx context.Context, s vm.Spec) (*vm.VM, error) {
			slow := vmtest.Character{Boot: time.Duration(started.Add(1)) * time.Minute, Unplug: func(g *vmtest.Guest, device string) {
				time.Sleep(250 * time.Millisecond)
				g.Release(device)
			}}
			g, err := vmtest.Start(ctx, s, slow)
			if err != nil {
				return nil, err
			}
			return g.VM, nil
		}}
		b := &speedBench{flags: &speedFlags{loop: 10 * time.Second}, dir: t.TempDir(), backend: backend}
		target := &speedTarget{machine: guests.X8664, spec: vm.Spec{Machine: guests.X8664, Accel: vm.KVM, AutoOnline: true}}
		began := time.Now()
		v, err := b.bareTogether(t.Context(), target, speed.Sample{Part: "guests", Machine: "x86_64", Size: 3})
		if err != nil || started.Load() != 3 {
			t.Fatalf("%v, %d guests", err, started.Load())
		}
		if took := time.Since(began); took != 3*time.Minute+10*time.Second {
			t.Errorf("it took %s", took)
		}
		if v["ops_per_s"] != 3*8 {
			t.Errorf("three guests do %v ops a second, want 24", v["ops_per_s"])
		}
	})
}

// steady is a run that does an op each second from first on.
func steady(first time.Duration, ops int) *traced {
	t := &traced{first: first, stormed: time.Duration(ops) * time.Second}
	for i := range ops {
		t.done = append(t.done, first+time.Duration(i+1)*time.Second)
	}
	return t
}

// TestJoinedPace: guests that begin one after the other are measured while all of
// them are at it; those that had to wait for others, with them.
func TestJoinedPace(t *testing.T) {
	for _, tt := range []struct {
		name string
		runs []*traced
		want float64
	}{
		{"one", []*traced{steady(time.Second, 10)}, 1},
		{"together", []*traced{steady(0, 10), steady(4*time.Second, 10)}, 2},
		{"one after the other", []*traced{steady(0, 10), steady(10*time.Second, 10)}, 1},
		{"almost one after the other", []*traced{steady(0, 10), steady(9*time.Second, 10)}, 20.0 / 19},
		{"nothing was done", []*traced{{first: time.Second}}, 0},
	} {
		if got := joinedPace(tt.runs); got != tt.want {
			t.Errorf("%s: %v ops a second, want %v", tt.name, got, tt.want)
		}
	}
}
