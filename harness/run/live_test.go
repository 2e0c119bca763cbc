// SPDX-License-Identifier: Apache-2.0

package run

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"plugstorm/harness/splat"
)

func TestAutoOnline(t *testing.T) {
	for line, want := range map[string]bool{
		"":                                   false,
		"console=ttyS0":                      false,
		"memhp_default_state=online":         true,
		"memhp_default_state=online_movable": true,
		"memhp_default_state=online_kernel":  true,
		"memhp_default_state=offline":        false,
		"x memhp_default_state=online y memhp_default_state=offline z": false,
		"memhp_default_state=offline memhp_default_state=online":       true,
		"xmemhp_default_state=online":                                  false,
	} {
		if got := autoOnline(strings.Fields(line)); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}

// TestSignsOfLife: a heartbeat counts however it is cut, and isn't output.
func TestSignsOfLife(t *testing.T) {
	const line = "[   12.345678][    T1] plugstorm: heartbeat seq=3 up=12345ms free=7 workloads=2\n"
	for cut := range len(line) {
		synctest.Test(t, func(t *testing.T) {
			l := newLive(func(splat.Finding) { t.Error("a heartbeat is a complaint") })
			time.Sleep(10 * time.Second)
			l.feed([]byte(line[:cut]))
			l.feed([]byte(line[cut:]))
			if l.silentFor() != 0 {
				t.Errorf("cut at %d it isn't heard", cut)
			}
			time.Sleep(time.Second)
			l.feed([]byte("plugstorm: something else\n"))
			if l.silentFor() != time.Second || l.quietFor() != 0 {
				t.Errorf("other output: silent for %s, quiet for %s", l.silentFor(), l.quietFor())
			}
			time.Sleep(time.Second)
			l.feed([]byte(line))
			if l.silentFor() != 0 || l.quietFor() != time.Second {
				t.Errorf("a whole heartbeat: silent for %s, quiet for %s", l.silentFor(), l.quietFor())
			}
			l.feed([]byte("output\n" + line))
			if l.quietFor() != 0 {
				t.Error("output isn't heard beside a heartbeat")
			}
			time.Sleep(time.Second)
			l.alive()
			if l.silentFor() != 0 || l.quietFor() != time.Second {
				t.Error("the agent's heartbeat isn't heard, or is taken for output")
			}
		})
	}
}

// TestSettle: a complaint that nobody continues is complete after a while,
// heartbeats notwithstanding, and is told once.
func TestSettle(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "console", "hung_task.txt"))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var titles []string
		l := newLive(func(f splat.Finding) { titles = append(titles, f.Title) })
		for _, line := range strings.SplitAfter(string(data), "\n") {
			l.feed([]byte(line))
			l.settle(time.Second)
		}
		if titles != nil {
			t.Errorf("it is told while it is being printed: %v", titles)
		}
		for range 3 {
			time.Sleep(700 * time.Millisecond)
			l.feed([]byte("plugstorm: heartbeat\n"))
			l.settle(time.Second)
		}
		if len(titles) != 1 {
			t.Errorf("complaints: %q, want one", titles)
		}
		time.Sleep(time.Minute)
		l.settle(0)
		if len(titles) != 1 {
			t.Errorf("it is told again: %q", titles)
		}
	})
}
