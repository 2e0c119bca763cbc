// SPDX-License-Identifier: Apache-2.0

package vm

import "sync"

// Devices is what has been plugged into a guest by us: the truth as QEMU told
// it, unlike op.State, which is what a schedule expects. Safe for concurrent
// use.
type Devices struct {
	mu      sync.Mutex
	dimms   map[string]dimm
	leaving map[string]bool // devices whose removal is under way
	adds    int             // vCPUs added since boot
}

// A Range is a piece of guest-physical memory, in bytes.
type Range struct {
	Start uint64 `json:"start"`
	Size  uint64 `json:"size"`
}

// A dimm is one that is plugged, and whether its memory was seen bound to the
// firmware's device.
type dimm struct {
	at    Range
	bound bool
}

func newDevices() *Devices { return &Devices{dimms: map[string]dimm{}, leaving: map[string]bool{}} }

// SetDIMM records where a DIMM is. Nobody knows yet what the guest makes of it.
func (d *Devices) SetDIMM(id string, r Range) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dimms[id] = dimm{at: r}
}

// SetDIMMBound records that the guest's memory blocks are bound to the DIMM's device.
func (d *Devices) SetDIMMBound(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if m, ok := d.dimms[id]; ok {
		m.bound = true
		d.dimms[id] = m
	}
}

// DIMMBound reports whether that was recorded.
func (d *Devices) DIMMBound(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dimms[id].bound
}

// DropDIMM forgets a DIMM that has left.
func (d *Devices) DropDIMM(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.dimms, id)
}

// DIMM says where a DIMM is, if it is plugged.
func (d *Devices) DIMM(id string) (Range, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m, ok := d.dimms[id]
	return m.at, ok
}

// SpendVCPUAdd takes one vCPU add out of a budget of limit adds (-1: no
// limit) and reports whether one was left.
func (d *Devices) SpendVCPUAdd(limit int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if limit >= 0 && d.adds >= limit {
		return false
	}
	d.adds++
	return true
}

// SetLeaving records that a removal of a device is, or is no longer, under way.
func (d *Devices) SetLeaving(id string, leaving bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if leaving {
		d.leaving[id] = true
	} else {
		delete(d.leaving, id)
	}
}

// IsLeaving reports whether a removal of the device is under way.
func (d *Devices) IsLeaving(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.leaving[id]
}

// Leaving counts the devices whose removal is under way.
func (d *Devices) Leaving() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.leaving)
}
