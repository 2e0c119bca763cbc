// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"plugstorm/harness/blame"
)

// An Expectation is what a plant's header tells the detection benchmark, in
// lines that begin with a key:
//
//	hazard: what is wrong, in a few words
//	suite: seed4
//	machines: x86_64 pseries
//	silent: x86_64
//	despite: known-issue
//	match: type LOCKDEP; locks cpu_hotplug_lock slab_mutex
//	measured: for people: what was seen, where the prediction above is wrong
//
// This package only splits them; package detect knows what they mean. They are
// no part of a kernel's key: what is expected of a bug doesn't change it.
type Expectation struct {
	Hazard   string   // in Markdown, for tables; "" if the header doesn't say
	Suite    string   // the scenario that is to find it; "" if the header doesn't say
	Machines []string // those that it concerns; both are in it if the header doesn't say
	Silent   []string // those on which nothing may be found: negative controls
	Despite  []string // IDs of known issues that count as findings here: the plant looks like them
	Match    []string // the right findings, alternatives; see detect.ParseMatcher
}

// bothMachines are what a plant concerns whose header names none.
var bothMachines = []string{"x86_64", "pseries"}

// parseExpectation reads a header.
func parseExpectation(header string) Expectation {
	var e Expectation
	arch := ""
	for line := range strings.Lines(header) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		value = strings.TrimSpace(value)
		switch key {
		case "hazard":
			e.Hazard = value
		case "suite":
			e.Suite = value
		case "machines":
			e.Machines = append(e.Machines, strings.Fields(value)...)
		case "silent":
			e.Silent = append(e.Silent, strings.Fields(value)...)
		case "despite":
			e.Despite = append(e.Despite, strings.Fields(value)...)
		case "match":
			e.Match = append(e.Match, value)
		case "arch":
			arch = value
		}
	}
	if len(e.Machines)+len(e.Silent) == 0 {
		e.Machines = archMachines(arch)
	}
	return e
}

// expectationKeys begin the lines of a header that are for the benchmark.
var expectationKeys = []string{"hazard:", "suite:", "machines:", "silent:", "despite:", "match:", "measured:"}

// withoutExpectation is a patch without those lines.
func withoutExpectation(patch []byte) []byte {
	header, diff, ok := bytes.Cut(patch, []byte(headerEnd))
	if !ok {
		return patch
	}
	var kept []byte
	for line := range bytes.Lines(append(bytes.Clone(header), '\n')) {
		if !slices.ContainsFunc(expectationKeys, func(key string) bool { return bytes.HasPrefix(line, []byte(key)) }) {
			kept = append(kept, line...)
		}
	}
	return append(append(bytes.TrimSuffix(kept, []byte{'\n'}), headerEnd...), diff...)
}

// archMachines reads the free text of an arch line, "x86_64 + pseries   config:
// ...", in which two blanks end what it says of machines.
func archMachines(text string) []string {
	text, _, _ = strings.Cut(text, "  ")
	var found []string
	for machine, words := range map[string][]string{"x86_64": {"x86"}, "pseries": {"pseries", "ppc", "powerpc"}} {
		if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) }) {
			found = append(found, machine)
		}
	}
	if len(found) != 1 {
		return slices.Clone(bothMachines)
	}
	return found
}

// ReadPlant reads a patch file as a plant of the user's, which may do without
// a header but not without a diff.
func ReadPlant(file string) (*Plant, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, blame.On(blame.User, fmt.Errorf("patch: %w", err), "name a readable patch file")
	}
	if _, err := parsePatch(userPatch+file, text); err != nil {
		return nil, err
	}
	base := filepath.Base(file)
	return parsePlant(strings.TrimSuffix(base, filepath.Ext(base)), text), nil
}
