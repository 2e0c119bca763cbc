// SPDX-License-Identifier: Apache-2.0

package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"plugstorm/harness/blame"
	"plugstorm/harness/schedule"
)

// A History is a whole record, read back.
type History struct {
	Case   Case
	Events []Event
	Cut    bool // the last line is incomplete: the controller or the disk gave up in the middle of it
}

// Read reads the history in a run directory.
func Read(dir string) (*History, error) { return read(dir, Parse) }

// Scan hands the events of the history in a run directory on, one by one, so
// that memory doesn't grow with the run. What it returns is without them.
func Scan(dir string, each func(Event)) (*History, error) {
	return read(dir, func(r io.Reader) (*History, error) { return scan(r, each) })
}

func read(dir string, parse func(io.Reader) (*History, error)) (*History, error) {
	f, err := os.Open(filepath.Join(dir, File))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, blame.Errorf(blame.User, "name a machine's directory inside a run directory", "%s holds no %s", dir, File)
	}
	if err != nil {
		return nil, blame.On(blame.Host, err, "")
	}
	defer f.Close()
	h, err := parse(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, File), err)
	}
	return h, nil
}

// Parse reads a history. An incomplete last line is left out and noted.
func Parse(r io.Reader) (*History, error) {
	var events []Event
	h, err := scan(r, func(e Event) { events = append(events, e) })
	if err != nil {
		return nil, err
	}
	h.Events = events
	return h, nil
}

func scan(r io.Reader, each func(Event)) (*History, error) {
	h := &History{}
	lines := bufio.NewReader(r)
	n := 1
	for ; ; n++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			h.Cut = len(bytes.TrimSpace(line)) > 0
			break
		}
		if err != nil {
			return nil, blame.On(blame.Host, err, "")
		}
		e, err := parseLine(line, n)
		if err != nil {
			return nil, err
		}
		if n == 1 {
			h.Case = *e.Case
		}
		each(e)
	}
	if n == 1 {
		return nil, blame.Errorf(blame.User, "", "it holds no complete line: it is no history, or the run ended before it began")
	}
	return h, nil
}

// parseLine reads line number n, from 1.
func parseLine(line []byte, n int) (Event, error) {
	if n == 1 {
		if err := begin(line); err != nil {
			return Event{}, err
		}
	}
	var e Event
	if err := json.Unmarshal(line, &e); err != nil {
		return Event{}, blame.Errorf(blame.User, "was it damaged, or written by a newer plugstorm?", "line %d: %w", n, err)
	}
	if e.Step != nil && e.Step.Op.Kind == nil {
		return Event{}, blame.Errorf(blame.User, "was it damaged?", "line %d: a step without an op", n)
	}
	return e, nil
}

// begin checks the first line: another format is told by its version, before
// anything else of it is misread.
func begin(line []byte) error {
	var first struct {
		Type Type
		Case *struct{ Version int }
	}
	if json.Unmarshal(line, &first) != nil || first.Type != RunStart || first.Case == nil {
		return blame.Errorf(blame.User, "", "it is no history: a history begins with %s", RunStart)
	}
	if v := first.Case.Version; v != Version {
		return blame.Errorf(blame.User, "use the plugstorm that wrote it", "history format %d, this plugstorm reads %d", v, Version)
	}
	return nil
}

// Steps returns the steps of the schedule in the order in which they began,
// those that only set a fresh guest up left out.
func (h *History) Steps() []schedule.Step {
	steps := []schedule.Step{}
	for _, e := range h.Events {
		if step := e.scheduled(); step != nil {
			steps = append(steps, *step)
		}
	}
	return steps
}

// scheduled is the step of the schedule that the event begins, nil if it is
// none.
func (e *Event) scheduled() *schedule.Step {
	if e.Type != StepBegin || e.Setup {
		return nil
	}
	return e.Step
}

// Restored reports whether the first guest that came up went on from a snapshot.
func (h *History) Restored() bool {
	restored := map[int]bool{}
	for _, e := range h.Events {
		switch e.Type {
		case GuestStart:
			restored[e.Guest] = e.Restored
		case AgentUp:
			return restored[e.Guest]
		}
	}
	return false
}
