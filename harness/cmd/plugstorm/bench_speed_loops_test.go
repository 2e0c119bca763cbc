// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"
)

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
