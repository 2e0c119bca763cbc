// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"math/rand/v2"
	"time"

	"plugstorm/harness/qmp"
	"plugstorm/harness/vm"
)

// VMPause stops all vCPUs for a moment, as a busy or migrating host does.
var VMPause = Kinds.Register(&Kind{
	Name:     "vm-pause",
	Doc:      "stop the whole guest for a moment (stop, cont), in the middle of whatever it does",
	Deadline: 20 * time.Second,
	Zero:     func() Op { return &vmPause{} },
	Draw: func(r *rand.Rand, _ *State) Op {
		return &vmPause{MS: 10 + r.IntN(490)}
	},
})

// contGrace is how long QEMU, not the guest, may take to continue.
const contGrace = 10 * time.Second

type vmPause struct {
	MS int `json:"ms"`
}

// Inject never leaves the guest stopped when it fails: QEMU may still run a
// command whose answer ctx's end kept from us.
func (o *vmPause) Inject(ctx context.Context, v *vm.VM) error {
	err := qmp.Stop(ctx, v.Monitor)
	if err != nil {
		_ = resume(ctx, v) // the reason for the failure counts
	}
	return err
}

// Confirm lets the pause pass and continues, even if ctx ends meanwhile.
func (o *vmPause) Confirm(ctx context.Context, v *vm.VM) error {
	timer := time.NewTimer(time.Duration(o.MS) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return resume(ctx, v)
}

// resume continues the guest, even if ctx has ended.
func resume(ctx context.Context, v *vm.VM) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), contGrace)
	defer cancel()
	return qmp.Cont(ctx, v.Monitor)
}

func (o *vmPause) Apply(*State) {}
