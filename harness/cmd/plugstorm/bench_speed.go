// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"plugstorm/harness/blame"
	"plugstorm/harness/speed"
	"plugstorm/harness/vm"
)

// speedFlags are what a speed benchmark was asked for.
type speedFlags struct {
	machines []string
	parts    []string
	repeat   int
	loop     time.Duration
	guests   []int
	slots    []int
	minutes  []int
	accel    string
	out      string
	json     bool
	docs     []string
}

func (a *app) benchSpeedCommand() *cobra.Command {
	f := &speedFlags{}
	c := &cobra.Command{
		Use:   "speed",
		Short: "how fast plugstorm is, beside bare QEMU and bare QMP",
		Long: `Speed measures, side by side in one run: QEMU by itself, from its process's
start to a running guest; DIMMs going in and out by QMP alone; plugstorm's own
command from its start to the first op, booting and from a snapshot; and how cost
grows with guests, DIMM slots and the length of a run. Repetitions take turns, so
that ratios compare what a host gave at about the same time; how busy it was is
part of the result. docs/performance.md has more.

Parts: start, cycles, guests, slots, history. What grows (guests, slots,
history) is repeated a third as often. One machine and the part start take a minute
or two, everything takes most of an hour. Nothing else should run meanwhile.`,
		Example: `  plugstorm bench speed --machine x86_64 --part start --repeat 3
  plugstorm bench speed --machine x86_64 --part start --part cycles --json
  plugstorm bench speed --part guests --guests 1,2,4
  plugstorm bench speed --write-docs docs/performance.md`,
		RunE: func(c *cobra.Command, _ []string) error { return a.benchSpeed(c.Context(), f) },
	}
	f.define(c.Flags())
	return c
}

func (f *speedFlags) define(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.machines, "machine", nil, "machine to measure, repeatable: "+names(vm.Machines.Names())+" (default x86_64 and pseries)")
	flags.StringArrayVar(&f.parts, "part", nil, "what to measure, repeatable: "+names(speed.PartNames())+" (default all)")
	flags.IntVar(&f.repeat, "repeat", 5, "repetitions")
	flags.DurationVar(&f.loop, "loop", 10*time.Second, "length of each loop and storm")
	flags.IntSliceVar(&f.guests, "guests", []int{1, 2, 4, 8}, "how many guests at once, separated by commas")
	flags.IntSliceVar(&f.slots, "slots", []int{1, 8, 32, 64}, "how many DIMM slots, separated by commas")
	flags.IntSliceVar(&f.minutes, "minutes", []int{1, 10, 60}, "lengths of the runs that are judged, separated by commas")
	flags.StringVar(&f.accel, "accel", "auto", "auto, kvm or tcg")
	flags.StringVar(&f.out, "out", "", "directory of the results, new or empty (default below plugstorm-runs)")
	flags.BoolVar(&f.json, "json", false, "print one JSON object (docs/json.md)")
	flags.StringArrayVar(&f.docs, "write-docs", nil, "rewrite the tables between the markers of this Markdown file, repeatable")
}

// Bounds on what grows.
const (
	maxSpeedGuests  = 64
	maxSpeedSlots   = 256 // QEMU's own (ACPI_MAX_RAM_SLOTS)
	maxSpeedMinutes = 24 * 60
)

// check finds the user's mistakes.
func (f *speedFlags) check() error {
	const next = "see plugstorm bench speed --help"
	if f.repeat < 1 || f.loop < time.Second {
		return blame.Errorf(blame.User, next, "--repeat %d must be at least 1, and --loop %s at least 1s", f.repeat, f.loop)
	}
	for _, part := range f.parts {
		if !slices.Contains(speed.PartNames(), part) {
			return blame.Errorf(blame.User, "choose of: "+names(speed.PartNames()), "unknown part %q", part)
		}
	}
	for flag, sizes := range map[string]struct {
		list []int
		most int
	}{"--guests": {f.guests, maxSpeedGuests}, "--slots": {f.slots, maxSpeedSlots}, "--minutes": {f.minutes, maxSpeedMinutes}} {
		for _, n := range sizes.list {
			if n < 1 || n > sizes.most {
				return blame.Errorf(blame.User, next, "%s %d is not between 1 and %d", flag, n, sizes.most)
			}
		}
	}
	for _, file := range f.docs {
		if err := checkPage(file, "speed", "docs/performance.md"); err != nil {
			return err
		}
	}
	return checkFlags(&runFlags{accel: f.accel}, 1)
}

// wants reports whether a part was asked for.
func (f *speedFlags) wants(part string) bool {
	return len(f.parts) == 0 || slices.Contains(f.parts, part)
}

// benchSpeed performs the command.
func (a *app) benchSpeed(ctx context.Context, f *speedFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	chosen, err := chosenMachines(f.machines)
	if err != nil {
		return err
	}
	out := f.out
	if out == "" {
		out = filepath.Join("plugstorm-runs", time.Now().Format("20060102-150405")+"-speed")
	}
	p := &plan{}
	if err := p.makeDir(out); err != nil {
		return err
	}
	defer p.tidy()
	b := &speedBench{app: a, flags: f, dir: p.dir, command: runOurselves, backend: vm.QEMU}
	b.host.Start = hostBusiness()
	for _, m := range chosen {
		if err := b.prepare(ctx, m); err != nil {
			return err
		}
	}
	b.plan()
	err = b.measure(ctx)
	a.ui.close()
	if err != nil {
		return err
	}
	return b.report()
}

// report prints the tables, rewrites pages, and says whether all was measured.
func (b *speedBench) report() error {
	b.host.End = hostBusiness()
	t := speed.NewTable(b.samples)
	var err error
	if b.flags.json {
		err = speed.WriteJSON(b.app.stdout, t, b.host, b.dir)
	} else {
		err = speed.WriteText(b.app.stdout, t, b.host)
	}
	if err != nil {
		return blame.On(blame.Host, err, "")
	}
	for _, file := range b.flags.docs {
		if err := writePage(file, "speed", speed.Sections(t, b.host, time.Now())); err != nil {
			return err
		}
	}
	if !t.Complete() {
		return blame.On(blame.Harness, errIncomplete, "see the notes in the table, and what is below "+b.dir)
	}
	return nil
}
