// SPDX-License-Identifier: Apache-2.0

// Package console reads the guest's serial console. QEMU writes the console
// to a file by itself (-chardev file), so neither a slow reader nor the
// controller's death holds up the guest or loses a byte; this package follows
// that file, splits it into lines, and makes its text safe to show. What a
// guest prints is untrusted.
package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"plugstorm/harness/blame"
)

// A Chunk is a piece of console output.
type Chunk struct {
	At     time.Time // when we read it, with the monotonic clock: at or soon after QEMU's write
	Offset int64     // of its first byte in the file
	Data   []byte    // never empty; the receiver's to keep
}

// DefaultLimit is Follow's limit in bytes. The slowest storms print some
// megabytes in ten minutes.
const DefaultLimit = 256 << 20

// ErrFlood says that the guest printed more than the limit. The harness owns
// it: too much console output is not by itself a defect of the kernel, since
// our own faults and workloads may cause it. So it makes a run unknown, never
// a finding; what was read up to the limit is judged as usual. QEMU goes on
// writing to the file, so the receiver of this error must end the guest.
var ErrFlood = errors.New("the guest floods its console")

// ErrTruncated says that the file got shorter, which nobody may do to it.
var ErrTruncated = errors.New("the console file was truncated")

const (
	pieceSize  = 64 << 10               // largest Chunk in bytes
	pollNotify = 500 * time.Millisecond // between two looks at the file beside inotify
	restNotify = 20 * time.Millisecond  // between two looks that inotify asks for
	pollAlone  = 20 * time.Millisecond  // and without it
)

// A Follower reads a growing file. The zero value has no limit.
type Follower struct {
	Limit int64 // bytes; reading more is ErrFlood; 0 for none
	Poll  bool  // don't use inotify
}

// Follow reads path with DefaultLimit; see Follower.Follow.
func Follow(ctx context.Context, path string, sink func(Chunk) error) error {
	return Follower{Limit: DefaultLimit}.Follow(ctx, path, sink)
}

// Follow reads the growing file at path, for which it waits, until ctx ends;
// then it reads what the file holds at that moment and returns nil. It calls
// sink for every piece, in order and never concurrently; together the pieces
// are the file. An error of sink's ends it and is returned as it is.
//
// A file that never appeared is an error for which fs.ErrNotExist holds: QEMU
// didn't start.
func (f Follower) Follow(ctx context.Context, path string, sink func(Chunk) error) error {
	w := f.watch(path)
	defer w.close()
	file, err := open(ctx, path, w)
	if err != nil {
		return err
	}
	defer file.Close()
	w.add(path)

	r := reader{file: file, limit: f.Limit, sink: sink}
	for {
		// Asked before reading: what is there when ctx ends is read below.
		over := ctx.Err() != nil
		info, err := file.Stat()
		if err != nil {
			return blame.On(blame.Host, err, "")
		}
		if err := r.upTo(info.Size()); err != nil || over {
			return err
		}
		w.wait(ctx)
	}
}

// open waits for the file to appear. It tries once more after ctx has ended.
func open(ctx context.Context, path string, w *watcher) (*os.File, error) {
	for {
		over := ctx.Err() != nil
		file, err := os.Open(path)
		switch {
		case err == nil:
			return file, nil
		case !errors.Is(err, fs.ErrNotExist):
			return nil, blame.On(blame.Host, err, "check the permissions of the run directory")
		case over:
			return nil, blame.Errorf(blame.Hypervisor, "look at QEMU's exit status and its stderr",
				"QEMU made no console file: %w", err)
		}
		w.wait(ctx)
	}
}

// A reader has read the file's first offset bytes.
type reader struct {
	file   io.ReaderAt
	limit  int64
	sink   func(Chunk) error
	offset int64
	piece  [pieceSize]byte
}

// upTo reads as far as size and no farther, so that a guest that prints
// faster than we read can't keep us from noticing the end of ctx.
func (r *reader) upTo(size int64) error {
	if size < r.offset {
		return blame.Errorf(blame.Host, "find out who writes to the run directory",
			"%w from %d to %d bytes", ErrTruncated, r.offset, size)
	}
	flood := r.limit > 0 && size > r.limit
	if flood {
		size = r.limit
	}
	for r.offset < size {
		n, err := r.file.ReadAt(r.piece[:min(pieceSize, size-r.offset)], r.offset)
		if n > 0 {
			c := Chunk{At: time.Now(), Offset: r.offset, Data: bytes.Clone(r.piece[:n])}
			r.offset += int64(n)
			if err := r.sink(c); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF && n == 0:
			return blame.Errorf(blame.Host, "find out who writes to the run directory", "%w below %d bytes", ErrTruncated, size)
		case err != nil && err != io.EOF:
			return blame.On(blame.Host, err, "")
		}
	}
	if flood {
		return blame.On(blame.Harness, fmt.Errorf("%w: more than %d bytes", ErrFlood, r.limit),
			"see the end of the console file for what is printed; print less or raise the limit")
	}
	return nil
}
