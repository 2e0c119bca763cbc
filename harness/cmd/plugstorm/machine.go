// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"plugstorm/harness/blame"
	"plugstorm/harness/calls"
	"plugstorm/harness/history"
	"plugstorm/harness/run"
	"plugstorm/harness/splat"
	"plugstorm/harness/vm"
	"plugstorm/images"
)

// runMachine does one machine's part of a run and judges it. An interrupted
// run is judged too: what was recorded counts.
func (a *app) runMachine(ctx context.Context, p *plan, m *vm.Machine) error {
	ready, err := a.prepare(ctx, p, m)
	if err != nil {
		return err
	}
	return a.runReady(ctx, p, ready)
}

// prepare gets everything ready that a machine's part of a run takes.
func (a *app) prepare(ctx context.Context, p *plan, m *vm.Machine) (*ready, error) {
	emulator, version, kernel, initramfs, err := a.boots(ctx, p, m)
	if err != nil {
		return nil, err
	}
	accel, err := a.chooseAccel(ctx, p.flags.accel, vm.Spec{
		Machine: m, Emulator: emulator, Version: version, Kernel: kernel.Image, Initramfs: initramfs,
	})
	if err != nil {
		return nil, err
	}
	var snapshots run.Snapshots
	if !p.flags.cold {
		if snapshots, err = a.snapshots(m, accel, version); err != nil {
			return nil, err
		}
	}
	changed, err := a.changed(ctx, p)
	if err != nil {
		return nil, err
	}
	counting, err := countChanged(p.rules, changed)
	if err != nil {
		return nil, err
	}
	places := p.toward(changed)
	own, err := a.ownCalls(ctx, p, m, kernel, places)
	if err != nil {
		return nil, err
	}
	c := history.Case{
		Machine: m.Name, Suite: p.scenario.Name, Duration: p.duration,
		Rules: counting, Widen: p.widen, Focus: places, Changed: changed,
		OwnCalls: append(calls.Names(own), p.ownCalls[m.Name]...),
		Accel:    string(accel), QEMU: version.String(), VMs: p.vms, ReplayOf: p.replayOf, Cold: p.flags.cold,
		Kernel: history.Kernel{
			Name: kernel.Name, Release: kernel.Release, Key: kernel.Key, Image: kernel.Image, Initramfs: initramfs,
			Prebuilt: kernel.Prebuilt, Omitted: kernel.Omitted,
		},
	}
	r := &ready{machine: m, config: run.Config{
		Case: c, Machine: m, Backend: vm.QEMU, Accel: accel, Emulator: emulator, Version: version,
		Scenario: p.scenario.For(kernel.Prebuilt).Toward(places).Failing(own, places), Snapshots: snapshots, HostLoad: vm.HostLoad,
	}}
	if err := a.sayFocus(p, m, kernel, changed); err != nil {
		return nil, err
	}
	if p.flags.first || p.scenario.First {
		r.config.Until = func(f splat.Finding) bool { return p.known.unexplained(f, m.Name, kernel.Release) }
	}
	for _, s := range p.slots(m) {
		if s.kernel != "" && s.kernel != kernel.Key {
			a.ui.Line(fmt.Sprintf("%s: this is another kernel than the recorded one (%s): its source, a patch or the compiler has changed", m.Name, kernel.Name))
			break
		}
	}
	return r, nil
}

// boots finds out what a machine's guests run on, and what they boot. Either
// takes a moment even if there is nothing to build, so they go side by side. A
// QEMU that isn't there ends a build, and is what is complained of.
func (a *app) boots(ctx context.Context, p *plan, m *vm.Machine) (emulator string, v vm.Version, kernel *images.Kernel, initramfs string, err error) {
	both, whileBoth := errgroup.WithContext(ctx)
	var missing error
	both.Go(func() error {
		emulator, v, missing = vm.Emulator(ctx, m)
		return missing
	})
	both.Go(func() (err error) {
		kernel, initramfs, err = a.kernel(whileBoth, p, m)
		return err
	})
	err = both.Wait()
	return emulator, v, kernel, initramfs, cmp.Or(missing, err)
}

// kernel builds or finds what the run boots on a machine.
func (a *app) kernel(ctx context.Context, p *plan, m *vm.Machine) (*images.Kernel, string, error) {
	store, err := a.store()
	if err != nil {
		return nil, "", err
	}
	arch, err := images.Archs.Get(m.Arch)
	if err != nil {
		return nil, "", err
	}
	var kernel *images.Kernel
	switch p.flags.kernel {
	case "":
		kernel, err = store.Build(ctx, arch, p.source, images.Options{Features: p.flags.features})
	case "stock":
		kernel, err = store.Stock(ctx, arch)
	default:
		kernel, err = store.Prebuilt(ctx, arch, p.flags.kernel)
	}
	if err != nil {
		return nil, "", err
	}
	initramfs, err := store.Initramfs(ctx, kernel, arch)
	if err == nil && p.scenario != nil && p.scenario.Userland != "" {
		initramfs, err = store.WithUserland(ctx, initramfs, arch, p.scenario.Userland, p.source)
	}
	a.ui.close()
	return kernel, initramfs, err
}

// command is the command line that repeats a run from a seed on one machine, one
// guest at a time; "" for all machines.
func (f *runFlags) command(p *plan, machine string, seed int64) []string {
	words := []string{"plugstorm", "run", "--suite", p.scenario.Name, "--seed", fmt.Sprint(seed), "--duration", p.duration.String(), "--vms", "1"}
	add := func(flag, value string) {
		if value != "" {
			words = append(words, flag, value)
		}
	}
	if machine != "" {
		add("--machine", machine)
	}
	for _, name := range f.machines {
		if machine == "" {
			add("--machine", name)
		}
	}
	add("--kernel", f.kernel)
	add("--tree", p.source.Tree)
	for _, patch := range p.source.Patches {
		add("--patch", patch)
	}
	for _, plant := range f.plants {
		add("--plant", plant)
	}
	for _, feature := range f.features {
		add("--feature", feature)
	}
	if p.source.Baseline != nil {
		words = append(words, fmt.Sprintf("--baseline=%v", *p.source.Baseline))
	}
	if f.rules != "default" {
		add("--rules", f.rules)
	}
	for _, place := range f.focus {
		add("--focus", place)
	}
	for _, w := range f.widen {
		add("--widen", w)
	}
	if f.first {
		words = append(words, "--first")
	}
	if f.cold {
		words = append(words, "--cold")
	}
	if f.ignoreDefects {
		words = append(words, "--ignore-defects")
	}
	if f.accel != "auto" {
		add("--accel", f.accel)
	}
	return words
}

// kvmDeadline is how long a guest may take to come up under a KVM that works:
// a second or two. Nothing is known of a host's slowness before its first
// guest, so it is generous.
const kvmDeadline = 30 * time.Second

// chooseAccel decides how a guest is run. KVM is believed only after it has
// booted this kernel once.
func (a *app) chooseAccel(ctx context.Context, want string, spec vm.Spec) (vm.Accel, error) {
	if want == string(vm.TCG) {
		return vm.TCG, nil
	}
	a.ui.Stage("checking KVM for "+spec.Machine.Name, 0)
	usable, err := vm.ProbeKVM(ctx, spec, filepath.Join(a.cache, "kvm.json"), kvmDeadline)
	if err != nil {
		return "", err
	}
	if usable.OK {
		return vm.KVM, nil
	}
	if want == string(vm.KVM) {
		return "", blame.Errorf(blame.Host, "use --accel tcg, or auto", "KVM does not work for %s here: %s", spec.Machine.Name, usable.Why)
	}
	return vm.TCG, nil
}
