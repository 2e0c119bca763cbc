// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"plugstorm/harness/blame"
	"plugstorm/harness/history"
)

// Files of a benchmark's directory.
const (
	benchFile   = "bench.json"
	resultsFile = "results.ndjson"
)

// A benchRecord is what bench.json holds: the flags that were given.
type benchRecord struct {
	Version int                 `json:"version"`
	Flags   map[string][]string `json:"flags"`
}

// benchVersion is that of bench.json.
const benchVersion = 1

// fleeting are flags that belong to one call and not to a benchmark.
var fleeting = []string{"out", "resume", "json", "write-docs", "quiet", "help"}

// remember makes the record of the flags that were given.
func remember(flags *pflag.FlagSet) benchRecord {
	r := benchRecord{Version: benchVersion, Flags: map[string][]string{}}
	flags.Visit(func(flag *pflag.Flag) {
		if slices.Contains(fleeting, flag.Name) {
			return
		}
		if many, ok := flag.Value.(pflag.SliceValue); ok {
			r.Flags[flag.Name] = many.GetSlice()
			return
		}
		r.Flags[flag.Name] = []string{flag.Value.String()}
	})
	return r
}

// recall sets the flags of the benchmark that is to be resumed, those apart
// that are given anew.
func (f *benchFlags) recall(flags *pflag.FlagSet) error {
	if f.resume == "" {
		return nil
	}
	const next = "name a directory that plugstorm bench detect has written"
	path := filepath.Join(f.resume, benchFile)
	var r benchRecord
	if err := readJSON(path, &r); err != nil {
		return blame.On(blame.User, err, next)
	}
	if r.Version != benchVersion {
		return blame.Errorf(blame.User, "use the plugstorm that wrote it", "%s has format %d, this plugstorm reads %d", path, r.Version, benchVersion)
	}
	for name, values := range r.Flags {
		flag := flags.Lookup(name)
		if flag == nil || slices.Contains(fleeting, name) {
			return blame.Errorf(blame.User, next, "%s: unknown flag %q", path, name)
		}
		if flag.Changed {
			continue
		}
		for _, value := range values {
			if err := flags.Set(name, value); err != nil {
				return blame.Errorf(blame.User, next, "%s: --%s: %w", path, name, err)
			}
		}
	}
	return nil
}

// open makes the directory of the results, or reads what is in it.
func (b *bench) open(flags *pflag.FlagSet) error {
	if b.flags.resume != "" {
		dir, err := filepath.Abs(b.flags.resume)
		if err != nil {
			return blame.On(blame.Host, err, "")
		}
		b.dir = dir
	} else {
		out := b.flags.out
		if out == "" {
			out = filepath.Join("plugstorm-runs", time.Now().Format("20060102-150405")+"-detect")
		}
		p := &plan{}
		if err := p.makeDir(out); err != nil {
			return err
		}
		b.dir, b.fresh = p.dir, p
	}
	if err := history.WriteJSON(filepath.Join(b.dir, benchFile), remember(flags)); err != nil {
		return err
	}
	return b.load()
}

// forget removes what open has made of a benchmark that has not begun, so that
// the same command can be given again.
func (b *bench) forget() {
	if b.fresh != nil && os.Remove(filepath.Join(b.dir, benchFile)) == nil {
		b.fresh.tidy()
	}
}
