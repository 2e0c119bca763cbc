// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/vm"
)

// Workers' allocations fail during one op: how likely each, and how many.
var (
	failPercents = []int{1, 3, 10, 30}
	failWhats    = []string{"failslab", "fail_page_alloc"}
)

const failTimesMax = 4

// DIMMAddFailing plugs a DIMM into a guest that runs out of memory over it.
var DIMMAddFailing = Kinds.Register(&Kind{
	Name: "dimm-add-failing",
	Doc: "plug a DIMM while some allocations of the kernel's workers, who do the hotplug, fail (failslab, fail_page_alloc): the error paths of " +
		"adding memory; that the guest doesn't take it is a legitimate answer",
	Deadline: patience,
	Zero:     func() Op { return &dimmAddFailing{} },
	Draw: func(r *rand.Rand, s *State) Op {
		o := DIMMAdd.Draw(r, s)
		if o == nil {
			return nil
		}
		return &dimmAddFailing{dimmAdd: *o.(*dimmAdd), failing: drawFailing(r)}
	},
})

// DIMMRemoveFailing unplugs a DIMM from a guest that runs out of memory over it.
var DIMMRemoveFailing = Kinds.Register(&Kind{
	Name: "dimm-remove-failing",
	Doc: "unplug a DIMM while some allocations of the kernel's workers, who do the hotplug, fail (failslab, fail_page_alloc): the error paths of " +
		"offlining and removing memory",
	Deadline: patience,
	Zero:     func() Op { return &dimmRemoveFailing{} },
	Draw: func(r *rand.Rand, s *State) Op {
		o := DIMMRemove.Draw(r, s)
		if o == nil {
			return nil
		}
		return &dimmRemoveFailing{dimmRemove: *o.(*dimmRemove), failing: drawFailing(r)}
	},
})

// failing says what fails.
type failing struct {
	What    string `json:"what"`
	Percent int    `json:"percent"`
	Times   int    `json:"times"`
}

func drawFailing(r *rand.Rand) failing {
	return failing{
		What: failWhats[r.IntN(len(failWhats))], Percent: failPercents[r.IntN(len(failPercents))], Times: 1 + r.IntN(failTimesMax),
	}
}

func (f failing) begin(ctx context.Context, v *vm.VM) error {
	return guestRefusal(v.Agent.Call(ctx, agent.MethodFailWorkers, agent.FailWorkersParams(f), nil))
}

// end stops it, also when the op's own time is up.
func (f failing) end(ctx context.Context, v *vm.VM) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), v.Deadline(resetLimit))
	defer cancel()
	return guestRefusal(v.Agent.Call(ctx, agent.MethodFailWorkers, agent.FailWorkersParams{What: f.What}, nil))
}

// failingLimit is how long a guest may take over what may fail. A machine need
// not say that it did (pseries doesn't).
const failingLimit = 15 * time.Second

type dimmAddFailing struct {
	dimmAdd
	failing
}

// Inject lets allocations fail and plugs the DIMM.
func (o *dimmAddFailing) Inject(ctx context.Context, v *vm.VM) error {
	if err := o.begin(ctx, v); err != nil {
		return err
	}
	if err := o.dimmAdd.Inject(ctx, v); err != nil {
		return errors.Join(err, o.end(ctx, v))
	}
	return nil
}

// Confirm waits for the memory, but not for ever.
func (o *dimmAddFailing) Confirm(ctx context.Context, v *vm.VM) error {
	short, cancel := context.WithTimeout(ctx, v.Deadline(failingLimit))
	defer cancel()
	err := o.dimmAdd.Confirm(short, v)
	late := ctx.Err() == nil && short.Err() != nil
	ended := o.end(ctx, v)
	if late && err != nil && !Gone(err) {
		err = refused("the guest doesn't take the DIMM while allocations fail: %v", err)
	}
	return errors.Join(err, ended)
}

type dimmRemoveFailing struct {
	dimmRemove
	failing
}

// Inject lets allocations fail and unplugs the DIMM.
func (o *dimmRemoveFailing) Inject(ctx context.Context, v *vm.VM) error {
	if err := o.begin(ctx, v); err != nil {
		return err
	}
	if err := o.dimmRemove.Inject(ctx, v); err != nil {
		return errors.Join(err, o.end(ctx, v))
	}
	return nil
}

// Confirm waits as for any removal.
func (o *dimmRemoveFailing) Confirm(ctx context.Context, v *vm.VM) error {
	err := o.dimmRemove.Confirm(ctx, v)
	return errors.Join(err, o.end(ctx, v))
}
