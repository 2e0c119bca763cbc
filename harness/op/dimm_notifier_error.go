// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"plugstorm/harness/vm"
)

// DIMMAddNotifierError plugs a DIMM whose memory can't be brought online.
var DIMMAddNotifierError = Kinds.Register(&Kind{
	Name: "dimm-add-notifier-error",
	Doc: "plug a DIMM while a memory notifier answers all onlining with an error (memory-notifier-error-inject): on pseries, which takes no memory that " +
		"stays offline, the way back of the whole add, of which no single failing call is the cause, since it tries twice; elsewhere a DIMM that is there and offline",
	Touches:  dimmAddTouches,
	Deadline: patience,
	Fails:    FailsAllOver,
	Zero:     func() Op { return &dimmAddNotifierError{} },
	Draw: func(r *rand.Rand, s *State) Op {
		o := DIMMAdd.Draw(r, s)
		if o == nil {
			return nil
		}
		return &dimmAddNotifierError{dimmAdd: *o.(*dimmAdd), Errno: int(notifierErrnos[r.IntN(len(notifierErrnos))])}
	},
})

type dimmAddNotifierError struct {
	dimmAdd
	Errno int `json:"errno"`
}

// notifierLimit is how long a guest may take to find out that it can't bring memory
// online: several times what an add takes. A machine need not say that it has given up.
const notifierLimit = 2 * time.Second

// Inject plugs the DIMM while the notifier fails. Who else brings a block online
// meanwhile meets the error, too, which is a refusal like any other.
func (o *dimmAddNotifierError) Inject(ctx context.Context, v *vm.VM) error {
	if err := failNotifier(ctx, v, goingOnline, o.Errno); err != nil {
		return err
	}
	if err := o.dimmAdd.Inject(ctx, v); err != nil {
		return errors.Join(err, endNotifierError(ctx, v, goingOnline))
	}
	return nil
}

// Confirm waits for the memory, for a while.
func (o *dimmAddNotifierError) Confirm(ctx context.Context, v *vm.VM) error {
	return confirmFailing(ctx, v, notifierLimit, "a memory notifier fails", o.dimmAdd.Confirm, func(ctx context.Context, v *vm.VM) error {
		return endNotifierError(ctx, v, goingOnline)
	})
}
