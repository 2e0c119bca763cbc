// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"plugstorm/harness/blame"
	"plugstorm/harness/history"
	"plugstorm/harness/report"
	"plugstorm/harness/verdict"
	"plugstorm/harness/vm"
)

// A part is what a run has recorded of one machine.
type part struct {
	dir   string
	slots []string // directories with a history, by number: dir itself, or those of the slots below it
}

// alone reports whether the machine had one guest at a time.
func (t part) alone() bool { return len(t.slots) == 1 && t.slots[0] == t.dir }

// partOf is what a run that has just ended has recorded of a machine.
func (p *plan) partOf(m *vm.Machine) part {
	t := part{dir: filepath.Join(p.dir, m.Name)}
	for _, s := range p.slots(m) {
		if dir := filepath.Join(p.dir, s.dir(m.Name)); s.number == 0 || recordedIn(dir) {
			t.slots = append(t.slots, dir)
		}
	}
	return t
}

// recordedParts makes the path of a run, of a machine's part of it or of a slot
// absolute, and lists what is recorded there.
func recordedParts(run string) (dir string, parts []part, err error) {
	dir, err = filepath.Abs(run)
	if err != nil {
		return "", nil, blame.On(blame.Host, err, "")
	}
	if t := findPart(dir); len(t.slots) > 0 {
		return dir, []part{t}, nil
	}
	for _, d := range below(dir, "*") {
		if t := findPart(d); len(t.slots) > 0 {
			parts = append(parts, t)
		}
	}
	if len(parts) == 0 {
		return "", nil, blame.Errorf(blame.User, "name a directory that plugstorm run has written", "%s holds no recorded run", dir)
	}
	return dir, parts, nil
}

// findPart looks at one directory: it holds a history, or slots that do.
func findPart(dir string) part {
	if recordedIn(dir) {
		return part{dir, []string{dir}}
	}
	found := slices.DeleteFunc(below(dir, slotPrefix+"*"), func(d string) bool { return slotNumber(d) == 0 || !recordedIn(d) })
	return part{dir, found}
}

// recordedIn reports whether a directory holds a history.
func recordedIn(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, history.File))
	return err == nil
}

// below lists what matches in a directory: slots by their numbers, the rest by
// name.
func below(dir, pattern string) []string {
	found, err := filepath.Glob(filepath.Join(globEscape(dir), pattern))
	if err != nil {
		return nil // the patterns are ours
	}
	slices.SortFunc(found, func(a, b string) int {
		return cmp.Or(cmp.Compare(slotNumber(a), slotNumber(b)), strings.Compare(a, b))
	})
	return found
}

// slotNumber is the number of a slot's directory, 0 of others.
func slotNumber(dir string) int {
	number, ok := strings.CutPrefix(filepath.Base(dir), slotPrefix)
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 1 {
		return 0
	}
	return n
}

// expectedSlots lists the numbers of the slots that there are, and of those that
// their records say there were.
func expectedSlots(found map[int]report.Machine) []int {
	numbers := slices.Collect(maps.Keys(found))
	for _, m := range found {
		for number := 1; number <= min(m.Case.Slots, maxVMs); number++ {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

// judgePart judges a machine's part of a run: each slot by itself, and all of
// them together. A slot without a record is unknown.
func judgePart(t part, set knownFile) (report.Machine, error) {
	if t.alone() {
		m, err := judgeDir(t.dir, set)
		m.Replay = replayWords(t.dir)
		return m, err
	}
	var all report.Machine
	byNumber := map[int]report.Machine{}
	for _, dir := range t.slots {
		m, err := judgeDir(dir, set)
		if err != nil {
			return report.Machine{}, err
		}
		byNumber[slotNumber(dir)] = m
		if all.Dir == "" {
			all.Case, all.Dir = m.Case, t.dir
		}
	}
	if len(t.slots) == 0 {
		return report.Machine{}, blame.Errorf(blame.Host, "see what was said before", "no slot left a record in %s", t.dir)
	}
	var parts []verdict.Part
	for _, number := range expectedSlots(byNumber) {
		m, ok := byNumber[number]
		s := report.Slot{Number: number, Case: m.Case, Verdict: m.Verdict, Dir: m.Dir, Replay: replayWords(m.Dir)}
		if !ok {
			s.Verdict = verdict.Lost("it left no record")
		}
		all.Slots = append(all.Slots, s)
		parts = append(parts, verdict.Part{Slot: number, Started: m.Case.Started, Verdict: s.Verdict})
	}
	all.Verdict, all.Replay = verdict.Join(parts), replayWords(t.dir)
	return all, history.WriteJSON(filepath.Join(t.dir, verdictFile), all.Verdict)
}
