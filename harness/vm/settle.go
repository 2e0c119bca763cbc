// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"context"
	"errors"
	"regexp"
	"time"

	"plugstorm/harness/blame"
	"plugstorm/harness/qmp"
)

// How often, and for how long, a guest is looked at for a moment to save it at.
const (
	settleTries = 20
	settlePause = 50 * time.Millisecond
	catchTries  = 3000 // a moment of some microseconds: 2 to 130 tries of about 1 ms were seen
	catchLimit  = 15 * time.Second
)

// errUnsettled says that a guest could not be saved.
var errUnsettled = errors.New("there was no good moment to save it at")

// savedWhile is what a guest has to be like to be saved (Defect.SaveWhile), nil
// if no defect asks for it.
func (s *Spec) savedWhile() *regexp.Regexp {
	for _, d := range s.Machine.Defects {
		if d.SaveWhile != nil && d.Applies(s.Accel, s.Version) {
			return d.SaveWhile
		}
	}
	return nil
}

// stopSettled stops the guest at a moment at which it can be saved. After an
// error it runs.
func (v *VM) stopSettled(ctx context.Context) error {
	if v.Spec.savedWhile() != nil {
		return v.catch(ctx)
	}
	return v.rest(ctx)
}

// rest stops the guest a little after it was last spoken to.
func (v *VM) rest(ctx context.Context) error {
	ticker := time.NewTicker(settlePause)
	defer ticker.Stop()
	for range settleTries {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if stopped, err := v.tryStop(ctx); stopped || err != nil {
			return err
		}
	}
	return blame.On(blame.Host, errUnsettled, "")
}

// catch stops the guest while Defect.SaveWhile matches. It is spoken to in
// between: that makes it take interrupts.
func (v *VM) catch(ctx context.Context) error {
	end := time.Now().Add(v.Deadline(catchLimit))
	for i := 0; i < catchTries && time.Now().Before(end); i++ {
		if stopped, err := v.tryStop(ctx); stopped || err != nil {
			return err
		}
		if err := v.Agent.Nudge(ctx); err != nil {
			return err
		}
	}
	return blame.On(blame.Host, errUnsettled, "")
}

// tryStop stops the guest, looks whether it can be saved as it is, and lets it go
// on if it can't.
func (v *VM) tryStop(ctx context.Context) (stopped bool, err error) {
	err = qmp.Stop(ctx, v.Monitor)
	if err == nil {
		stopped, err = v.settled(ctx)
	}
	if !stopped || err != nil {
		err = errors.Join(err, v.goOn(ctx))
	}
	return stopped && err == nil, err
}

// goOn lets the guest run, also when there is no time left.
func (v *VM) goOn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), quitGrace)
	defer cancel()
	return qmp.Cont(ctx, v.Monitor)
}

// settled reports whether the stopped guest can be saved as it is.
func (v *VM) settled(ctx context.Context) (bool, error) {
	unsettled, while := v.Spec.Machine.Unsettled, v.Spec.savedWhile()
	if unsettled == nil && while == nil {
		return true, nil
	}
	interrupts, err := qmp.Human(ctx, v.Monitor, "info pic")
	if err != nil {
		return false, err
	}
	return (unsettled == nil || !unsettled.MatchString(interrupts)) && (while == nil || while.MatchString(interrupts)), nil
}
