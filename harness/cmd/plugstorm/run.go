// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"plugstorm/guests"
	"plugstorm/harness/blame"
	"plugstorm/harness/focus"
	"plugstorm/harness/history"
	"plugstorm/harness/pool"
	"plugstorm/harness/report"
	"plugstorm/harness/rules"
	"plugstorm/harness/schedule"
	"plugstorm/harness/vm"
	"plugstorm/images"
	"plugstorm/suites"
)

// runFlags are what a run was asked for.
type runFlags struct {
	machines []string
	suite    string
	seed     int64
	duration time.Duration
	vms      int
	kernel   string
	tree     string
	patches  []string
	plants   []string
	features []string
	baseline bool
	accel    string
	out      string
	json     bool
	known    string
	first    bool
	cold     bool
	rules    string
	widen    []string
	focus    []string

	ignoreDefects bool
}

func (a *app) runCommand() *cobra.Command {
	f := &runFlags{}
	return newRunCommand(f, func(c *cobra.Command, _ []string) error {
		return a.run(c.Context(), f, c.Flags().Changed("seed"), c.Flags().Changed("baseline"))
	})
}

// newRunCommand makes the run command, whose flags are f.
func newRunCommand(f *runFlags, do func(*cobra.Command, []string) error) *cobra.Command {
	c := &cobra.Command{
		Use:   "run",
		Short: "boot, storm, judge: a run directory and a verdict",
		Long: `Run boots a guest of each machine, runs a suite on it, judges what its kernel
said, and leaves a run directory that can be judged again and replayed.

The kernel is Debian's linux-source-6.12 unless --tree or --kernel says
otherwise; --patch and --plant are applied to a private copy. The exit code is
0 for clean, 1 for a finding, 3 for unknown.`,
		Example: `  plugstorm run                                      both machines, the default suite
  plugstorm run --machine pseries --plant s0a --seed 1 --json
  plugstorm run --tree ~/linux --patch fix.patch --suite storm --duration 10m
  plugstorm run --machine x86_64 --kernel stock`,
		RunE: do,
	}
	flags := c.Flags()
	buildFlags(flags, f)
	flags.StringVar(&f.suite, "suite", suites.Smoke.Name, "what to do: "+names(schedule.Scenarios.Names())+"; behind any of them "+schedule.OneLane+": one step after the other")
	flags.Int64Var(&f.seed, "seed", 0, "seed of the schedule, 0 or more (default random, always printed)")
	flags.DurationVar(&f.duration, "duration", 0, "length of the storm on each machine, boots excluded (default the suite's)")
	flags.IntVar(&f.vms, "vms", 0, "guests at a time, shared out among the machines, each from a seed of its own (default by the host's cores and memory)")
	flags.BoolVar(&f.first, "first", false, "end with the first finding that no known issue explains")
	flags.BoolVar(&f.cold, "cold", false, "boot every guest; by default one is saved after its boot, and those that follow go on from there")
	flags.StringVar(&f.accel, "accel", "auto", "auto, kvm or tcg")
	flags.BoolVar(&f.ignoreDefects, "ignore-defects", false, "don't steer around QEMU's known defects: is a newer QEMU rid of them?")
	flags.StringVar(&f.out, "out", "", "run directory, new or empty (default below plugstorm-runs)")
	flags.BoolVar(&f.json, "json", false, "print one JSON object (docs/json.md)")
	flags.StringVar(&f.known, "known", "default", "known-issues file, 'default' for ours, 'none'")
	flags.StringVar(&f.rules, "rules", "default", "file of rules about locks that the guest's kernel is checked by, 'default' for ours, 'none' (docs/rules.md)")
	focusFlag(flags, &f.focus)
	flags.StringArrayVar(&f.widen, "widen", nil, "busy delay at a kernel function's entry, to widen races, repeatable: FUNCTION=MICROSECONDS, at most 10000")
	return c
}

// buildFlags defines the flags that say which kernel, shared with images build.
func buildFlags(flags *pflag.FlagSet, f *runFlags) {
	var features []string
	for _, feature := range images.Features() {
		features = append(features, feature.Name)
	}
	flags.StringArrayVar(&f.machines, "machine", nil, "machine to run on, repeatable: "+names(vm.Machines.Names())+" (default x86_64 and pseries)")
	flags.StringVar(&f.kernel, "kernel", "", "a prebuilt kernel image, or 'stock' for Debian's packaged one; goes without our modules")
	flags.StringVar(&f.tree, "tree", "", "build from this kernel tree, which is never modified")
	flags.StringArrayVar(&f.patches, "patch", nil, "patch file to apply, repeatable")
	flags.StringArrayVar(&f.plants, "plant", nil, "bug to plant, repeatable; see plugstorm images list --plants")
	flags.StringArrayVar(&f.features, "feature", nil, "kernel option set, repeatable: "+names(features))
	flags.BoolVar(&f.baseline, "baseline", false, "apply the patches that quiet known reports first (default with --plant)")
}

// run performs the run command.
func (a *app) run(ctx context.Context, f *runFlags, seeded, baselined bool) error {
	p, err := a.plan(f, seeded, baselined)
	if err != nil {
		return err
	}
	defer p.tidy()
	a.ui.Line(fmt.Sprintf("suite %s, seed %d, %s per machine, %s at a time; run directory %s",
		p.scenario.Name, p.seed, p.duration, guestsWord(p.vms), p.dir))
	return a.runMachines(ctx, p)
}

// runMachines runs all machines and reports them: one after the other, or at
// once if there may be several guests. One that can't be run doesn't keep the
// others from it, unless the user got something wrong or has had enough; the
// verdict is unknown then, or a finding. Everything is built before anything is
// booted: what is wrong with a patch on the last machine is said at once.
func (a *app) runMachines(ctx context.Context, p *plan) error {
	all, failures, over := a.prepareAll(ctx, p)
	debug.FreeOSMemory() // a tree's 80,000 files took 160 MiB; from here on the memory is the guests'
	defer pool.Thrift(p.vms)()
	if p.vms > 1 && len(all) > 0 && !over {
		if err := a.runReady(ctx, p, all...); err != nil {
			failures = append(failures, err)
		}
		all = nil
	}
	for _, r := range all {
		if over {
			break
		}
		if err := a.runReady(ctx, p, r); err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", r.machine.Name, err))
			over = hopeless(ctx, err)
		}
	}
	if len(p.report.Machines) == 0 {
		return errors.Join(failures...)
	}
	for _, err := range failures {
		a.ui.error(err)
	}
	return a.reportRun(p, len(failures) > 0)
}

// prepareAll prepares the machines. It is over when there is no use in going
// on with any.
func (a *app) prepareAll(ctx context.Context, p *plan) (all []*ready, failures []error, over bool) {
	for _, m := range p.machines {
		r, err := a.prepare(ctx, p, m)
		if err == nil {
			all = append(all, r)
			continue
		}
		failure := fmt.Errorf("%s: %w", m.Name, err)
		if hopeless(ctx, err) {
			return nil, append([]error{failure}, failures...), true // it decides whose fault the run's end is
		}
		failures = append(failures, failure)
	}
	return all, failures, false
}

// hopeless reports whether an error on one machine ends the whole run.
func hopeless(ctx context.Context, err error) bool {
	return ctx.Err() != nil || blame.Of(err) == blame.User
}

// withoutDefects is a machine whose QEMU is taken to have no defects.
func withoutDefects(m *vm.Machine) *vm.Machine {
	sound := *m
	sound.Defects = nil
	return &sound
}

// A plan is a checked run: nothing of it can be the user's mistake any more,
// except what only the kernel's build can find out.
type plan struct {
	flags    *runFlags
	scenario *schedule.Scenario
	machines []*vm.Machine
	source   images.Source
	seed     int64
	duration time.Duration
	dir      string
	made     []string // the directories made for it, the innermost first
	known    knownFile
	rules    *history.RuleText // nil: none
	widen    []rules.Widening
	focus    []focus.Place       // what a replay is drawn toward, or --focus asks for
	changed  []focus.Place       // what a replay's patches change
	ownCalls map[string][]string // by machine, what a replay's record says that was to fail besides our lists
	vms      int                 // guests at a time; 0 means 1
	fresh    map[string]int      // how many slots a machine has, for a fresh run; 0 means 1
	replays  map[string][]slot   // what to replay, by machine; nil for a fresh run
	replayOf string
	report   report.Run
	print    func(io.Writer, *report.Run) error // instead of the report; may be nil
}

func (a *app) plan(f *runFlags, seeded, baselined bool) (*plan, error) {
	p := &plan{flags: f, seed: f.seed, duration: f.duration}
	var err error
	if p.scenario, err = schedule.Find(f.suite); err != nil {
		return nil, err
	}
	if p.machines, err = chosenMachines(f.machines); err != nil {
		return nil, err
	}
	if f.ignoreDefects {
		for i, m := range p.machines {
			p.machines[i] = withoutDefects(m)
		}
	}
	if err := checkFlags(f, len(p.machines)); err != nil {
		return nil, err
	}
	if !seeded {
		p.seed = rand.Int64N(math.MaxInt32) // small enough to type
	}
	if p.duration == 0 {
		p.duration = p.scenario.Length
	}
	p.share(f.vms, pool.ThisHost())
	if p.known, err = loadKnown(f.known); err != nil {
		return nil, err
	}
	if p.rules, p.widen, err = f.checker(); err != nil {
		return nil, err
	}
	if p.focus, err = f.places(); err != nil {
		return nil, err
	}
	if p.source, err = f.source(baselined); err != nil {
		return nil, err
	}
	return p, p.makeDir(f.out)
}

// chosenMachines looks machines up, once each.
func chosenMachines(names []string) ([]*vm.Machine, error) {
	if len(names) == 0 {
		return guests.Default(), nil
	}
	var chosen []*vm.Machine
	seen := map[string]bool{}
	for _, name := range names {
		m, err := vm.Machines.Get(name)
		if err != nil {
			return nil, err
		}
		if !seen[name] {
			chosen = append(chosen, m)
		}
		seen[name] = true
	}
	return chosen, nil
}

// checkFlags checks what flags of a run mean together.
func checkFlags(f *runFlags, machines int) error {
	const next = "see plugstorm run --help"
	switch {
	case f.seed < 0:
		return blame.Errorf(blame.User, "choose a seed of 0 or more", "--seed %d is negative", f.seed)
	case f.vms < 0 || f.vms > maxVMs:
		return blame.Errorf(blame.User, next, "--vms %d is not between 0 (by the host's cores and memory) and %d", f.vms, maxVMs)
	case f.duration < 0:
		return blame.Errorf(blame.User, next, "--duration %s is negative", f.duration)
	case f.accel != "auto" && f.accel != string(vm.KVM) && f.accel != string(vm.TCG):
		return blame.Errorf(blame.User, "choose one of: auto, kvm, tcg", "unknown accelerator %q", f.accel)
	}
	return checkKernelFlags(f, machines)
}

// checkKernelFlags is checkFlags for those that say which kernel.
func checkKernelFlags(f *runFlags, machines int) error {
	switch {
	case f.kernel != "" && (f.tree != "" || f.baseline || len(f.patches)+len(f.plants)+len(f.features) > 0):
		return blame.Errorf(blame.User, "leave out --kernel to build one", "--kernel is prebuilt: --tree, --patch, --plant, --feature and --baseline can't change it")
	case f.kernel != "" && f.kernel != "stock" && machines != 1:
		return blame.Errorf(blame.User, "add --machine", "--kernel %s fits one machine only", f.kernel)
	}
	return nil
}

// source is what to build the kernel from. Paths become absolute here, so
// that the command that repeats the run works from anywhere.
func (f *runFlags) source(baselined bool) (images.Source, error) {
	s := images.Source{Tree: f.tree, Patches: slices.Clone(f.patches), Plants: f.plants}
	if baselined {
		s.Baseline = &f.baseline
	}
	paths := []*string{&s.Tree}
	for i := range s.Patches {
		paths = append(paths, &s.Patches[i])
	}
	if f.kernel != "stock" {
		paths = append(paths, &f.kernel)
	}
	for _, path := range paths {
		if *path == "" {
			continue
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			return s, blame.On(blame.Host, err, "")
		}
		*path = abs
	}
	return s, nil
}

// makeDir makes the run directory, which must be new or empty: a run never
// writes over another one.
func (p *plan) makeDir(out string) error {
	const next = "choose another directory with --out"
	if out == "" {
		out = filepath.Join("plugstorm-runs", time.Now().Format("20060102-150405")+"-seed"+strconv.FormatInt(p.seed, 10))
	}
	dir, err := filepath.Abs(out)
	if err != nil {
		return blame.On(blame.Host, err, "")
	}
	p.dir, p.made = dir, missing(dir)
	if err = os.MkdirAll(filepath.Dir(dir), 0o755); err == nil {
		err = os.Mkdir(dir, 0o755)
	}
	switch {
	case errors.Is(err, fs.ErrExist) && emptyDir(dir):
		err = nil
	case errors.Is(err, fs.ErrExist):
		return blame.Errorf(blame.User, "choose a new directory with --out", "%s exists already; a run never overwrites another one", dir)
	}
	if err == nil {
		if err = unix.Access(dir, unix.W_OK); err != nil {
			err = fmt.Errorf("%s can't be written to: %w", dir, err)
		}
	}
	if err != nil {
		p.tidy()
	}
	return blame.On(blame.Host, err, next)
}

// missing lists the directories that have to be made for dir, the innermost
// first.
func missing(dir string) []string {
	var all []string
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			return all
		}
		all = append(all, dir)
	}
}

// tidy removes the directories that were made for a run if nothing of it was
// recorded in them.
func (p *plan) tidy() {
	for _, dir := range p.made {
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return // there is something in it
		}
	}
}

func emptyDir(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) == 0
}
