// SPDX-License-Identifier: Apache-2.0

// Package calls is calls of kernel functions that fail as data: which may fail,
// in the course of which op and with what error (lists/*.calls), and what the
// kernel module (workloads/kmod/plugstorm_fail.c) says came of them. It is pure.
//
// The module's answers come from the guest, which isn't trusted: they are
// bounded, and a line that can't be read is none.
package calls

import (
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"plugstorm/harness/fields"
)

// The kernel module, and the files in the guest that it is spoken to by.
const (
	Module     = "plugstorm_fail"
	dir        = "/sys/kernel/debug/plugstorm_fail/"
	ArmFile    = dir + "arm"
	StatusFile = dir + "status"
)

// Bounds, those of the module.
const (
	maxName = 63
	maxNth  = 64
)

// Ops are in the course of what calls fail.
var Ops = []string{
	"memory-add", "memory-remove", "block-online", "block-offline", "vcpu-add", "vcpu-remove", "cpu-online", "cpu-offline", "pgmap",
}

// Errnos are what a call may be made to return: those that the module knows by
// name, SIGNAL, and besides them "=N" for a value as it is.
var Errnos = []string{
	"EPERM", "ENOENT", "EINTR", "EIO", "EAGAIN", "ENOMEM", "EFAULT", "EBUSY", "EEXIST", "ENODEV", "EINVAL", "ENOSPC", "E2BIG", "NULL", "SIGNAL",
}

// Args are the arguments that the module knows: their values differ between
// kernels.
var Args = []string{"MEM_GOING_ONLINE", "MEM_GOING_OFFLINE", "MEM_PREPARE_ONLINE"}

// A Call is one that is to fail: the Nth of a function, counted from 1.
type Call struct {
	Func  string `json:"func"`  // "FUNC", "FUNC<CALLER" or, of CALLER's own calls alone, "FUNC<<CALLER"
	Errno string `json:"errno"` // one of Errnos, or "=N"
	Nth   int    `json:"nth"`
	Arg   string `json:"arg,omitempty"` // of those calls whose first argument it is, one of Args; "" for all
}

// Arm is what the module is told to make the call fail.
func (c Call) Arm() string {
	text := fmt.Sprintf("%s %s %d", c.Func, c.Errno, max(c.Nth, 1))
	return strings.TrimSpace(text + " " + c.Arg)
}

// Disarm is what it is told afterwards.
func (c Call) Disarm() string { return "off " + c.Func }

// A Site is a function that may fail, as a line of a list says.
type Site struct {
	Ops      []string // in the course of these
	Func     string   // as that of a Call
	Errnos   []string // one of these
	Nth      int      // up to this call of an op, from the first
	Arg      string   // of those calls whose first argument it is, one of Args; "" for all
	Machines []string // as the machines are called; none for all
	Once     bool     // a guest calls it the first time only
	Last     bool     // what it failed for can't be undone after: for a guest's end
	Source   string   // the comment above: kernel file, function, and why its caller can take it
}

// Fits reports whether the site is meant for an op on a machine.
func (s Site) Fits(op, machine string) bool {
	return slices.Contains(s.Ops, op) && (len(s.Machines) == 0 || slices.Contains(s.Machines, machine))
}

//go:embed lists/*.calls
var lists embed.FS

// Sites are all sites of our lists, in the order of the files' names.
var Sites = read(lists)

func read(from fs.FS) []Site {
	names, err := fs.Glob(from, "lists/*.calls")
	if err != nil {
		panic(err) // the pattern is ours
	}
	var all []Site
	for _, name := range names {
		text, err := fs.ReadFile(from, name)
		if err != nil {
			panic(err) // the embed pattern guarantees it
		}
		sites, err := Parse(string(text), name)
		if err != nil {
			panic(err) // a test reads them all
		}
		all = append(all, sites...)
	}
	return all
}

// For lists those of some sites that are meant for an op on a machine.
func For(sites []Site, op, machine string) []Site {
	return slices.DeleteFunc(slices.Clone(sites), func(s Site) bool { return !s.Fits(op, machine) })
}

// Funcs lists the functions that may fail on a machine, in the course of anything.
func Funcs(machine string) []string {
	var all []string
	for _, s := range Sites {
		if len(s.Machines) == 0 || slices.Contains(s.Machines, machine) {
			all = append(all, s.Func)
		}
	}
	return all
}

// Parse reads a list. A line is
//
//	OP[,OP] FUNC[<CALLER] ERRNO[,ERRNO] [nth=N] [arg=NAME] [machine=NAME[,NAME]] [once] [last]
//
// and has a comment above it; name stands in errors.
func Parse(text, name string) ([]Site, error) {
	var all []Site
	for line := range fields.Lines(text) {
		s, err := parseSite(strings.Fields(line.Text))
		if err == nil && line.Comment == "" {
			err = fmt.Errorf("no comment says where it is written that it may fail")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", name, line.Number, err)
		}
		s.Source = line.Comment
		all = append(all, s)
	}
	return all, nil
}

var (
	funcRE  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(<<?[A-Za-z_][A-Za-z0-9_]*)?$`)
	valueRE = regexp.MustCompile(`^=-?[0-9]{1,9}$`)
)

func parseSite(words []string) (Site, error) {
	s := Site{Nth: 1}
	if len(words) < 3 {
		return s, fmt.Errorf("a line is: OP FUNCTION ERRNO, and perhaps nth=, machine=, once, last")
	}
	s.Ops, s.Func, s.Errnos = strings.Split(words[0], ","), words[1], strings.Split(words[2], ",")
	for _, op := range s.Ops {
		if !slices.Contains(Ops, op) {
			return s, fmt.Errorf("%q is none of %s", op, strings.Join(Ops, ", "))
		}
	}
	function, caller, _ := strings.Cut(s.Func, "<")
	if !funcRE.MatchString(s.Func) || strings.Contains(s.Func, ownMark) || len(function) > maxName || len(caller) > maxName {
		return s, fmt.Errorf("%q is no function's name, nor FUNCTION<CALLER", s.Func)
	}
	for _, errno := range s.Errnos {
		if !slices.Contains(Errnos, errno) && !valueRE.MatchString(errno) {
			return s, fmt.Errorf("%q is no errno that the module knows", errno)
		}
	}
	return s, s.options(words[3:])
}

func (s *Site) options(words []string) error {
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "nth":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 || n > maxNth {
				return fmt.Errorf("%q: a number from 1 to %d", word, maxNth)
			}
			s.Nth = n
		case "arg":
			if !slices.Contains(Args, value) {
				return fmt.Errorf("%q: none of %s", word, strings.Join(Args, ", "))
			}
			s.Arg = value
		case "machine":
			s.Machines = strings.Split(value, ",")
		case "once":
			s.Once = true
		case "last":
			s.Last = true
		default:
			return fmt.Errorf("unknown word %q", word)
		}
	}
	return nil
}
