// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"os"
	"testing"
	"time"
)

func TestStarved(t *testing.T) {
	for _, tt := range []struct {
		name       string
		since, now HostTime
		share      float64
	}{
		{"nothing is known", HostTime{}, HostTime{}, 0},
		{"never waited", HostTime{Ran: 1}, HostTime{Ran: 9}, 0},
		{"half of it", HostTime{time.Second, time.Second}, HostTime{3 * time.Second, 3 * time.Second}, 0.5},
		{"most of it", HostTime{}, HostTime{time.Second, 3 * time.Second}, 0.75},
		{"all of it", HostTime{Ran: 5}, HostTime{Ran: 5, Waited: 7}, 1},
		{"a thread has taken its times along", HostTime{9 * time.Second, 9 * time.Second}, HostTime{time.Second, 10 * time.Second}, 0},
		{"a thread has taken more along", HostTime{9 * time.Second, 9 * time.Second}, HostTime{10 * time.Second, time.Second}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.now.Starved(tt.since); got != tt.share {
				t.Errorf("the share is %f, want %f", got, tt.share)
			}
		})
	}
}

func TestCPUs(t *testing.T) {
	since := HostTime{Ran: 2 * time.Second}
	for _, tt := range []struct {
		ran, passed time.Duration
		want        float64
	}{
		{5 * time.Second, 2 * time.Second, 1.5},
		{2 * time.Second, time.Second, 0},
		{time.Second, time.Second, 0}, // a thread has taken its time along
		{5 * time.Second, 0, 0},
	} {
		if got := (HostTime{Ran: tt.ran}).CPUs(since, tt.passed); got != tt.want {
			t.Errorf("%s in %s is %v CPUs, want %v", tt.ran-since.Ran, tt.passed, got, tt.want)
		}
	}
}

// TestHostTime reads what this kernel says of a process that works.
func TestHostTime(t *testing.T) {
	if _, err := os.Stat("/proc/self/schedstat"); err != nil {
		t.Skip("this kernel doesn't tell")
	}
	p := shell(t, "while :; do :; done")
	defer p.End(nil)
	v := &VM{process: p}
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for v.HostTime().Ran == 0 {
		select {
		case <-ticker.C:
		case <-within(t, patience).Done():
			t.Fatal("a busy process never runs")
		}
	}
	if ran := v.HostTime().Ran; ran > patience {
		t.Errorf("it ran for %s", ran)
	}
}
