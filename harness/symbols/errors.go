// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"plugstorm/harness/blame"
)

// A MismatchError says that a file isn't of the build that printed a Ref.
type MismatchError struct {
	Ref   Ref
	File  string
	Sizes []uint64 // of the symbols of that name, as kallsyms counts them; none: the name is unknown
}

func (e *MismatchError) Error() string {
	if len(e.Sizes) == 0 {
		return fmt.Sprintf("%v: there is no %s in %s", e.Ref, e.Ref.Func, e.File)
	}
	sizes := make([]string, len(e.Sizes))
	for i, s := range e.Sizes {
		sizes[i] = fmt.Sprintf("%#x", s)
	}
	return fmt.Sprintf("%v: in %s the size of %s is %s", e.Ref, e.File, e.Ref.Func, strings.Join(sizes, " or "))
}

func mismatch(r Ref, file string, sizes []uint64) error {
	return blame.On(blame.User, &MismatchError{r, file, sizes}, "name the vmlinux and the modules of the very build that printed it")
}

// An AmbiguousError says that several functions have the name and size of a Ref.
type AmbiguousError struct {
	Ref    Ref
	Places []Place // the outermost one of each
}

func (e *AmbiguousError) Error() string {
	places := make([]string, len(e.Places))
	for i, p := range e.Places {
		places[i] = p.position()
	}
	return fmt.Sprintf("%v is one of %s", e.Ref, strings.Join(places, ", "))
}

// A MissingError says that a module isn't there, or that a file has no debug
// information, at all or for one place.
type MissingError struct{ What string }

func (e *MissingError) Error() string { return e.What }

func missing(next, format string, args ...any) error {
	return blame.On(blame.User, &MissingError{fmt.Sprintf(format, args...)}, next)
}

// A DamagedError says that a file isn't what it should be.
type DamagedError struct {
	File string
	Err  error
}

func (e *DamagedError) Error() string { return fmt.Sprintf("%s is damaged: %v", e.File, e.Err) }

// Unwrap returns what exactly is wrong.
func (e *DamagedError) Unwrap() error { return e.Err }

func damaged(file string, err error) error {
	if err == nil {
		return nil
	}
	var known *DamagedError
	var owned *blame.Error
	if errors.As(err, &known) || errors.As(err, &owned) {
		return err
	}
	return blame.On(blame.User, &DamagedError{file, err}, "copy the file again from where it was built")
}

// guard runs f, which reads an untrusted file. A panic in it, and a fault of
// a mapping whose file became shorter, is damage to the file.
func guard(file string, f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = damaged(file, fmt.Errorf("reading it: %v", p))
		}
	}()
	return damaged(file, f())
}
