// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

func TestDevicesDIMMs(t *testing.T) {
	d := newDevices()
	if _, there := d.DIMM("a"); there {
		t.Error("there is a DIMM at first")
	}
	want := Range{Start: 1 << 32, Size: 1 << 27}
	d.SetDIMM("a", want)
	if got, there := d.DIMM("a"); !there || got != want {
		t.Errorf("it is at %v, %v", got, there)
	}
	d.DropDIMM("a")
	d.DropDIMM("a")
	if _, there := d.DIMM("a"); there {
		t.Error("it is still there")
	}
}

func TestDevicesLeaving(t *testing.T) {
	d := newDevices()
	for _, step := range []struct {
		id      string
		leaving bool
		count   int
	}{
		{"a", true, 1}, {"b", true, 2}, {"a", true, 2}, {"c", false, 2}, {"a", false, 1}, {"a", false, 1}, {"b", false, 0},
	} {
		d.SetLeaving(step.id, step.leaving)
		if d.IsLeaving(step.id) != step.leaving || d.Leaving() != step.count {
			t.Errorf("%+v: %v, %d are leaving", step, d.IsLeaving(step.id), d.Leaving())
		}
	}
}

// TestSpendVCPUAdd: many at once get no more than there is.
func TestSpendVCPUAdd(t *testing.T) {
	for limit, want := range map[int]int64{-1: 100, 0: 0, 7: 7, 100: 100, 200: 100} {
		d := newDevices()
		var got atomic.Int64
		var tasks sync.WaitGroup
		for i := range 100 {
			tasks.Go(func() {
				if d.SpendVCPUAdd(limit) {
					got.Add(1)
				}
				id := fmt.Sprint("dimm", i%3)
				d.SetDIMM(id, Range{})
				d.SetLeaving(id, i%2 == 0)
				_, _ = d.DIMM(id)
				_ = d.IsLeaving(id) && d.Leaving() > 0
				d.DropDIMM(id)
			})
		}
		tasks.Wait()
		if got.Load() != want {
			t.Errorf("limit %d gave %d, want %d", limit, got.Load(), want)
		}
	}
}
