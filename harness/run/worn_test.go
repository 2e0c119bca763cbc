// SPDX-License-Identifier: Apache-2.0

package run

import (
	"errors"
	"strings"
	"testing"
	"time"

	"plugstorm/harness/op"
)

func TestWorn(t *testing.T) {
	start := time.Unix(1000, 0)
	late := start.Add(2 * wornAfter)
	refused := func(w worn, times int, at time.Time) (err error) {
		for range times {
			err = w.note("dimm", "dimm-add", op.Refused, at, wornAfter)
		}
		return err
	}
	w := worn{}
	if err := refused(w, 3*wornSteps, late); err != nil {
		t.Errorf("a lane that never did anything wears its guest out: %v", err)
	}
	if err := w.note("dimm", "dimm-add", op.Done, start, wornAfter); err != nil {
		t.Error(err)
	}
	if err := refused(w, 3*wornSteps, start.Add(wornAfter/2)); err != nil {
		t.Errorf("before its time: %v", err)
	}
	if err := w.note("dimm", "dimm-add", op.Done, start, wornAfter); err != nil {
		t.Error(err)
	}
	if err := w.note("dimm", "block-offline", op.Done, late, wornAfter); err != nil {
		t.Error(err)
	}
	if err := refused(w, wornSteps-1, late); err != nil {
		t.Errorf("too few steps: %v", err)
	}
	if err := w.note("dimm", "dimm-add", op.Pending, late, wornAfter); err != nil {
		t.Errorf("a pending step is no refused one: %v", err)
	}
	err := refused(w, 1, late)
	if !errors.Is(err, errTimeUp) || !strings.Contains(err.Error(), "lane dimm") {
		t.Errorf("%v is no turn's end", err)
	}
}

func TestBreath(t *testing.T) {
	var b breath
	var sum time.Duration
	for range breathAfter {
		sum += b.next(op.Refused)
	}
	if sum != 0 {
		t.Errorf("a few refusals cost %s", sum)
	}
	last := time.Duration(0)
	for range 100 {
		pause := b.next(op.Refused)
		if pause < last || pause < breathFirst || pause > breathMost {
			t.Fatalf("%s after %s", pause, last)
		}
		last = pause
	}
	if last != breathMost {
		t.Errorf("after a hundred refusals %s", last)
	}
	if pause := b.next(op.Done) + b.next(op.Refused); pause != 0 {
		t.Errorf("a done step is not the end of it: %s", pause)
	}
}
