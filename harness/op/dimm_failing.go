// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"errors"
	"math/bits"
	"math/rand/v2"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/vm"
)

// Workers' allocations fail during one op: how likely each, and how many; most
// of what a device takes are slabs. What fails first is ACPI's interpreter, so
// they get something before: up to this many bytes of slabs, or pages.
var (
	failPercents = []int{10, 100, 100}
	failWhats    = []string{"failslab", "failslab", "fail_page_alloc"}
	failSkips    = map[string]int{"failslab": 1 << 18, "fail_page_alloc": 1 << 10}
)

const failTimesMax = 4

// DIMMAddFailing plugs a DIMM into a guest that runs out of memory over it.
var DIMMAddFailing = Kinds.Register(&Kind{
	Name: "dimm-add-failing",
	Doc: "plug a DIMM while some allocations of the kernel's workers, who do the hotplug, fail (failslab, fail_page_alloc): the error paths of " +
		"adding memory; that the guest doesn't take it is a legitimate answer",
	Touches:  dimmAddTouches,
	Deadline: patience,
	Fails:    FailsAllOver,
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
	Touches:  dimmRemoveTouches,
	Deadline: patience,
	Fails:    FailsAllOver,
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
	Skip    int    `json:"skip"`
	Who     string `json:"who,omitempty"` // see agent.FailWorkersParams
}

func drawFailing(r *rand.Rand) failing {
	what := failWhats[r.IntN(len(failWhats))]
	octaves := bits.Len(uint(failSkips[what]))
	return failing{
		What: what, Percent: failPercents[r.IntN(len(failPercents))], Times: 1 + r.IntN(failTimesMax),
		Skip: r.IntN(1 << r.IntN(octaves)),
	}
}

func (f failing) begin(ctx context.Context, v *vm.VM) error {
	return guestRefusal(v.Agent.Call(ctx, agent.MethodFailWorkers, agent.FailWorkersParams(f), nil))
}

// end stops it, also when the op's own time is up.
func (f failing) end(ctx context.Context, v *vm.VM) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), v.Deadline(resetLimit))
	defer cancel()
	return guestRefusal(v.Agent.Call(ctx, agent.MethodFailWorkers, agent.FailWorkersParams{What: f.What}, nil)) // whose they were is no matter
}

// failingLimit is how long a guest may take over what may fail. A machine need
// not say that it did (pseries doesn't), and what fails may be the very message
// that there is something to do.
const failingLimit = 5 * time.Second

// confirm waits as the op does that f is made of, but not for ever, and stops
// the failing.
func (f failing) confirm(ctx context.Context, v *vm.VM, wait func(context.Context, *vm.VM) error) error {
	return confirmFailing(ctx, v, failingLimit, "allocations fail", wait, f.end)
}

// confirmFailing waits as an op does in the course of which something fails, which
// what says, but no longer than limit (stretched), and ends the failing.
func confirmFailing(ctx context.Context, v *vm.VM, limit time.Duration, what string, wait, end func(context.Context, *vm.VM) error) error {
	short, cancel := context.WithTimeout(ctx, v.Deadline(limit))
	defer cancel()
	err := wait(short, v)
	late := ctx.Err() == nil && short.Err() != nil
	ended := end(ctx, v)
	if late && err != nil && !Gone(err) {
		err = refused("the guest doesn't do it while %s: %v", what, err)
	}
	return errors.Join(err, ended)
}

// inject lets allocations fail and begins the op.
func (f failing) inject(ctx context.Context, v *vm.VM, begin func(context.Context, *vm.VM) error) error {
	if err := f.begin(ctx, v); err != nil {
		return err
	}
	if err := begin(ctx, v); err != nil {
		return errors.Join(err, f.end(ctx, v))
	}
	return nil
}

type dimmAddFailing struct {
	dimmAdd
	failing
}

// Inject plugs the DIMM.
func (o *dimmAddFailing) Inject(ctx context.Context, v *vm.VM) error {
	return o.inject(ctx, v, o.dimmAdd.Inject)
}

// Confirm waits for the memory.
func (o *dimmAddFailing) Confirm(ctx context.Context, v *vm.VM) error {
	return o.confirm(ctx, v, o.dimmAdd.Confirm)
}

type dimmRemoveFailing struct {
	dimmRemove
	failing
}

// Inject asks the DIMM back.
func (o *dimmRemoveFailing) Inject(ctx context.Context, v *vm.VM) error {
	return o.inject(ctx, v, o.dimmRemove.Inject)
}

// Confirm waits until the DIMM has left.
func (o *dimmRemoveFailing) Confirm(ctx context.Context, v *vm.VM) error {
	return o.confirm(ctx, v, o.dimmRemove.Confirm)
}
