// SPDX-License-Identifier: Apache-2.0

package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"plugstorm/harness/blame"
	"plugstorm/harness/schedule"
)

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
	return writeFile(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

func writeFile(path string, write func(io.Writer) error) error {
	const next = "free some space or choose another directory with --out"
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return blame.On(blame.Host, err, next)
	}
	defer os.Remove(temp.Name()) // gone already when all went well
	err = write(temp)
	if err = errors.Join(err, temp.Chmod(0o644), temp.Close()); err == nil {
		err = os.Rename(temp.Name(), path)
	}
	return blame.On(blame.Host, err, next)
}

// SaveSchedule writes the steps of the history in a run directory to its
// schedule.json, one by one: memory doesn't grow with the run.
func SaveSchedule(dir string) error {
	return writeFile(filepath.Join(dir, ScheduleFile), func(file io.Writer) error {
		w := bufio.NewWriter(file)
		separator := "[\n  "
		_, err := Scan(dir, func(e Event) {
			if step := e.scheduled(); step != nil {
				text, _ := json.MarshalIndent(step, "  ", "  ") // it was JSON a moment ago
				_, _ = w.WriteString(separator)                 // Flush has its errors
				_, _ = w.Write(text)
				separator = ",\n  "
			}
		})
		end := "\n]\n"
		if separator[0] == '[' {
			end = "[]\n"
		}
		_, _ = w.WriteString(end)
		return errors.Join(err, w.Flush())
	})
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
