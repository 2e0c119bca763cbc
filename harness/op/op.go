// SPDX-License-Identifier: Apache-2.0

// Package op holds what plugstorm does to a guest, a file each. An Op is
// plain data, saved as JSON in a schedule; its Kind knows how to draw one
// from a seed.
package op

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/blame"
	"plugstorm/harness/catalog"
	"plugstorm/harness/qmp"
	"plugstorm/harness/vm"
)

// An Op is one thing done to a guest.
type Op interface {
	// Inject starts it. Blocking: as long as QEMU or the guest takes to accept it.
	Inject(ctx context.Context, v *vm.VM) error
	// Confirm waits until it is known how it ended.
	Confirm(ctx context.Context, v *vm.VM) error
	// Apply makes the state what it is after the op has succeeded.
	Apply(s *State)
}

// A Kind is a sort of op.
type Kind struct {
	Name, Doc string

	// Deadline is how long Inject and Confirm together may take on the
	// reference host. Past it, stretched by the guest's slowness, the op is hung.
	Deadline time.Duration

	// Touches are the files, directories and functions of the kernel's source that
	// it makes run, as package focus reads them; none for one that only carries
	// others (workload-start), or asks nothing of the kernel.
	Touches []string

	// Fails says when its ops have something fail, in kinds that are made for that.
	Fails Failing

	// Beside is a kind whose lanes have what this one needs as well; nil for none. A
	// scenario that wants this one adds it to those lanes.
	Beside *Kind

	Zero func() Op // an empty op, to unmarshal into

	// Draw makes an op that fits the state, or nil when none does (nothing to
	// remove, say). It must take all its randomness from r.
	Draw func(r *rand.Rand, s *State) Op
}

// patience is the usual deadline. It is longer than the guest kernel's own
// hung-task timeout, which says more, and there for what that can't see:
// interruptible waits, restarted system calls, requests that got lost.
const patience = 2 * time.Minute

// Kinds is the catalog of all ops.
var Kinds = catalog.New("op", func(k *Kind) (string, string) { return k.Name, k.Doc })

// An Outcome says how an op ended.
type Outcome string

// The outcomes. The zero Outcome means that nobody knows: the run ended
// before the op did.
const (
	Done    Outcome = "done"
	Refused Outcome = "refused" // the kernel (or QEMU, or our own books) legitimately said no
	Pending Outcome = "pending" // accepted, and neither done nor refused when we stopped waiting
	Hung    Outcome = "hung"    // past its deadline while the guest lives
	Broken  Outcome = "broken"  // anything else: QEMU died, QMP or the agent failed
)

// Outcomes lists all outcomes in the order in which they are reported.
var Outcomes = []Outcome{Done, Refused, Pending, Hung, Broken}

// Errors that name an outcome. Ops wrap them.
var (
	ErrRefused = errors.New("refused")
	ErrPending = errors.New("pending")

	// ErrSpent is a refusal of ours: a known defect of QEMU leaves this guest no
	// more of it. A fresh guest has a new budget.
	ErrSpent = fmt.Errorf("%w: budget spent", ErrRefused)
)

func refused(format string, args ...any) error {
	return blame.On(blame.Kernel, fmt.Errorf("%w: "+format, append([]any{ErrRefused}, args...)...), "")
}

func pending(format string, args ...any) error {
	return blame.On(blame.Kernel, fmt.Errorf("%w: "+format, append([]any{ErrPending}, args...)...), "")
}

// OutcomeOf reads an outcome off what Inject or Confirm returned. cause is the
// step context's cause: a deadline makes it hung, an end of the run leaves it
// unknown.
func OutcomeOf(err, cause error) Outcome {
	switch {
	case err == nil:
		return Done
	case errors.Is(err, ErrRefused):
		return Refused
	case errors.Is(err, ErrPending):
		return Pending
	case Gone(err):
		return Broken
	case cause != nil && !errors.Is(cause, context.DeadlineExceeded):
		return "" // err may hold the cause, and so whose fault that is
	case cause != nil && blame.Of(err) != blame.Hypervisor:
		return Hung
	default:
		return Broken
	}
}

// Gone reports whether an error says that QEMU or the agent's channel has
// ended.
func Gone(err error) bool {
	var channel *agent.ChannelError
	return errors.Is(err, qmp.ErrGone) || errors.Is(err, qmp.ErrClosed) || errors.As(err, &channel)
}

// guestRefusal turns the errors with which a kernel legitimately refuses to
// bring a block or a CPU offline or online into a refusal.
func guestRefusal(err error) error {
	var ge *agent.Error
	if !errors.As(err, &ge) {
		return err
	}
	for _, errno := range []syscall.Errno{syscall.EBUSY, syscall.EINVAL, syscall.EINTR, syscall.ENOENT, syscall.ENOMEM, syscall.EAGAIN, syscall.ENODEV} {
		if ge.Errno == errnoName(errno) {
			return refused("%s", ge.Message)
		}
	}
	return err
}

// A Spec is an op with the name of its kind: what schedules are made of.
type Spec struct {
	Kind *Kind
	Op   Op
}

type specJSON struct {
	Kind string          `json:"kind"`
	Args json.RawMessage `json:"args"`
}

// MarshalJSON writes the spec as {"kind": NAME, "args": {...}}.
func (s Spec) MarshalJSON() ([]byte, error) {
	args, err := json.Marshal(s.Op)
	if err != nil {
		return nil, err
	}
	return json.Marshal(specJSON{s.Kind.Name, args})
}

// UnmarshalJSON reads it back. Unknown kinds and unknown arguments are errors.
func (s *Spec) UnmarshalJSON(data []byte) error {
	var raw specJSON
	if err := strict(data, &raw); err != nil {
		return err
	}
	kind, err := Kinds.Get(raw.Kind)
	if err != nil {
		return err
	}
	s.Kind, s.Op = kind, kind.Zero()
	if len(raw.Args) == 0 || raw.Args[0] != '{' {
		return fmt.Errorf("arguments of %s: %q is no object", raw.Kind, raw.Args)
	}
	if err := strict(raw.Args, s.Op); err != nil {
		return fmt.Errorf("arguments of %s: %w", raw.Kind, err)
	}
	return nil
}

// strict unmarshals and refuses unknown fields.
func strict(data []byte, v any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	return decoder.Decode(v)
}
