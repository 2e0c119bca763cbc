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

func (o *vmPause) Inject(ctx context.Context, v *vm.VM) error {
	return qmp.Stop(ctx, v.Monitor)
}

// Confirm lets the pause pass and continues, even if ctx ends meanwhile.
func (o *vmPause) Confirm(ctx context.Context, v *vm.VM) error {
	timer := time.NewTimer(time.Duration(o.MS) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), contGrace)
	defer cancel()
	return qmp.Cont(ctx, v.Monitor)
}

func (o *vmPause) Apply(*State) {}
