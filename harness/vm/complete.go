// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"plugstorm/harness/agent"
)

// onlineLimit bounds a CPU's way online on the reference host.
const onlineLimit = 20 * time.Second

// bootsOne reports whether the guest boots on one CPU, because a defect of
// QEMU's lets no other one survive a restore.
func (s *Spec) bootsOne() bool {
	return s.Savable && slices.ContainsFunc(s.Machine.Defects, func(d Defect) bool { return d.RestoresOne && d.Applies(s.Accel, s.Version) })
}

// Complete brings those CPUs online that the guest has gone without in order
// to be saved. Most guests have all of them.
func (v *VM) Complete(ctx context.Context) error {
	waiting, err := v.waiting(ctx)
	if err != nil {
		return err
	}
	return v.complete(ctx, waiting)
}

// waiting lists the CPUs that Complete brings online. It is never nil without an
// error.
func (v *VM) waiting(ctx context.Context) ([]int, error) {
	waiting := []int{}
	if !v.Spec.bootsOne() {
		return waiting, nil
	}
	var cpus agent.CPUsReply
	if err := v.Agent.Call(ctx, agent.MethodCPUs, agent.CPUsParams{}, &cpus); err != nil {
		return nil, err
	}
	for _, cpu := range cpus.Present {
		if !slices.Contains(cpus.Online, cpu) {
			waiting = append(waiting, cpu)
		}
	}
	return waiting, nil
}

func (v *VM) complete(ctx context.Context, waiting []int) error {
	for _, cpu := range waiting {
		params := agent.SetCPUParams{CPU: cpu, Online: true, LimitMS: v.Deadline(onlineLimit).Milliseconds()}
		if err := v.Agent.Call(ctx, agent.MethodSetCPU, params, nil); err != nil {
			return fmt.Errorf("CPU %d, with which the guest has waited, does not come online: %w", cpu, err)
		}
	}
	return nil
}

// ErrDeadTimer says that a CPU never gets a timer's interrupt. Such a guest works until
// somebody waits for that CPU, and then it hangs with nobody to blame in its kernel: it
// was seen under TCG on a busy host, once in some 40 boots of 6.1, the local APIC's
// periodic timer silent from the CPU's start.
var ErrDeadTimer = errors.New("the timer is dead")

// timerLimit is how long a sleep of a millisecond may take on the reference host.
const timerLimit = 3 * time.Second

// CheckTimers has each CPU that is online wake up by its own timer. It is an
// ErrDeadTimer if one doesn't; a guest that doesn't answer is none.
func (v *VM) CheckTimers(ctx context.Context) error {
	limit := v.Deadline(timerLimit)
	ctx, cancel := context.WithTimeout(ctx, 2*limit)
	defer cancel()
	var timers agent.TimersReply
	err := v.Agent.Call(ctx, agent.MethodTimers, agent.TimersParams{LimitMS: limit.Milliseconds()}, &timers)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil // a guest that falls silent is watched for that
	case err != nil:
		return err
	case len(timers.Dead) > 0:
		return fmt.Errorf("%w of CPUs %v", ErrDeadTimer, timers.Dead)
	}
	return nil
}
