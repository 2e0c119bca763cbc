// SPDX-License-Identifier: Apache-2.0

package main

import (
	"plugstorm/harness/symbols"
	"plugstorm/harness/triage"
)

// A symbolizer adds source lines; nil adds none.
type symbolizer struct{ table *symbols.Table }

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

// Annotate implements triage.Symbols.
func (s *symbolizer) Annotate(text string) (string, map[string][]triage.Place) {
	return symbols.Annotate(text, s.table)
}
