// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"plugstorm/harness/calls"
	"plugstorm/harness/focus"
	"plugstorm/harness/vm"
	"plugstorm/images"
)

// allocSuffix is what allocators' names end in since 6.10 (include/linux/alloc_tag.h);
// the module knows it, too.
const allocSuffix = "_noprof"

// ownCalls are the calls that functions of a run's focus make themselves and that may
// fail: none without their source, and none for a replay, whose record has them. What
// the kernel has inlined is left out, since no probe can be there.
func (a *app) ownCalls(ctx context.Context, p *plan, m *vm.Machine, kernel *images.Kernel, places []focus.Place) ([]calls.Site, error) {
	var functions []images.Change
	for _, place := range places {
		if place.File != "" && place.Func != "" {
			functions = append(functions, images.Change{File: place.File, Func: place.Func})
		}
	}
	if p.replays != nil || kernel.SystemMap == "" || len(functions) == 0 {
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
	symbols, err := readSymbols(kernel.SystemMap)
	if err != nil {
		return nil, err
	}
	var callers []string
	callees := map[string][]string{} // two files may each have a function of that name: nobody tells them apart later
	for _, f := range functions {
		if _, twice := callees[f.Func]; !twice && symbols[f.Func] {
			callers = append(callers, f.Func)
		}
		callees[f.Func] = append(callees[f.Func], read[f]...)
	}
	return calls.Own(callers, callees, m.Name, symbols.has), nil
}
