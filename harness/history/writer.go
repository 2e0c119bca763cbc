// SPDX-License-Identifier: Apache-2.0

package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"plugstorm/harness/blame"
)

// File names inside a run directory.
const (
	File         = "history.ndjson"
	CaseFile     = "case.json"
	ScheduleFile = "schedule.json"
)

// ballastBytes is what a run keeps allocated so that its last events still
// fit when the disk is full: the ballast is given up for them then.
const ballastBytes = 256 << 10

// A Writer appends to a history. Every event is one write(2) to an O_APPEND
// file, so what was recorded survives the death of the controller at any
// moment. It is safe for concurrent use.
type Writer struct {
	dir   string
	start time.Time

	mu      sync.Mutex
	file    io.WriteCloser
	ballast io.Closer // nil when given up
	err     error     // the first failure
	dead    bool      // an event is missing: none may follow it
}

// Create starts a history in dir, which must exist and hold none.
func Create(dir string, start time.Time) (*Writer, error) {
	const next = "free some space or choose another directory with --out"
	ballast, err := layBallast(dir)
	if err != nil {
		return nil, blame.On(blame.Host, err, next)
	}
	f, err := os.OpenFile(filepath.Join(dir, File), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, errors.Join(blame.On(blame.Host, err, next), ballast.Close())
	}
	return &Writer{dir: dir, start: start, file: f, ballast: ballast}, nil
}

// layBallast allocates space in a file without a name: it is free again when
// the file is closed, or when the process dies.
func layBallast(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, ".ballast-*")
	if err != nil {
		return nil, err
	}
	err = os.Remove(f.Name())
	if err == nil {
		err = syscall.Fallocate(int(f.Fd()), 0, 0, ballastBytes)
	}
	if errors.Is(err, syscall.EOPNOTSUPP) {
		_, err = f.Write(make([]byte, ballastBytes))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("keeping %d KiB free in %s: %w", ballastBytes>>10, dir, err), f.Close())
	}
	return f, nil
}

// Add stamps an event with the present and writes it. The first failure is
// kept for Err; the run has to end then, for what isn't recorded didn't
// happen. What Add records of that end still fits into the ballast's space.
func (w *Writer) Add(e Event) { w.AddAt(time.Now(), e) }

// AddAt is Add with the time at which the event happened.
func (w *Writer) AddAt(at time.Time, e Event) {
	e.At = at.Sub(w.start)
	line, err := json.Marshal(e)
	if err != nil {
		panic(fmt.Sprintf("history: event %s can't be written: %v", e.Type, err))
	}
	line = append(line, '\n')
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		return
	}
	if err := w.write(line); w.err == nil {
		w.err = err
	}
}

func (w *Writer) write(line []byte) error {
	n, err := w.file.Write(line)
	if err == nil {
		return nil
	}
	next := "what happened until then is recorded in " + w.dir
	if (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)) && w.dropBallast() == nil {
		full := fmt.Errorf("the disk is full: %w", err)
		if _, err = w.file.Write(line[n:]); err == nil {
			return blame.On(blame.Host, full, "free some space; "+next)
		}
	}
	w.dead = true
	return blame.On(blame.Host, err, next)
}

var errNoBallast = errors.New("the ballast has been given up already")

func (w *Writer) dropBallast() error {
	if w.ballast == nil {
		return errNoBallast
	}
	ballast := w.ballast
	w.ballast = nil
	return ballast.Close()
}

// Err returns the first failure to record.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Close ends the history.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.dropBallast() // there is nothing in it
	w.dead = true
	return w.file.Close()
}
