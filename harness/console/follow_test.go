// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"plugstorm/harness/blame"
	"plugstorm/harness/console"
)

// patience ends a test that hangs; no test passes by waiting for it.
const patience = time.Minute

// A following is a Follow under way.
type following struct {
	t      *testing.T
	path   string
	file   *os.File
	stop   context.CancelFunc
	chunks chan console.Chunk
	result chan error
	got    []byte
	last   time.Time
}

// follow starts a Follower on a file that doesn't exist yet.
func follow(t *testing.T, f console.Follower) *following {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	t.Cleanup(stop)
	fo := &following{t: t, path: filepath.Join(t.TempDir(), "console.log"), stop: stop,
		chunks: make(chan console.Chunk, 1000), result: make(chan error, 1)}
	go func() {
		fo.result <- f.Follow(ctx, fo.path, func(c console.Chunk) error { fo.chunks <- c; return nil })
		close(fo.chunks)
	}()
	return fo
}

func (f *following) write(data string) {
	f.t.Helper()
	if f.file == nil {
		file, err := os.Create(f.path)
		if err != nil {
			f.t.Fatal(err)
		}
		f.t.Cleanup(func() { file.Close() })
		f.file = file
	}
	if _, err := f.file.WriteString(data); err != nil {
		f.t.Fatal(err)
	}
}

// take adds a chunk to what was got, and checks that it belongs there.
func (f *following) take(c console.Chunk) {
	f.t.Helper()
	if c.Offset != int64(len(f.got)) || len(c.Data) == 0 || c.At.Before(f.last) {
		f.t.Fatalf("chunk of %d bytes at offset %d, time %v; have %d bytes until %v", len(c.Data), c.Offset, c.At, len(f.got), f.last)
	}
	f.got, f.last = append(f.got, c.Data...), c.At
}

// read waits until want has been got.
func (f *following) read(want string) {
	f.t.Helper()
	for len(f.got) < len(want) {
		c, ok := <-f.chunks
		if !ok {
			f.t.Fatalf("ended after %d bytes: %v", len(f.got), <-f.result)
		}
		f.take(c)
	}
	if string(f.got) != want {
		f.t.Fatalf("got %.80q, want %.80q", f.got, want)
	}
}

// end takes all that is left and returns Follow's error.
func (f *following) end() error {
	f.t.Helper()
	for c := range f.chunks {
		f.take(c)
	}
	return <-f.result
}

// both runs a test with inotify and without.
func both(t *testing.T, f console.Follower, test func(*testing.T, *following)) {
	t.Run("inotify", func(t *testing.T) { test(t, follow(t, f)) })
	f.Poll = true
	t.Run("poll", func(t *testing.T) { test(t, follow(t, f)) })
}

func TestFollowByteByByte(t *testing.T) {
	both(t, console.Follower{}, func(t *testing.T, f *following) {
		// Long enough to run out of patience if only the ticker worked beside inotify.
		text := "[    0.000000] Linux version 6.12.117 (plugstorm@host)\r\n"
		for i := range len(text) {
			f.write(text[i : i+1])
			f.read(text[:i+1])
		}
		f.stop()
		if err := f.end(); err != nil {
			t.Error(err)
		}
	})
}

// TestFollowRests: bytes that come one by one, as QEMU writes them, don't cost a
// look each.
func TestFollowRests(t *testing.T) {
	f := follow(t, console.Follower{})
	began := time.Now()
	const n = 500
	for range n {
		f.write("x")
		time.Sleep(100 * time.Microsecond)
	}
	f.stop()
	looks := 0
	for c := range f.chunks {
		f.take(c)
		looks++
	}
	// One in 5 ms, the ticker's, and those of the beginning and the end.
	if most := int(time.Since(began)/(5*time.Millisecond)) + int(time.Since(began)/(500*time.Millisecond)) + 4; looks > most || len(f.got) != n {
		t.Errorf("%d looks at %d bytes in %s, want at most %d", looks, len(f.got), time.Since(began), most)
	}
}

func TestFollowBigWrites(t *testing.T) {
	both(t, console.Follower{Limit: 8 << 20}, func(t *testing.T, f *following) {
		text := strings.Repeat("0123456789abcde\n", 1<<16)
		for i := range 3 {
			f.write(text)
			f.read(strings.Repeat(text, i+1))
		}
	})
}

func TestFollowReadsTheRest(t *testing.T) {
	both(t, console.Follower{}, func(t *testing.T, f *following) {
		f.write("early")
		f.read("early")
		// ctx ends first, so the rest can only come from the last look.
		release := make(chan struct{})
		ctx, stop := context.WithCancel(t.Context())
		again := &following{t: t, path: f.path, chunks: make(chan console.Chunk, 10), result: make(chan error, 1)}
		go func() {
			again.result <- console.Follower{}.Follow(ctx, f.path, func(c console.Chunk) error {
				again.chunks <- c
				<-release
				return nil
			})
			close(again.chunks)
		}()
		again.take(<-again.chunks)
		stop()
		f.write(" and late")
		close(release)
		if err := again.end(); err != nil || string(again.got) != "early and late" {
			t.Errorf("got %q, %v", again.got, err)
		}
	})
}

func TestFollowEndsUnderFlood(t *testing.T) {
	path := filepath.Join(t.TempDir(), "console.log")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	more := bytes.Repeat([]byte("x"), 100)
	if _, err := file.Write(more); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	calls := 0
	err = console.Follow(ctx, path, func(console.Chunk) error {
		stop()
		calls++
		_, err := file.Write(more) // the guest always prints on
		return err
	})
	if err != nil || calls != 2 {
		t.Errorf("%d calls, want the one before ctx ended and one after it; %v", calls, err)
	}
}

func TestFollowFlood(t *testing.T) {
	both(t, console.Follower{Limit: 1000}, func(t *testing.T, f *following) {
		text := strings.Repeat("x", 1000)
		f.write(text)
		f.read(text) // exactly the limit is no flood
		f.write("y")
		err := f.end()
		if !errors.Is(err, console.ErrFlood) || blame.Of(err) != blame.Harness || blame.Next(err) == "" {
			t.Errorf("error is %v", err)
		}
		f.read(text)
	})
	both(t, console.Follower{Limit: 10}, func(t *testing.T, f *following) {
		f.write("0123456789abc")
		if err := f.end(); !errors.Is(err, console.ErrFlood) || string(f.got) != "0123456789" {
			t.Errorf("got %q, %v", f.got, err)
		}
	})
}

func TestFollowTruncated(t *testing.T) {
	both(t, console.Follower{}, func(t *testing.T, f *following) {
		f.write("some text")
		f.read("some text")
		if err := f.file.Truncate(4); err != nil {
			t.Fatal(err)
		}
		if err := f.end(); !errors.Is(err, console.ErrTruncated) || blame.Of(err) != blame.Host {
			t.Errorf("error is %v", err)
		}
	})
}

func TestFollowWithoutFile(t *testing.T) {
	both(t, console.Follower{}, func(t *testing.T, f *following) {
		f.stop()
		if err := f.end(); !errors.Is(err, fs.ErrNotExist) || blame.Of(err) != blame.Hypervisor {
			t.Errorf("error is %v", err)
		}
	})
	err := console.Follow(t.Context(), filepath.Join(t.TempDir(), "file", "console.log\x00"), nil)
	if blame.Of(err) != blame.Host {
		t.Errorf("an impossible path: %v", err)
	}
}

func TestFollowAfterTheEnd(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	path := filepath.Join(t.TempDir(), "console.log")
	if err := os.WriteFile(path, []byte("whole"), 0o600); err != nil {
		t.Fatal(err)
	}
	var got []byte
	err := console.Follow(ctx, path, func(c console.Chunk) error { got = append(got, c.Data...); return nil })
	if err != nil || string(got) != "whole" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestFollowSinkFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "console.log")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	full, calls := errors.New("disk full"), 0
	err := console.Follow(t.Context(), path, func(console.Chunk) error { calls++; return full })
	if err != full || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}
