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
func Read(dir string) (*History, error) {
	f, err := os.Open(filepath.Join(dir, File))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, blame.Errorf(blame.User, "name a machine's directory inside a run directory", "%s holds no %s", dir, File)
	}
	if err != nil {
		return nil, blame.On(blame.Host, err, "")
	}
	defer f.Close()
	h, err := Parse(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, File), err)
	}
	return h, nil
}

// Parse reads a history. An incomplete last line is left out and noted.
func Parse(r io.Reader) (*History, error) {
	h := &History{}
	lines := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			h.Cut = len(bytes.TrimSpace(line)) > 0
			break
		}
		if err != nil {
			return nil, blame.On(blame.Host, err, "")
		}
		if n == 1 {
			if err := begin(line); err != nil {
				return nil, err
			}
		}
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, blame.Errorf(blame.User, "was it damaged, or written by a newer plugstorm?", "line %d: %w", n, err)
		}
		if e.Step != nil && e.Step.Op.Kind == nil {
			return nil, blame.Errorf(blame.User, "was it damaged?", "line %d: a step without an op", n)
		}
		h.Events = append(h.Events, e)
	}
	if len(h.Events) == 0 {
		return nil, blame.Errorf(blame.User, "", "it holds no complete line: it is no history, or the run ended before it began")
	}
	h.Case = *h.Events[0].Case
	return h, nil
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
		if e.Type == StepBegin && !e.Setup && e.Step != nil {
			steps = append(steps, *e.Step)
		}
	}
	return steps
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

// WriteJSON writes a value as an indented JSON file, whole or not at all.
func WriteJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return WriteFile(path, append(data, '\n'))
}

// WriteFile writes a file of a run directory, whole or not at all.
func WriteFile(path string, data []byte) error {
	const next = "free some space or choose another directory with --out"
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return blame.On(blame.Host, err, next)
	}
	defer os.Remove(temp.Name()) // gone already when all went well
	_, err = temp.Write(data)
	if err = errors.Join(err, temp.Chmod(0o644), temp.Close()); err == nil {
		err = os.Rename(temp.Name(), path)
	}
	return blame.On(blame.Host, err, next)
}

// Schedule returns the steps to replay a run directory: those of its
// schedule.json, which a person may have shortened, else those of its history.
func Schedule(dir string) ([]schedule.Step, error) {
	data, err := os.ReadFile(filepath.Join(dir, ScheduleFile))
	if errors.Is(err, fs.ErrNotExist) {
		h, err := Read(dir)
		if err != nil {
			return nil, err
		}
		return h.Steps(), nil
	}
	if err != nil {
		return nil, blame.On(blame.Host, err, "")
	}
	var steps []schedule.Step
	const next = "mend it, or delete it to replay the history"
	if err := json.Unmarshal(data, &steps); err != nil {
		return nil, blame.Errorf(blame.User, next, "%s: %w", filepath.Join(dir, ScheduleFile), err)
	}
	for i, step := range steps {
		if step.Op.Kind == nil {
			return nil, blame.Errorf(blame.User, next, "%s: step %d has no op", filepath.Join(dir, ScheduleFile), i)
		}
	}
	return steps, nil
}
