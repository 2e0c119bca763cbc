// SPDX-License-Identifier: Apache-2.0

// Package blame gives every error an owner. plugstorm's verdicts rest on the
// difference between "the kernel under test did this" and "something else
// went wrong", so an error says whose fault it is and what to do next, and
// nobody ever matches error texts to find out.
package blame

import (
	"errors"
	"fmt"
)

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

// Of returns the innermost owner in err's chain, Harness if there is none,
// and the empty Party for a nil error.
func Of(err error) Party {
	if err == nil {
		return ""
	}
	party := Harness
	walk(err, func(e *Error) { party = e.Party })
	return party
}

// Next returns the innermost next step in err's chain, or "".
func Next(err error) string {
	var next string
	walk(err, func(e *Error) {
		if e.Next != "" {
			next = e.Next
		}
	})
	return next
}

// walk visits the owned errors of a chain from the outside in.
func walk(err error, visit func(*Error)) {
	var e *Error
	for errors.As(err, &e) {
		visit(e)
		err = e.Err
	}
}
