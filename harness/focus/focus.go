// SPDX-License-Identifier: Apache-2.0

// Package focus says where in the kernel's source a run is to look, and how
// near to that comes what an op or a workload makes the kernel run. It is pure.
package focus

import (
	"io/fs"
	"regexp"
	"strings"

	"plugstorm/harness/blame"
)

// A Place is a file of the kernel's source, a directory ("kernel/cgroup/"), or
// a function, with its file or without.
type Place struct {
	File string `json:"file,omitempty"`
	Func string `json:"func,omitempty"`
}

// String is the place as Parse takes it.
func (p Place) String() string {
	if p.File == "" || p.Func == "" {
		return p.File + p.Func
	}
	return p.File + ":" + p.Func
}

// maxName bounds a function's name, in bytes: that of the rule checker.
const maxName = 63

var funcRE = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Parse reads FILE, DIRECTORY/, FUNCTION or FILE:FUNCTION. Whatever has a slash
// or a dot is a path, as seen from the top of the kernel's source. Its error is
// the user's.
func Parse(text string) (Place, error) {
	p := Place{Func: text}
	if file, name, both := strings.Cut(text, ":"); both || strings.ContainsAny(text, "/.") {
		p = Place{file, name}
		if !fs.ValidPath(strings.TrimSuffix(file, "/")) || strings.ContainsAny(file, " \t\n\\") || both && (name == "" || strings.HasSuffix(file, "/")) {
			return Place{}, bad(text)
		}
	}
	if p.Func != "" && (len(p.Func) > maxName || !funcRE.MatchString(p.Func)) || p == (Place{}) {
		return Place{}, bad(text)
	}
	return p, nil
}

func bad(text string) error {
	return blame.Errorf(blame.User, "say FILE, DIRECTORY/, FUNCTION or FILE:FUNCTION, as in mm/slub.c or kernel/workqueue.c:wq_nice_store",
		"%q is no place in a kernel's source", text)
}

// ParseAll reads several places.
func ParseAll(texts []string) ([]Place, error) {
	var all []Place
	for _, text := range texts {
		p, err := Parse(text)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// A Nearness says how near to a place something comes.
type Nearness int

// The nearnesses. Who runs another function of a file may well never come to
// the one that is meant; who runs a directory, still less.
const (
	Far       Nearness = iota
	Directory          // it runs code of the directory that holds the place, or of one that the place is
	File               // of the place's file
	Function           // the place's function itself
	nearnesses
)

// Counts holds a number for each nearness.
type Counts [nearnesses]float64

// Near is how near to p comes what runs the places that touches name, as Parse
// takes them. A touch that can't be read touches nothing.
func (p Place) Near(touches []string) Nearness {
	nearest := Far
	for _, text := range touches {
		if touch, err := Parse(text); err == nil {
			nearest = max(nearest, p.near(touch))
		}
	}
	return nearest
}

func (p Place) near(touch Place) Nearness {
	switch {
	case p.Func != "" && p.Func == touch.Func && (p.File == touch.File || p.File == "" || touch.File == ""):
		return Function
	case p.File == "" || touch.File == "":
		return Far
	case isDir(p.File) || isDir(touch.File):
		if within(p.File, touch.File) || within(touch.File, p.File) {
			return Directory
		}
		return Far
	case p.File == touch.File:
		return File
	}
	return Far
}

// within reports whether a path is dir, or below it.
func within(name, dir string) bool { return isDir(dir) && strings.HasPrefix(name, dir) }

func isDir(name string) bool { return strings.HasSuffix(name, "/") }
