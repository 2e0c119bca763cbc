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
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, blame.Errorf(blame.User, "was it written by a newer plugstorm?", "line %d: %w", n, err)
		}
		h.Events = append(h.Events, e)
	}
	if len(h.Events) == 0 || h.Events[0].Type != RunStart || h.Events[0].Case == nil {
		return nil, blame.Errorf(blame.User, "", "a history begins with %s, this one doesn't", RunStart)
	}
	h.Case = *h.Events[0].Case
	if h.Case.Version != Version {
		return nil, blame.Errorf(blame.User, "use the plugstorm that wrote it", "history format %d, this plugstorm reads %d", h.Case.Version, Version)
	}
	return h, nil
}

// Steps returns the steps of the schedule in the order in which they began,
// those that only set a fresh guest up left out.
func (h *History) Steps() []schedule.Step {
	var steps []schedule.Step
	for _, e := range h.Events {
		if e.Type == StepBegin && !e.Setup && e.Step != nil {
			steps = append(steps, *e.Step)
		}
	}
	return steps
}

// WriteJSON writes a value as an indented JSON file, whole or not at all.
func WriteJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	temp := path + ".tmp"
	if err := os.WriteFile(temp, append(data, '\n'), 0o644); err != nil {
		return blame.On(blame.Host, err, "free some space or choose another directory with --out")
	}
	return blame.On(blame.Host, os.Rename(temp, path), "")
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
	if err := json.Unmarshal(data, &steps); err != nil {
		return nil, blame.Errorf(blame.User, "mend it, or delete it to replay the history", "%s: %w", filepath.Join(dir, ScheduleFile), err)
	}
	return steps, nil
}
