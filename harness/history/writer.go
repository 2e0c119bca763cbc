// SPDX-License-Identifier: Apache-2.0

package history

import (
	"encoding/json"
	"errors"
	"fmt"
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
	ballastFile  = ".ballast"
)

// ballastBytes is what a run keeps allocated so that its last events still
// fit when the disk is full: on ENOSPC the ballast is given up for them.
const ballastBytes = 256 << 10

// A Writer appends to a history. Every event is one write(2) to an O_APPEND
// file, so what was recorded survives the death of the controller at any
// moment. It is safe for concurrent use.
type Writer struct {
	mu    sync.Mutex
	dir   string
	file  *os.File
	start time.Time
	err   error
}

// Create starts a history in dir, which must exist and hold none.
func Create(dir string, start time.Time) (*Writer, error) {
	f, err := os.OpenFile(filepath.Join(dir, File), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, blame.On(blame.Host, err, "choose another directory with --out")
	}
	w := &Writer{dir: dir, file: f, start: start}
	if err := w.layBallast(); err != nil {
		_ = f.Close()
		return nil, blame.On(blame.Host, err, "free some space or choose another directory with --out")
	}
	return w, nil
}

func (w *Writer) layBallast() error {
	f, err := os.Create(filepath.Join(w.dir, ballastFile))
	if err != nil {
		return err
	}
	defer f.Close()
	err = syscall.Fallocate(int(f.Fd()), 0, 0, ballastBytes)
	if errors.Is(err, syscall.EOPNOTSUPP) {
		_, err = f.Write(make([]byte, ballastBytes))
	}
	return err
}

// Add stamps an event with the present and writes it. The first failure is
// kept for Err; the run has to end then, for what isn't recorded didn't happen.
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
	if w.err == nil {
		w.err = w.write(line)
	}
}

func (w *Writer) write(line []byte) error {
	n, err := w.file.Write(line)
	if errors.Is(err, syscall.ENOSPC) && os.Remove(filepath.Join(w.dir, ballastFile)) == nil {
		if _, again := w.file.Write(line[n:]); again == nil {
			return blame.On(blame.Host, fmt.Errorf("the disk is full: %w", err), "free some space; what happened until then is recorded in "+w.dir)
		}
	}
	return blame.On(blame.Host, err, "what happened until then is recorded in "+w.dir)
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
	_ = os.Remove(filepath.Join(w.dir, ballastFile))
	return w.file.Close()
}
