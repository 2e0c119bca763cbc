// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"plugstorm/harness/calls"
	"plugstorm/harness/focus"
	"plugstorm/harness/vm"
	"plugstorm/images"
)

// ownCalls are the calls that functions of a run's focus make themselves and that may
// fail: none without their source, and none for a replay, whose record has them.
func (a *app) ownCalls(ctx context.Context, p *plan, m *vm.Machine, places []focus.Place) ([]calls.Site, error) {
	var functions []images.Change
	for _, place := range places {
		if place.File != "" && place.Func != "" {
			functions = append(functions, images.Change{File: place.File, Func: place.Func})
		}
	}
	if p.replays != nil || p.flags.kernel != "" || len(functions) == 0 {
		return nil, nil
	}
	store, err := a.store()
	if err != nil {
		return nil, err
	}
	read, err := store.Callees(ctx, p.source, functions)
	a.ui.close()
	if err != nil {
		return nil, err
	}
	var callers []string
	callees := map[string][]string{} // two files may each have a function of that name: nobody tells them apart later
	for _, f := range functions {
		if _, twice := callees[f.Func]; !twice {
			callers = append(callers, f.Func)
		}
		callees[f.Func] = append(callees[f.Func], read[f]...)
	}
	return calls.Own(callers, callees, m.Name), nil
}
