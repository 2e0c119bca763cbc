// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"plugstorm/harness/blame"
	"plugstorm/harness/detect"
	"plugstorm/harness/schedule"
	"plugstorm/harness/vm"
	"plugstorm/images"
	"plugstorm/suites"
)

// benchFlags are what a detection benchmark was asked for.
type benchFlags struct {
	machines []string
	plants   []string
	patches  []string
	tree     string
	features []string
	rules    string
	focus    []string
	baseline bool
	cold     bool
	suite    string
	budget   time.Duration
	seeds    int
	first    int64
	peers    []string
	accel    string
	known    string

	jobs   int
	out    string
	resume string
	json   bool
	docs   []string
}

func (a *app) benchCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "bench",
		Short:   "measure how good a hunter plugstorm is, and how fast",
		Long:    "Bench measures plugstorm itself: what it finds, on kernels with bugs that were put in on purpose, and how fast it is.",
		Example: "  plugstorm bench detect --plant s4d --machine x86_64 --seeds 3\n  plugstorm bench speed --machine x86_64 --part start --repeat 3",
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.benchDetectCommand(), a.benchSpeedCommand())
	return c
}

func (a *app) benchDetectCommand() *cobra.Command {
	f := &benchFlags{}
	c := &cobra.Command{
		Use:   "detect",
		Short: "which planted bugs are found, how soon, and by what",
		Long: `Detect builds a kernel for each plant and machine, runs it from several seeds,
each until the first finding that no known issue explains, and says how often
and how soon the bug was found, and whether the finding is the right one. With
--peers it lets what people use today hunt on the same kernels, in the same
guests, for the same time. Every run leaves a run directory and a line in
results.ndjson; --resume goes on where a benchmark was interrupted, with its
flags, to which others can be added. docs/detection.md has more.

The kernels of patches of one's own are built first: with one that doesn't apply,
doesn't compile or changes nothing that is compiled, nothing is run.

The exit code is 0 when everything was measured, whatever was found, 2 for wrong
usage and for such a patch, and 3 if a run remained unknown.`,
		Example: `  plugstorm bench detect --plant s4d --plant s0a --seeds 10
  plugstorm bench detect --patch my-bug.patch --machine pseries --budget 60s --json
  plugstorm bench detect --peers all --jobs 2 --out detection
  plugstorm bench detect --resume detection --write-docs docs/detection.md`,
		RunE: func(c *cobra.Command, _ []string) error { return a.benchDetect(c.Context(), f, c.Flags()) },
	}
	f.define(c.Flags())
	return c
}

// define defines the flags.
func (f *benchFlags) define(flags *pflag.FlagSet) {
	var features []string
	for _, feature := range images.Features() {
		features = append(features, feature.Name)
	}
	flags.StringArrayVar(&f.plants, "plant", nil, "plant to hunt, repeatable, or 'all' (default all, unless there is a --patch)")
	flags.StringArrayVar(&f.patches, "patch", nil, "patch file to hunt, each a kernel of its own, repeatable")
	flags.StringArrayVar(&f.machines, "machine", nil, "machine to hunt on, repeatable: "+names(vm.Machines.Names())+" (default those that the plant concerns)")
	flags.StringVar(&f.tree, "tree", "", "build from this kernel tree, which is never modified")
	flags.StringArrayVar(&f.features, "feature", nil, "kernel option set, repeatable: "+names(features))
	flags.BoolVar(&f.baseline, "baseline", true, "apply the patches that quiet known reports first")
	flags.StringVar(&f.suite, "suite", "", "what to do, for all plants (default what the plant's header says, else "+suites.Hunt.Name+")")
	flags.DurationVar(&f.budget, "budget", 2*time.Minute, "length of each run, from the agent's start")
	flags.IntVar(&f.seeds, "seeds", 10, "runs of each plant on each machine")
	flags.Int64Var(&f.first, "first-seed", 1, "seed of the first of them")
	flags.StringSliceVar(&f.peers, "peers", nil, "other hunters on the same kernels, separated by commas: "+names(peerNames())+", 'all' or 'none' (default none)")
	flags.StringVar(&f.accel, "accel", "auto", "auto, kvm or tcg")
	flags.StringVar(&f.known, "known", "default", "known-issues file, 'default' for ours, 'none'")
	flags.StringVar(&f.rules, "rules", "default", "file of rules about locks, 'default' for ours, 'none' for what the kernel says by itself")
	focusFlag(flags, &f.focus)
	flags.BoolVar(&f.cold, "cold", false, "boot every guest; otherwise, where QEMU can, they go on from a saved one")
	flags.IntVar(&f.jobs, "jobs", 1, "guests at a time")
	flags.StringVar(&f.out, "out", "", "directory of the results, new or empty (default below plugstorm-runs)")
	flags.StringVar(&f.resume, "resume", "", "go on with the benchmark in this directory")
	flags.BoolVar(&f.json, "json", false, "print one JSON object (docs/json.md)")
	flags.StringArrayVar(&f.docs, "write-docs", nil, "rewrite the tables between the markers of this Markdown file, repeatable")
}

// peerPrefix begins the names of the scenarios that are peers.
const peerPrefix = "peer-"

// oneLane is plugstorm itself as it would be without what makes it fast: it boots
// every guest and does one thing after the other.
const oneLane = "one-lane"

// peerNames lists the peers that there are: what others have, and oneLane.
func peerNames() []string {
	all := []string{oneLane}
	for _, name := range schedule.Scenarios.Names() {
		if peer, ok := strings.CutPrefix(name, peerPrefix); ok {
			all = append(all, peer)
		}
	}
	return all
}

// benchDetect performs the command.
func (a *app) benchDetect(ctx context.Context, f *benchFlags, flags *pflag.FlagSet) error {
	if err := f.recall(flags); err != nil {
		return err
	}
	b, err := a.newBench(f)
	if err != nil {
		return err
	}
	if err := b.open(flags); err != nil {
		return err
	}
	err = b.measure(ctx)
	a.ui.close()
	if err != nil {
		return err
	}
	return b.report()
}

// newBench checks everything that can be the user's mistake.
func (a *app) newBench(f *benchFlags) (*bench, error) {
	b := &bench{app: a, flags: f, prepare: a.prepareCell, tell: a.tellCell, run: a.runCell}
	err := f.check()
	if err == nil {
		err = f.absolute()
	}
	if err != nil {
		return nil, err
	}
	if _, err = (&runFlags{focus: f.focus}).places(); err != nil {
		return nil, err
	}
	if b.known, err = loadKnown(f.known); err != nil {
		return nil, err
	}
	for _, name := range f.machines {
		if _, err := vm.Machines.Get(name); err != nil {
			return nil, err
		}
	}
	b.plan = detect.Plan{Machines: f.machines, Seeds: f.seeds, First: f.first, Budget: f.budget}
	if b.plan.Peers, err = f.peersAsked(); err != nil {
		return nil, err
	}
	if b.targets, err = f.targets(); err != nil {
		return nil, err
	}
	for _, t := range b.targets {
		b.plan.Subjects = append(b.plan.Subjects, t.subject)
	}
	if len(b.plan.Cells()) == 0 {
		return nil, blame.Errorf(blame.User, "leave out --machine", "none of these plants concerns %s", names(f.machines))
	}
	return b, nil
}

func (f *benchFlags) check() error {
	const next = "see plugstorm bench detect --help"
	switch {
	case f.seeds < 1:
		return blame.Errorf(blame.User, next, "--seeds %d is less than 1", f.seeds)
	case f.first < 0:
		return blame.Errorf(blame.User, next, "--first-seed %d is negative", f.first)
	case f.budget <= 0:
		return blame.Errorf(blame.User, next, "--budget %s isn't positive", f.budget)
	case f.jobs < 1:
		return blame.Errorf(blame.User, next, "--jobs %d is less than 1", f.jobs)
	case f.resume != "" && f.out != "":
		return blame.Errorf(blame.User, next, "--resume and --out exclude each other")
	}
	for _, file := range f.docs {
		if err := checkPage(file, "detect", "docs/detection.md"); err != nil {
			return err
		}
	}
	return checkFlags(&runFlags{accel: f.accel}, 1)
}

// absolute makes paths absolute, for a benchmark may be resumed from anywhere.
func (f *benchFlags) absolute() error {
	paths := []*string{&f.tree}
	for i := range f.patches {
		paths = append(paths, &f.patches[i])
	}
	for _, path := range paths {
		if *path == "" {
			continue
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			return blame.On(blame.Host, err, "")
		}
		*path = abs
	}
	return nil
}

// peersAsked are the peers that were asked for.
func (f *benchFlags) peersAsked() (map[string]detect.Peer, error) {
	chosen := map[string]detect.Peer{}
	for _, name := range f.peers {
		all := []string{name}
		switch name {
		case "none", "":
			continue
		case "all":
			all = peerNames()
		}
		for _, peer := range all {
			if !slices.Contains(peerNames(), peer) {
				return nil, blame.Errorf(blame.User, "choose of: "+names(append(peerNames(), "all", "none")), "unknown peer %q", peer)
			}
			chosen[peer] = detect.Peer{Suite: peerPrefix + peer}
			if peer == oneLane {
				chosen[peer] = detect.Peer{Behind: schedule.OneLane, Cold: true}
			}
		}
	}
	return chosen, nil
}
