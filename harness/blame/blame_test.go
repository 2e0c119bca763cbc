// SPDX-License-Identifier: Apache-2.0

package blame_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"plugstorm/harness/blame"
)

var errPlain = errors.New("plain")

func TestOfAndNext(t *testing.T) {
	kernel := blame.Errorf(blame.Kernel, "read the kernel", "kernel")
	silent := blame.On(blame.Hypervisor, errPlain, "")
	host := blame.Errorf(blame.Host, "free some space", "host")
	for _, tt := range []struct {
		name  string
		err   error
		party blame.Party
		next  string
	}{
		{"nil", nil, "", ""},
		{"unowned", errPlain, blame.Harness, ""},
		{"unowned, wrapped", fmt.Errorf("x: %w", errPlain), blame.Harness, ""},
		{"zero party", &blame.Error{Err: errPlain}, "", ""},
		{"owner without cause", &blame.Error{Party: blame.User, Next: "n"}, blame.User, "n"},

		{"owned", kernel, blame.Kernel, "read the kernel"},
		{"wrapped", fmt.Errorf("x: %w", kernel), blame.Kernel, "read the kernel"},
		{"innermost wins", blame.On(blame.User, blame.On(blame.Harness, kernel, "b"), "a"), blame.Kernel, "read the kernel"},
		{"innermost wins through wrapping", blame.On(blame.User, fmt.Errorf("x: %w", kernel), "a"), blame.Kernel, "read the kernel"},
		{"the innermost knows no next step", blame.On(blame.User, silent, "a"), blame.Hypervisor, "a"},

		{"joined: the first wins", errors.Join(host, kernel), blame.Host, "free some space"},
		{"joined, the other way", errors.Join(kernel, host), blame.Kernel, "read the kernel"},
		{"joined: the first owned wins", errors.Join(errPlain, host), blame.Host, "free some space"},
		{"joined: nobody is owned", errors.Join(errPlain, errPlain), blame.Harness, ""},
		{"joined: the first knows no next step", errors.Join(silent, host), blame.Hypervisor, "free some space"},
		{"an owner around a join", blame.On(blame.User, errors.Join(errPlain, host), "a"), blame.Host, "free some space"},
		{"an owner around unowned ones", blame.On(blame.User, errors.Join(errPlain, errPlain), "a"), blame.User, "a"},
		{"two verbs", fmt.Errorf("%w: %w", errPlain, kernel), blame.Kernel, "read the kernel"},
		{"two owned verbs", fmt.Errorf("%w: %w", silent, kernel), blame.Hypervisor, "read the kernel"},
		{"a join deep inside", fmt.Errorf("x: %w", errors.Join(fmt.Errorf("y: %w", errors.Join(errPlain, silent)), kernel)), blame.Hypervisor, "read the kernel"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := blame.Of(tt.err); got != tt.party {
				t.Errorf("Of is %q, want %q", got, tt.party)
			}
			if got := blame.Next(tt.err); got != tt.next {
				t.Errorf("Next is %q, want %q", got, tt.next)
			}
		})
	}
}

func TestOnNil(t *testing.T) {
	if err := blame.On(blame.Kernel, nil, "anything"); err != nil {
		t.Errorf("a nil error got an owner: %#v", err)
	}
}

// TestTransparent: an owner changes neither the text nor what errors.Is and
// errors.As find.
func TestTransparent(t *testing.T) {
	cause := &fs.PathError{Op: "open", Path: "/x", Err: fs.ErrNotExist}
	err := blame.On(blame.Host, fmt.Errorf("reading: %w", cause), "look")
	if got, want := err.Error(), "reading: open /x: file does not exist"; got != want {
		t.Errorf("text is %q, want %q", got, want)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("errors.Is doesn't see the cause")
	}
	if found, ok := errors.AsType[*fs.PathError](err); !ok || found != cause {
		t.Error("errors.As doesn't see the cause")
	}
	if owner, ok := errors.AsType[*blame.Error](fmt.Errorf("x: %w", err)); !ok || owner.Party != blame.Host || owner.Next != "look" {
		t.Errorf("errors.As doesn't find the owner but %+v", owner)
	}
	if err := blame.Errorf(blame.User, "", "%d: %w", 7, fs.ErrExist); !errors.Is(err, fs.ErrExist) || err.Error() != "7: file already exists" {
		t.Errorf("Errorf made %q", err)
	}
}
