// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"errors"
	"fmt"
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
		"what dimm-remove can't do when the kernel itself has pages there. Of a refused removal pseries' QEMU hears nothing, and it takes no second one: there the guest is asked",
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
	dimm := v.Spec.Machine.DIMM
	leaving := v.Devices.IsLeaving(o.ID)
	r, there := v.Devices.DIMM(o.ID)
	if there && (!leaving || dimm.RemoveRequest != "") {
		if err := bringOffline(ctx, v, r); err != nil {
			return err
		}
	}
	if !leaving || dimm.RemoveRequest == "" {
		return o.removal.Inject(ctx, v)
	}
	unit := uint64(dimm.UnitMiB) << 20
	return o.removal.again(ctx, v, fmt.Sprintf(dimm.RemoveRequest, r.Size/unit, r.Start/unit))
}

// again has the guest do the removal that QEMU has asked for before. A kernel
// whose first LMB can't go tells nobody (dlpar_memory_remove_by_ic,
// arch/powerpc/platforms/pseries/hotplug-memory.c), and QEMU goes on waiting.
func (o *dimmRemove) again(ctx context.Context, v *vm.VM, request string) error {
	o.events = watchDevice(ctx, v, o.ID)
	return dlpar(ctx, v, request)
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
