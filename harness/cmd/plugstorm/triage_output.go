// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"

	"plugstorm/harness/blame"
	"plugstorm/harness/history"
	"plugstorm/harness/report"
	"plugstorm/harness/triage"
	"plugstorm/harness/verdict"
)

// A triaged is what --json prints for an input.
type triaged struct {
	Version int `json:"version"`
	triage.Log
}

// A compared is what --same --json prints.
type compared struct {
	Version int `json:"version"`
	triage.Comparison
}

func (a *app) printLog(log *triage.Log, f *triageFlags) error {
	var err error
	switch {
	case f.json:
		err = a.printJSON(triaged{report.JSONVersion, *log})
	case f.lkml:
		err = report.Mails(a.stdout, log, "")
	default:
		err = report.Triage(a.stdout, log, a.color)
	}
	return blame.On(blame.Host, err, "")
}

func (a *app) printJSON(v any) error {
	encoder := json.NewEncoder(a.stdout)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// checkOutputs refuses, before anything is read, what no file can be made of.
func checkOutputs(files ...string) error {
	for _, file := range files {
		if file == "" {
			continue
		}
		const next = "name a file in a directory that there is"
		if info, err := os.Stat(filepath.Dir(file)); err != nil {
			return blame.On(blame.User, err, next)
		} else if !info.IsDir() {
			return blame.Errorf(blame.User, next, "%s is no directory", filepath.Dir(file))
		}
		if info, err := os.Stat(file); err == nil && info.IsDir() {
			return blame.Errorf(blame.User, next, "%s is a directory", file)
		}
	}
	return nil
}

// draw writes the drawings that are asked for.
func (a *app) draw(log *triage.Log, f *triageFlags) error {
	for _, d := range []struct {
		file  string
		write func(io.Writer, *triage.Log) error
	}{{f.dot, report.Dot}, {f.svg, report.SVG}} {
		if d.file == "" {
			continue
		}
		if report.Drawable(log) == 0 {
			a.ui.Line("nothing to draw: no lock cycle and no hang; " + d.file + " is not written")
			continue
		}
		var out bytes.Buffer
		if err := d.write(&out, log); err != nil {
			return blame.On(blame.Harness, err, "")
		}
		if err := history.WriteFile(d.file, out.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// sameExit is the status that goes with the answer of --same.
var sameExit = map[triage.Answer]verdict.Status{
	triage.Same: verdict.Clean, triage.Different: verdict.Found, triage.Unknown: verdict.Unknown,
}

// same compares two inputs.
func (a *app) same(ctx context.Context, files []string, f *triageFlags, symbols *symbolizer) error {
	var both [2]*triage.Log
	for i, file := range files {
		log, err := a.readLog(ctx, file)
		if err != nil {
			a.ui.error(err)
			if len(log.Findings) == 0 {
				return verdictError{verdict.Unknown}
			}
		}
		locate(log, symbols)
		both[i] = log
	}
	c := triage.Compare(both[0], both[1])
	var err error
	if f.json {
		err = a.printJSON(compared{report.JSONVersion, c})
	} else {
		err = report.Same(a.stdout, c)
	}
	if err != nil {
		return blame.On(blame.Host, err, "")
	}
	if status := sameExit[c.Same]; status != verdict.Clean {
		return verdictError{status}
	}
	return nil
}
