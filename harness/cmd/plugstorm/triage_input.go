// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"plugstorm/harness/blame"
	"plugstorm/harness/history"
	"plugstorm/harness/logs"
	"plugstorm/harness/triage"
	"plugstorm/harness/vm"
)

// checkInputs refuses, before anything is read, what can't be an input.
func checkInputs(files []string) error {
	stdin := 0
	for _, file := range files {
		if file == "-" {
			if stdin++; stdin > 1 {
				return blame.Errorf(blame.User, "save it to a file", "standard input can be read only once")
			}
			continue
		}
		if info, err := os.Stat(file); err == nil && info.IsDir() {
			return blame.Errorf(blame.User, directoryHint(file), "%s is a directory", file)
		}
	}
	return nil
}

// directoryHint says what to do instead of naming a directory.
func directoryHint(dir string) string {
	if _, err := os.Stat(filepath.Join(dir, vm.ConsoleLog)); err == nil {
		return "name " + filepath.Join(dir, vm.ConsoleLog)
	}
	for _, pattern := range []string{history.File, filepath.Join("*", history.File)} {
		if found, err := filepath.Glob(filepath.Join(globEscape(dir), pattern)); err == nil && len(found) > 0 {
			return "it is a run: plugstorm judge " + dir
		}
	}
	return "name the logs in it"
}

// readLog reads one input. What could be read comes with the error.
func (a *app) readLog(ctx context.Context, file string) (*triage.Log, error) {
	in := a.stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			err = blame.On(blame.User, err, "name a console log, or - for standard input")
			return &triage.Log{File: file, Findings: []triage.Finding{}, Error: err.Error()}, err
		}
		defer f.Close()
		in = f
	}
	return triage.ReadInput(file, interruptible{ctx, in}, logs.DefaultLimit)
}

// interruptible reads until its context ends.
type interruptible struct {
	ctx context.Context
	in  io.Reader
}

func (r interruptible) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, blame.On(blame.User, fmt.Errorf("interrupted: %w", context.Cause(r.ctx)), "")
	}
	return r.in.Read(p)
}
