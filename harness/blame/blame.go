// SPDX-License-Identifier: Apache-2.0

// Package blame gives every error an owner. plugstorm's verdicts rest on the
// difference between "the kernel under test did this" and "something else
// went wrong", so an error says whose fault it is and what to do next, and
// nobody ever matches error texts to find out.
package blame

import "fmt"

// A Party is whoever has to act on an error.
type Party string

// The parties. The zero Party means that nobody has decided, and is treated
// as ours.
const (
	Kernel     Party = "kernel"     // the kernel under test: the only party whose errors are findings
	Hypervisor Party = "hypervisor" // QEMU died, refused its command line, or broke QMP
	Host       Party = "host"       // no memory, no disk, a missing package
	Harness    Party = "harness"    // plugstorm itself
	User       Party = "user"       // wrong usage
)

// An Error is an error with an owner.
type Error struct {
	Party Party
	Err   error
	Next  string // what to do about it, one imperative sentence or a command line; may be empty
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap lets errors.Is and errors.As see through the owner.
func (e *Error) Unwrap() error { return e.Err }

// On gives err an owner and a next step. It returns nil for a nil err. An
// owner closer to the cause wins: Of reports the innermost one.
func On(p Party, err error, next string) error {
	if err == nil {
		return nil
	}
	return &Error{Party: p, Err: err, Next: next}
}

// Errorf makes an owned error from a format, %w included.
func Errorf(p Party, next, format string, args ...any) error {
	return &Error{Party: p, Err: fmt.Errorf(format, args...), Next: next}
}

// Of returns the innermost owner in err's tree, Harness if there is none, and
// the empty Party for a nil error. Where the tree branches (errors.Join,
// several %w), the first branch that has an owner wins.
func Of(err error) Party {
	if err == nil {
		return ""
	}
	if e := innermost(err, func(*Error) bool { return true }); e != nil {
		return e.Party
	}
	return Harness
}

// Next returns the innermost next step in err's tree, or "". Where the tree
// branches, the first branch that has one wins: it may be another one than Of's.
func Next(err error) string {
	if e := innermost(err, func(e *Error) bool { return e.Next != "" }); e != nil {
		return e.Next
	}
	return ""
}

// innermost returns the deepest owned error that fits, in the first branch
// that has any, or nil.
func innermost(err error, fits func(*Error) bool) *Error {
	for _, cause := range causes(err) {
		if e := innermost(cause, fits); e != nil {
			return e
		}
	}
	if e, ok := any(err).(*Error); ok && fits(e) {
		return e
	}
	return nil
}

// causes returns what err directly wraps.
func causes(err error) []error {
	switch e := any(err).(type) {
	case interface{ Unwrap() error }:
		return []error{e.Unwrap()}
	case interface{ Unwrap() []error }:
		return e.Unwrap()
	}
	return nil
}
