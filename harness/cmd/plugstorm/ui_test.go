// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/blame"
	"plugstorm/harness/run"
)

func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		name  string
		color bool
		err   error
		want  string
	}{
		{"the user's", false, blame.Errorf(blame.User, "do this", "not that"), "plugstorm: not that\n  next:  do this\n"},
		{"the host's", false, blame.Errorf(blame.Host, "", "no memory"), "plugstorm: no memory\n  fault: host\n"},
		{"nobody's is ours", false, errors.New("oops"), "plugstorm: oops\n  fault: harness\n"},
		{"in colour", true, blame.Errorf(blame.User, "", "not that"), "\x1b[31mplugstorm: not that\x1b[m\n"},
		{"several", false, errors.Join(blame.Errorf(blame.Host, "", "one"), errors.New("two")), "plugstorm: one\ntwo\n  fault: host\n"},
		{"hostile", false, blame.Errorf(blame.User, "\x1b[2J", "file \x1b]0;x\x07\u202egnp.exe"), "plugstorm: file \\x1b]0;x\\x07\\u202egnp.exe\n  next:  \\x1b[2J\n"},
	} {
		var out strings.Builder
		newUI(&out, false, tt.color).error(tt.err)
		if out.String() != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, out.String(), tt.want)
		}
	}
}

// TestErrorsAreWhole: an error that comes while others speak stands in one piece.
func TestErrorsAreWhole(t *testing.T) {
	var out strings.Builder
	u := newUI(&out, false, false)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { u.error(blame.Errorf(blame.Host, "wait", "no memory")) })
		all.Go(func() { u.Line("a line") })
	}
	all.Wait()
	if n := strings.Count(out.String(), "plugstorm: no memory\n  fault: host\n  next:  wait\n"); n != 8 {
		t.Errorf("%d whole errors: %s", n, out.String())
	}
}

// TestPlain: without a terminal, a stage is a line.
func TestPlain(t *testing.T) {
	var out strings.Builder
	u := newUI(&out, false, false)
	u.Stage("compile", 90*time.Second)
	u.Fraction(0.5)
	u.Line("waiting for \x1b[31mhim")
	u.Stage("link \x1b[2J", 0)
	u.close()
	if want := "compile (about 1m30s)\nwaiting for \\x1b[31mhim\nlink \\x1b[2J\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	out.Reset()
	u.Stage("again", 0)
	u.said = u.said.Add(-2 * plainEvery)
	u.Fraction(0.5)
	u.Fraction(0.6)
	if want := "again\nagain: 50% after 0s\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	u.began["again"] = u.began["again"].Add(-time.Hour)
	u.Stage("a stage of another name", 0)
	out.Reset()
	u.Stage("again", 0) // goes on
	u.said = u.said.Add(-2 * plainEvery)
	u.Fraction(0.7)
	if want := "again\nagain: 70% after 1h0m0s\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

func TestQuiet(t *testing.T) {
	for _, terminal := range []bool{false, true} {
		var out strings.Builder
		u := newUI(&out, terminal, false)
		u.quiet = true
		u.Stage("compile", time.Minute)
		u.said = time.Time{}
		u.Fraction(0.5)
		u.Line("waiting")
		u.run(run.Progress{Machine: "x86_64", Total: time.Minute})
		u.close()
		if out.Len() > 0 {
			t.Errorf("on a terminal %v: %q", terminal, out.String())
		}
	}
}

// TestRunProgress: a run is a stage of its machine's name.
func TestRunProgress(t *testing.T) {
	var out strings.Builder
	u := newUI(&out, false, false)
	p := run.Progress{Machine: "x86_64", Phase: "storming", Elapsed: 15 * time.Second, Total: time.Minute, Guest: 2, Steps: 30, Findings: 1}
	u.run(p)
	u.run(p)
	u.said = time.Time{}
	u.run(p)
	if want := "x86_64 (about 1m0s)\nx86_64: storming, 15s of 1m0s, guest 2, 30 steps, 1 complaints\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

// openPTY opens a pseudo-terminal. What is written to its terminal can be read
// from said once both are closed.
func openPTY(t *testing.T) (terminal *os.File, said func() string) {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	number, err := unix.IoctlGetInt(int(control.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(control.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	done := make(chan struct{})
	go func() {
		defer close(done)
		text, _ = io.ReadAll(control) // ends with EIO when the terminal is closed
	}()
	return terminal, func() string {
		_ = terminal.Close()
		<-done
		_ = control.Close()
		return string(text)
	}
}

// TestTerminal: bars come and go from several goroutines, lines are printed
// above them, and close takes them all off.
func TestTerminal(t *testing.T) {
	terminal, said := openPTY(t)
	u := newUI(terminal, true, true)
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			for i := range 10 {
				u.Stage(fmt.Sprintf("stage %d", n), time.Second)
				u.Fraction(float64(i) / 10)
				u.Line("a line")
				u.run(run.Progress{Machine: "x86_64", Elapsed: time.Second, Total: time.Minute})
			}
		})
	}
	all.Wait()
	u.close()
	u.close()
	if u.bar != nil || u.bars != nil {
		t.Error("a bar is left")
	}
	text := said()
	if n := strings.Count(text, "a line"); n != 40 {
		t.Errorf("%d of 40 lines came out: %q", n, text)
	}
}
