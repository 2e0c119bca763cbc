// SPDX-License-Identifier: Apache-2.0

// Package patch reads patches as kernel people send them around (patch -p1,
// git diff, git format-patch, a mailbox) and applies them to a tree without
// touching it: the result is a set of changed files.
//
// go-gitdiff parses the hunks. Placing them is done here, because go-gitdiff
// insists on exact line numbers while a patch for one kernel is regularly
// applied to its neighbour. The programs patch(1) and git-apply(1) would do
// that too, but patch(1) guesses (fuzz, reject files, asking for file names)
// and git-apply depends on the repository around its working directory, and
// the errors of both are text to be parsed. Patches are untrusted input: here
// every path is checked in one place.
package patch

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"
)

// A Patch is a parsed patch file.
type Patch struct {
	Name  string // as given to Parse, for errors
	files []*gitdiff.File
}

// An Error says why a patch can't be used.
type Error struct {
	Patch  string
	File   string // in the tree; empty if the patch can't even be read
	Hunk   int    // from 1; 0 if it isn't about a hunk
	Reason string
}

func (e *Error) Error() string {
	s := e.Patch
	if e.File != "" {
		s += ": " + e.File
	}
	if e.Hunk > 0 {
		s += fmt.Sprintf(", hunk %d", e.Hunk)
	}
	return s + ": " + e.Reason
}

// Parse reads a patch, which may be several mails in a row. Text around the
// diffs is skipped. A patch without any diff is an error.
func Parse(name string, text []byte) (*Patch, error) {
	p := &Patch{Name: name}
	for _, mail := range mails(text) {
		for _, s := range sections(lines(mail)) {
			file, err := s.parse()
			if err != nil {
				return nil, &Error{Patch: name, Reason: fmt.Sprintf("diff number %d: %v", len(p.files)+1, err)}
			}
			p.files = append(p.files, file)
		}
	}
	if len(p.files) == 0 {
		return nil, &Error{Patch: name, Reason: "there is no diff in it"}
	}
	return p, nil
}

// Written lists the files that the patch creates or changes, in its order.
func (p *Patch) Written() []string {
	var all []string
	for _, f := range p.files {
		if !f.IsDelete {
			all = append(all, f.NewName)
		}
	}
	return all
}

// A section is the diff of one file.
type section struct {
	lines []string
	git   bool // begins with "diff --git"
}

// parse hands a section to go-gitdiff.
func (s section) parse() (*gitdiff.File, error) {
	if name := s.absolute(); name != "" {
		return nil, fmt.Errorf("the path %q is absolute", name)
	}
	files, _, err := gitdiff.Parse(strings.NewReader(strings.Join(s.lines, "")))
	if err != nil {
		return nil, err
	}
	if len(files) != 1 {
		return nil, fmt.Errorf("%d files where one was expected", len(files))
	}
	file := files[0]
	if !s.git { // go-gitdiff takes off the first element of git's names only
		file.OldName, file.NewName = strip(file.OldName), strip(file.NewName)
	}
	return file, nil
}

// absolute returns an absolute path that the header names, "" if there is
// none. Stripping would make a relative one of it, and nobody meant that.
func (s section) absolute() string {
	for _, line := range s.lines {
		if strings.HasPrefix(line, "@@ ") {
			break
		}
		for _, prefix := range []string{"--- ", "+++ ", "rename to ", "rename from ", "copy to ", "copy from "} {
			name, ok := strings.CutPrefix(line, prefix)
			if ok && strings.HasPrefix(name, "/") && !strings.HasPrefix(name, "/dev/null") {
				return strings.TrimSpace(name)
			}
		}
	}
	return ""
}

// strip takes off the first path element, as patch -p1 does. A name of one
// element becomes empty, which no tree accepts.
func strip(name string) string {
	_, rest, _ := strings.Cut(name, "/")
	return rest
}

// lines splits text behind each line end.
func lines(text []byte) []string {
	if !bytes.Contains(bytes.ReplaceAll(text, []byte("\r\n"), nil), []byte("\n")) {
		text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")) // the mail's line ends, not the files'
	}
	var all []string
	for line := range strings.Lines(string(text)) {
		all = append(all, line)
	}
	return all
}

// sections cuts lines into the diffs of single files. Hunks are stepped over
// by their own count of lines, so nothing in them is taken for a header.
func sections(all []string) []section {
	var out []section
	open := false // the last section is a git header without its ---/+++ yet
	add := func(git bool) { out = append(out, section{git: git}); open = git }
	for i := 0; i < len(all); {
		switch {
		case strings.HasPrefix(all[i], "diff --git "):
			add(true)
		case isHeader(all[i:]):
			if !open {
				add(false)
			}
			open = false
		}
		n := 1
		if len(out) > 0 {
			n = hunkLength(all[i:])
			last := &out[len(out)-1]
			last.lines = append(last.lines, all[i:i+n]...)
		}
		i += n
	}
	return out
}

// isHeader recognises the header of a diff without git's own.
func isHeader(all []string) bool {
	return len(all) > 2 && strings.HasPrefix(all[0], "--- ") && strings.HasPrefix(all[1], "+++ ") &&
		strings.HasPrefix(all[2], "@@ -")
}

// hunkLength is the number of lines of the hunk that all begins with, or 1 if
// there is none.
func hunkLength(all []string) int {
	fields := strings.Fields(all[0])
	if len(fields) < 4 || fields[0] != "@@" || fields[3] != "@@" {
		return 1
	}
	before, after := rangeLength(fields[1]), rangeLength(fields[2])
	n := 1
	for ; n < len(all) && (before > 0 || after > 0); n++ {
		switch all[n][0] {
		case '-':
			before--
		case '+':
			after--
		case '\\': // no newline at end of file
		default:
			before--
			after--
		}
	}
	return n
}

// rangeLength is the B of "-A,B" or "+A,B", by default 1.
func rangeLength(s string) int {
	_, length, ok := strings.Cut(s, ",")
	if !ok {
		return 1
	}
	n, err := strconv.Atoi(length)
	if err != nil {
		return 0
	}
	return n
}
