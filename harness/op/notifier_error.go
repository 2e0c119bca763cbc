// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"syscall"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/vm"
)

// notifierModules are the kernel's own, in the order in which they need each
// other.
var notifierModules = []string{"notifier_error_inject", "memory_notifier_error_inject"}

const notifierActions = "/sys/kernel/debug/notifier-error-inject/memory/actions/"

var notifierErrnos = []syscall.Errno{syscall.ENOMEM, syscall.EBUSY, syscall.EINVAL}

// BlockNotifierError brings a block on- or offline with a memory notifier that
// fails.
var BlockNotifierError = Kinds.Register(&Kind{
	Name: "block-notifier-error",
	Doc: "bring a memory block of a DIMM online or offline while a memory notifier answers with an error (memory-notifier-error-inject), and then " +
		"without: what the kernel did until then must be undone, locks included",
	Touches:  blockTouches,
	Deadline: patience,
	Fails:    FailsAtFirst,
	Zero:     func() Op { return &notifierError{} },
	Draw: func(r *rand.Rand, s *State) Op {
		set, ok := drawBlockSet(r, s)
		if !ok {
			return nil
		}
		return &notifierError{blockSet: set, Errno: int(notifierErrnos[r.IntN(len(notifierErrnos))])}
	},
})

type notifierError struct {
	blockSet
	Errno int `json:"errno"`
}

// Inject sets the block while the notifier fails. Others who set blocks
// meanwhile meet the error too, which is a refusal like any other.
func (o *notifierError) Inject(ctx context.Context, v *vm.VM) error {
	params, err := o.params(v)
	if err != nil {
		return err
	}
	if err := failNotifier(ctx, v, o.action(), o.Errno); err != nil {
		return err
	}
	err = tolerate(v.Agent.Call(ctx, agent.MethodSetBlock, params, nil))
	return errors.Join(err, endNotifierError(ctx, v, o.action()))
}

// Confirm sets the block for good.
func (o *notifierError) Confirm(ctx context.Context, v *vm.VM) error { return o.again(ctx, v) }

const goingOnline = "MEM_GOING_ONLINE"

// action is what the notifier is told of.
func (o *notifierError) action() string {
	if o.offline() {
		return "MEM_GOING_OFFLINE"
	}
	return goingOnline
}

// failNotifier has the notifier answer an action with an errno, 0 for none. The
// modules are loaded by the first who needs them.
func failNotifier(ctx context.Context, v *vm.VM, action string, errno int) error {
	file := agent.FileParams{Path: notifierActions + action + "/error", Data: strconv.Itoa(-errno)}
	err := guestRefusal(v.Agent.Call(ctx, agent.MethodWriteFile, file, nil))
	if !errors.Is(err, ErrRefused) {
		return err
	}
	for _, module := range notifierModules {
		err := v.Agent.Call(ctx, agent.MethodLoadModule, agent.ModuleParams{Name: module}, nil)
		var ge *agent.Error
		if err != nil && (!errors.As(err, &ge) || ge.Errno != errnoName(syscall.EEXIST)) {
			return guestRefusal(err)
		}
	}
	return guestRefusal(v.Agent.Call(ctx, agent.MethodWriteFile, file, nil))
}

// resetLimit bounds the end of a failing when the op's own time is up.
const resetLimit = 5 * time.Second

// endNotifierError calls an error off, also when the op's own time is up.
func endNotifierError(ctx context.Context, v *vm.VM, action string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), v.Deadline(resetLimit))
	defer cancel()
	return failNotifier(ctx, v, action, 0)
}
