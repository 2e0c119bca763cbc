// SPDX-License-Identifier: Apache-2.0

package history

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"plugstorm/harness/blame"
)

// A fullDisk takes room bytes and then answers as a full disk does; giving up
// the ballast makes more room.
type fullDisk struct {
	bytes.Buffer
	room, more int
	err        error
}

func (d *fullDisk) Write(p []byte) (int, error) {
	n := min(len(p), d.room)
	d.room -= n
	_, _ = d.Buffer.Write(p[:n]) // a Buffer's never fails
	if n < len(p) {
		return n, d.err
	}
	return n, nil
}

// Close is the ballast's.
func (d *fullDisk) Close() error {
	d.room += d.more
	d.more = 0
	return nil
}

func TestFull(t *testing.T) {
	c := Case{Version: Version}
	for _, tt := range []struct {
		name       string
		room, more int // bytes; the first event takes about 250, a filler 1,000
		err        error
		events     int // recorded, of 1 + 4
		cut        bool
	}{
		{"room enough", 1 << 20, 0, syscall.ENOSPC, 5, false},
		{"between two lines", 1300, 1 << 20, syscall.ENOSPC, 5, false},
		{"in the middle of a line", 2000, 1 << 20, syscall.ENOSPC, 5, false},
		{"over quota", 2000, 1 << 20, syscall.EDQUOT, 5, false},
		{"somebody else took the ballast's room", 2000, 10, syscall.ENOSPC, 2, true},
		{"the ballast's room is used up", 2000, 2000, syscall.ENOSPC, 4, true},
		{"another error keeps the ballast", 2000, 1 << 20, syscall.EIO, 2, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			disk := &fullDisk{room: tt.room, more: tt.more, err: tt.err}
			w := &Writer{dir: "/runs/one", start: time.Now(), file: nopCloser{disk}, ballast: disk}
			w.Add(Event{Type: RunStart, Case: &c})
			for range 4 {
				w.Add(Event{Type: Fault, Text: strings.Repeat("f", 960)})
			}
			h, err := Parse(&disk.Buffer)
			if err != nil {
				t.Fatal(err)
			}
			if len(h.Events) != tt.events || h.Cut != tt.cut {
				t.Errorf("%d events, cut %v; want %d, %v", len(h.Events), h.Cut, tt.events, tt.cut)
			}
			failed := tt.room < 1<<20
			if got := w.Err(); errors.Is(got, tt.err) != failed || failed && (blame.Of(got) != blame.Host || !strings.Contains(blame.Next(got), "/runs/one")) {
				t.Errorf("%v, next %q", got, blame.Next(got))
			}
		})
	}
}

type nopCloser struct{ *fullDisk }

func (nopCloser) Close() error { return nil }

// TestDevFull is the same with the kernel's own full device.
func TestDevFull(t *testing.T) {
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	ballast, err := layBallast(dir)
	if err != nil {
		t.Fatal(err)
	}
	w := &Writer{dir: dir, start: time.Now(), file: f, ballast: ballast}
	w.Add(Event{Type: RunEnd})
	if err := w.Err(); !errors.Is(err, syscall.ENOSPC) || blame.Of(err) != blame.Host {
		t.Error(err)
	}
	w.Add(Event{Type: RunEnd})
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestBallast: the space is taken while the writer lives, without a name, and
// free afterwards.
func TestBallast(t *testing.T) {
	dir := t.TempDir()
	ballast, err := layBallast(dir)
	if err != nil {
		t.Fatal(err)
	}
	var stat syscall.Stat_t
	if err := syscall.Fstat(int(ballast.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	if got := stat.Blocks * 512; got < ballastBytes || stat.Nlink != 0 {
		t.Errorf("%d bytes taken, %d names; want %d and none", got, stat.Nlink, ballastBytes)
	}
	if err := ballast.Close(); err != nil {
		t.Error(err)
	}
}
