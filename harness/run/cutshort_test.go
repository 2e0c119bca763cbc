// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/blame"
	"plugstorm/harness/history"
	"plugstorm/harness/vm/vmtest"
)

func TestInterrupted(t *testing.T) {
	signal := errors.New("interrupt signal received")
	for _, tt := range []struct {
		name  string
		after time.Duration
		play  play
		want  []string
	}{
		{"in the storm", 10 * time.Second, play{}, lines(up(1), "1 guest-end", "1 fault user interrupted after 10s")},
		{"in a step", 10 * time.Second, play{character: func(int) vmtest.Character { return vmtest.Character{Plug: ignore} }},
			lines(up(1), "1 guest-end", "1 fault user interrupted after 10s")},
		{"while booting", 10 * time.Second, play{character: func(int) vmtest.Character { return vmtest.Character{NoAgent: true} }},
			lines("1 guest-start", "1 guest-end", "1 fault user interrupted after 10s")},
		{"while collecting", 61 * time.Second, play{character: func(int) vmtest.Character {
			return vmtest.Character{Methods: map[string]vmtest.Handler{"stop-workload": func(*vmtest.Guest, json.RawMessage) (any, error) { return nil, vmtest.ErrNoAnswer }}}
		}}, lines(up(1), "1 guest-end  the run's time is up", "1 fault user interrupted")},
	} {
		for cause, err := range map[string]error{"plainly": nil, "with a cause": signal} {
			t.Run(tt.name+" "+cause, func(t *testing.T) {
				p := tt.play
				p.during = func(cancel context.CancelCauseFunc) { time.AfterFunc(tt.after, func() { cancel(err) }) }
				r := p.perform(t)
				r.expect(t, lines(runStart, tt.want)...)
				if blame.Of(r.err) != blame.User || err != nil && !errors.Is(r.err, err) || err == nil && !errors.Is(r.err, context.Canceled) {
					t.Errorf("error is %v, of %q", r.err, blame.Of(r.err))
				}
				if late := r.took - tt.after; late > 20*time.Second || late > time.Second && tt.name != "while collecting" {
					t.Errorf("it took %s to end", late)
				}
				if saved, err := history.Schedule(r.dir); err != nil || len(saved) != len(r.Steps()) {
					t.Errorf("%d steps are saved (%v), %d recorded", len(saved), err, len(r.Steps()))
				}
				writes := 0
				for _, call := range r.guests[0].Log() {
					if call == "write-file" {
						writes++
					}
				}
				if writes > 2 { // the hung-task timeout and its interval; the others would be for SysRq
					t.Error("it was asked for last words")
				}
			})
		}
	}
	t.Run("before it began", func(t *testing.T) {
		r := play{during: func(cancel context.CancelCauseFunc) { cancel(nil) }}.perform(t)
		r.expect(t, runStart, "1 guest-start", "1 guest-end", "1 fault user interrupted after 0s")
	})
}

// TestRecordingFails: what can't be recorded isn't done.
func TestRecordingFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	r := play{dir: dir, duration: 10 * time.Minute, scene: func(_ int, g *vmtest.Guest) {
		time.AfterFunc(10*time.Second, func() { fillUp(t, filepath.Join(dir, history.File)) })
	}}.perform(t)
	if blame.Of(r.err) != blame.Host || !errors.Is(r.err, unix.ENOSPC) || blame.Next(r.err) == "" {
		t.Errorf("error is %v, of %q", r.err, blame.Of(r.err))
	}
	if r.took > 15*time.Second {
		t.Errorf("the run went on until %s", r.took)
	}
	if len(r.guests) != 1 {
		t.Errorf("%d guests were started", len(r.guests))
	}
}

// fillUp makes the disk full for whoever has a file open.
func fillUp(t *testing.T, file string) {
	full, err := unix.Open("/dev/full", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Error(err)
		return
	}
	defer unix.Close(full)
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Error(err)
	}
	done := false
	for _, fd := range fds {
		if target, _ := os.Readlink("/proc/self/fd/" + fd.Name()); target == file {
			var n int
			_, _ = fmt.Sscan(fd.Name(), &n)
			done = unix.Dup3(full, n, unix.O_CLOEXEC) == nil
		}
	}
	if !done {
		t.Errorf("nobody has %s open", file)
	}
}

// TestBadDirectory: nothing is started when there is nowhere to record.
func TestBadDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	first := play{duration: time.Second}.perform(t)
	before, err := os.ReadFile(filepath.Join(first.dir, history.File))
	if err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"a file": file, "below a file": filepath.Join(file, "x"), "an earlier run's": first.dir} {
		t.Run(name, func(t *testing.T) {
			r := play{dir: dir}.perform(t)
			if blame.Of(r.err) != blame.Host || blame.Next(r.err) == "" || r.specs != nil {
				t.Errorf("error is %v, of %q, after %d guests", r.err, blame.Of(r.err), len(r.specs))
			}
		})
	}
	if after, err := os.ReadFile(filepath.Join(first.dir, history.File)); err != nil || string(after) != string(before) {
		t.Errorf("the earlier run's history was touched (%v)", err)
	}
}
