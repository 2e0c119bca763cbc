// SPDX-License-Identifier: Apache-2.0

package main

import (
	"plugstorm/harness/run"
	"plugstorm/harness/vm"
	"plugstorm/images"
)

// snapshots is where a run keeps saved guests and finds them again: in the
// cache.
func (a *app) snapshots(m *vm.Machine, accel vm.Accel, v vm.Version) (run.Snapshots, error) {
	store, err := a.store()
	if err != nil {
		return nil, err
	}
	return cachedGuests{store, vm.CanSnapshot(m, accel, v)}, nil
}

// cachedGuests are the saved guests in the cache.
type cachedGuests struct {
	store *images.Store
	why   error // why there can't be any; nil if there can
}

func (c cachedGuests) Find(identity []string) (dir string, release func(), err error) {
	if c.why != nil {
		return "", nil, c.why
	}
	return c.store.FindGuest(identity...)
}

func (c cachedGuests) Keep(identity []string, fill func(dir string) error) (bool, error) {
	return c.store.KeepGuest(fill, identity...)
}

func (c cachedGuests) Drop(identity []string) error { return c.store.DropGuest(identity...) }
