// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"

	"plugstorm/harness/history"
	"plugstorm/harness/symbols"
	"plugstorm/harness/triage"
	"plugstorm/images"
)

// A symbolizer adds source lines; nil adds none.
type symbolizer struct{ table *symbols.Table }

// openSymbols opens what --vmlinux and --modules name; nil if they name nothing.
func openSymbols(f *triageFlags) (*symbolizer, error) {
	if f.vmlinux == "" {
		return nil, nil
	}
	table, err := symbols.Open(f.vmlinux, f.modules)
	if err != nil {
		return nil, err
	}
	return &symbolizer{table}, nil
}

// recordedSymbols opens the symbols of the kernel whose console a log is, if
// the log lies where run put it, in DIR/MACHINE/guest-N; nil elsewhere.
func recordedSymbols(log string) *symbolizer {
	data, err := os.ReadFile(filepath.Join(filepath.Dir(log), "..", history.CaseFile))
	if err != nil {
		return nil
	}
	var c history.Case
	if json.Unmarshal(data, &c) != nil {
		return nil
	}
	return ownSymbols(c.Kernel)
}

// ownSymbols opens what our build of a run's kernel left beside its image. It
// is nil for a kernel of somebody else's, for one without debug information,
// and when the cache has been emptied since: a line of source is a bonus there.
func ownSymbols(k history.Kernel) *symbolizer {
	if k.Image == "" || k.Prebuilt {
		return nil
	}
	dir := filepath.Dir(k.Image)
	table, err := symbols.Open(filepath.Join(dir, images.VmlinuxFile), filepath.Join(dir, images.ModulesDir))
	if err != nil {
		return nil
	}
	return &symbolizer{table}
}

func (s *symbolizer) close() {
	if s != nil {
		_ = s.table.Close() // it was only read
	}
}

func (s *symbolizer) locate(log *triage.Log) {
	if s != nil {
		log.Locate(s)
	}
}

// locate adds source lines to a log: from named, what --vmlinux named, or else
// from the kernel that the log's run booted.
func locate(log *triage.Log, named *symbolizer) {
	if named == nil {
		named = recordedSymbols(log.File)
		defer named.close()
	}
	named.locate(log)
}

// Annotate implements triage.Symbols.
func (s *symbolizer) Annotate(text string) (string, map[string][]triage.Place) {
	return symbols.Annotate(text, s.table)
}
