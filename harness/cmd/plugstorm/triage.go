// SPDX-License-Identifier: Apache-2.0

package main

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/spf13/cobra"

	"plugstorm/harness/blame"
	"plugstorm/harness/console"
	"plugstorm/harness/report"
	"plugstorm/harness/splat"
	"plugstorm/harness/verdict"
)

func (a *app) triageCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "triage FILE...|-",
		Short: "find the kernel's complaints in any console log",
		Long: `Triage reads console logs (plain, .gz, .zst, or standard input as -) and names
every kernel complaint in them. The exit code is 1 if there is one.`,
		Example: "  plugstorm triage console.log\n  dmesg | plugstorm triage --json -",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return a.triage(args, asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line for each input (docs/json.md)")
	return c
}

// A triaged is what --json prints for an input.
type triaged struct {
	Version  int             `json:"version"`
	File     string          `json:"file"`
	Findings []splat.Finding `json:"findings"`
}

func (a *app) triage(files []string, asJSON bool) error {
	found := false
	for _, file := range files {
		data, err := a.readLog(file)
		if err != nil {
			return err
		}
		t := triaged{Version: report.JSONVersion, File: file, Findings: append([]splat.Finding{}, splat.Find(data)...)}
		found = found || len(t.Findings) > 0
		if asJSON {
			encoder := json.NewEncoder(a.stdout)
			encoder.SetEscapeHTML(false)
			err = encoder.Encode(t)
		} else {
			err = printTriaged(a.stdout, t)
		}
		if err != nil {
			return blame.On(blame.Host, err, "")
		}
	}
	if found {
		return verdictError{verdict.Found}
	}
	return nil
}

// readLog reads an input whole, unpacked.
func (a *app) readLog(file string) ([]byte, error) {
	in := a.stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, blame.On(blame.User, err, "name a console log, or - for standard input")
		}
		defer f.Close()
		in = f
	}
	in, err := unpack(in, file)
	if err == nil {
		var data []byte
		if data, err = io.ReadAll(in); err == nil {
			return data, nil
		}
	}
	return nil, blame.On(blame.User, fmt.Errorf("%s: %w", file, err), "")
}

func unpack(in io.Reader, file string) (io.Reader, error) {
	switch {
	case strings.HasSuffix(file, ".gz"):
		return gzip.NewReader(in)
	case strings.HasSuffix(file, ".zst"):
		return zstd.NewReader(in, zstd.WithDecoderConcurrency(1))
	}
	return in, nil
}

func printTriaged(w io.Writer, t triaged) error {
	if len(t.Findings) == 0 {
		_, err := fmt.Fprintf(w, "%s: no complaint\n", console.Escape(t.File))
		return err
	}
	for _, f := range t.Findings {
		_, err := fmt.Fprintf(w, "%s:%d-%d: %s\n    %s, identity %s\n", console.Escape(t.File), f.Start, f.End,
			console.Escape(f.Title), f.Type, console.Escape(f.Identity))
		for _, frame := range f.Stack {
			if err == nil {
				_, err = fmt.Fprintf(w, "        %s\n", console.Escape(frame))
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
