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

// evictLimit is how long a guest may take to bring a DIMM's memory offline,
// with as many attempts as it takes.
const evictLimit = 15 * time.Second

// evictTry is how long each attempt may take before it is interrupted: all the
// while nobody else can hotplug anything, and who has the memory that pages could
// move to may be waiting for just that.
const evictTry = 2 * time.Second

// DIMMEvict unplugs a DIMM that the guest has been made to let go first.
var DIMMEvict = Kinds.Register(&Kind{
	Name: "dimm-evict",
	Doc: "bring all memory blocks of a DIMM offline, again and again while the kernel refuses, then unplug it: " +
		"what dimm-remove can't do when the kernel itself has pages there",
	Touches:  dimmEvictTouches,
	Deadline: patience,
	Zero:     func() Op { return &dimmEvict{} },
	Draw: func(r *rand.Rand, s *State) Op {
		id, ok := pick(r, sortedKeys(s.DIMMs))
		if !ok {
			return nil
		}
		return &dimmEvict{ID: id}
	},
})

type dimmEvict struct {
	ID string `json:"id"`

	removal dimmRemove
}

func (o *dimmEvict) Inject(ctx context.Context, v *vm.VM) error {
	o.removal = dimmRemove{ID: o.ID}
	if err := settle(ctx, v, o.ID); err != nil {
		return err
	}
	r, there := v.Devices.DIMM(o.ID)
	if there && (!v.Devices.IsLeaving(o.ID) || v.Spec.Machine.DIMM.RemoveRequest != "") {
		if err := bringOffline(ctx, v, r); err != nil {
			return err
		}
	}
	return o.removal.Inject(ctx, v)
}

// bringOffline brings every block of a range offline. The kernel's last refusal
// within evictLimit is the answer.
func bringOffline(ctx context.Context, v *vm.VM, r vm.Range) error {
	until := time.Now().Add(v.Deadline(evictLimit))
	return poll(ctx, func() (bool, error) {
		err := offlineOnce(ctx, v, r)
		if errors.Is(err, ErrRefused) && time.Now().Before(until) {
			return false, nil
		}
		return err == nil, err
	})
}

// offlineOnce tries all blocks that aren't offline once.
func offlineOnce(ctx context.Context, v *vm.VM, r vm.Range) error {
	blocks, err := blocksOf(ctx, v, r)
	if err != nil {
		return err
	}
	var all error
	for _, b := range blocks {
		if b.State == "offline" {
			continue
		}
		err := guestRefusal(v.Agent.Call(ctx, agent.MethodSetBlock, agent.SetBlockParams{
			ID: b.ID, Via: "state", Value: "offline", LimitMS: v.Deadline(evictTry).Milliseconds(),
		}, nil))
		if err != nil && !errors.Is(err, ErrRefused) {
			return err
		}
		all = errors.Join(all, err)
	}
	return all
}

func (o *dimmEvict) Confirm(ctx context.Context, v *vm.VM) error { return o.removal.Confirm(ctx, v) }

func (o *dimmEvict) Apply(s *State) { delete(s.DIMMs, o.ID) }
