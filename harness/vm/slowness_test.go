// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"math"
	"testing"
	"time"
)

func TestPaceSlowness(t *testing.T) {
	m := &Machine{BootReference: 6 * time.Second}
	ms := func(all ...int) []time.Duration {
		var d []time.Duration
		for _, one := range all {
			d = append(d, time.Duration(one)*time.Millisecond)
		}
		return d
	}
	for name, tt := range map[string]struct {
		pace Pace
		load float64
		work []time.Duration
		want float64
	}{
		"nothing is known":              {Pace{}, 0, nil, 1},
		"as on the reference host":      {Pace{Boot: 6 * time.Second, Work: time.Millisecond}, 0.5, ms(1, 1, 1), 1},
		"a slow CPU":                    {Pace{Boot: 12 * time.Second, Work: time.Millisecond}, 0.5, ms(1, 1, 1), 2},
		"saved on a busy host":          {Pace{Boot: 24 * time.Second, Starved: 0.75, Work: time.Millisecond}, 0, ms(1, 1, 1), 1},
		"restored on a busy host":       {Pace{Boot: 6 * time.Second, Work: time.Millisecond}, 5, ms(1, 1, 1), 5},
		"a slower clock now":            {Pace{Boot: 6 * time.Second, Work: time.Millisecond}, 1, ms(3, 3, 3), 3},
		"one round was interrupted":     {Pace{Boot: 6 * time.Second, Work: time.Millisecond}, 1, ms(1, 1, 800), 1},
		"busier than anybody would say": {Pace{Boot: 6 * time.Second, Work: time.Millisecond}, 400, nil, maxBusy},
		"a faster host than then":       {Pace{Boot: 6 * time.Second, Work: 9 * time.Millisecond}, 0, ms(1, 1, 1), 1},
	} {
		if got := tt.pace.slowness(m, tt.load, tt.work); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// TestTempo: starvation stretches deadlines at once, and is forgotten slowly.
func TestTempo(t *testing.T) {
	var zero tempo
	if zero.slowness() != 1 {
		t.Errorf("nothing is known: %v", zero.slowness())
	}
	tempo := &tempo{}
	tempo.set(3, 1.5)
	tempo.sample(0.1)
	if got := tempo.slowness(); got != 3 {
		t.Errorf("a host that is better than when the guest came up: %v", got)
	}
	tempo.sample(0.75)
	if got := tempo.slowness(); got != 6 {
		t.Errorf("three quarters starved: %v, want 6", got)
	}
	tempo.sample(0)
	if got := tempo.slowness(); got <= 3 || got >= 6 {
		t.Errorf("just after it: %v", got)
	}
	for range 60 {
		tempo.sample(0)
	}
	if got := tempo.slowness(); got != 3 {
		t.Errorf("five minutes after it: %v", got)
	}
	tempo.sample(1)
	if got := tempo.slowness(); math.Abs(got-30) > 1e-9 {
		t.Errorf("no CPU at all: %v", got)
	}
}

func TestParseLoad(t *testing.T) {
	for text, want := range map[string]float64{
		"2.50 3.75 1.76 3/231 12345\n": 2.5, "": 0, "much": 0, "-1 0 0": 0, "NaN": 0, "+Inf": 0,
	} {
		if got := parseLoad(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
