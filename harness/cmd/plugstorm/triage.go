// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"plugstorm/harness/blame"
	"plugstorm/harness/splat"
	"plugstorm/harness/triage"
	"plugstorm/harness/verdict"
)

// triageFlags are the flags of triage.
type triageFlags struct {
	json, lkml, same bool
	dot, svg         string // files to write
	vmlinux, modules string
}

func (a *app) triageCommand() *cobra.Command {
	f := &triageFlags{}
	c := &cobra.Command{
		Use:   "triage FILE...|-",
		Short: "find the kernel's complaints in any console log",
		Long: `Triage names and explains every kernel complaint in console logs and in mails
that quote or attach one: plain or packed with gzip or zstd (up to 4 GiB
unpacked), mailboxes, standard input as -. What a file is, its content says.

With --same it says whether two logs show the same bug, and why.

Exit codes: 0 no complaint, 1 at least one, 2 wrong usage, 3 an input couldn't
be read; with --same 0 the same bug, 1 different ones, 3 the logs don't tell.`,
		Example: `  plugstorm triage console.log
  dmesg | plugstorm triage --json -
  plugstorm triage --lkml --vmlinux vmlinux console.log
  plugstorm triage --svg deadlock.svg mail.mbox
  plugstorm triage --same theirs.log ours.log.zst`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.check(args); err != nil {
				return err
			}
			return a.triage(c.Context(), args, f)
		},
	}
	c.Flags().BoolVar(&f.json, "json", false, "print one JSON object a line for each input (docs/json.md)")
	c.Flags().BoolVar(&f.lkml, "lkml", false, "print a mail about each complaint, ready to be sent")
	c.Flags().BoolVar(&f.same, "same", false, "say whether two logs show the same bug")
	c.Flags().StringVar(&f.dot, "dot", "", "draw lock cycles and hangs into `FILE`, for Graphviz")
	c.Flags().StringVar(&f.svg, "svg", "", "draw lock cycles and hangs into `FILE`, as a picture")
	c.Flags().StringVar(&f.vmlinux, "vmlinux", "", "add source lines, from the debug information in `FILE` (default, for a log in a run directory: the run's own kernel's, if it has any)")
	c.Flags().StringVar(&f.modules, "modules", "", "look for modules with debug information below `DIR`")
	return c
}

// check refuses what makes no sense together.
func (f *triageFlags) check(args []string) error {
	const next = "see plugstorm triage --help"
	switch {
	case f.json && f.lkml:
		return blame.Errorf(blame.User, next, "--json and --lkml exclude each other")
	case f.same && len(args) != 2:
		return blame.Errorf(blame.User, next, "--same compares two logs, not %d", len(args))
	case f.same && (f.lkml || f.dot != "" || f.svg != ""):
		return blame.Errorf(blame.User, next, "--same goes with --json and with symbols only")
	case f.modules != "" && f.vmlinux == "":
		return blame.Errorf(blame.User, "name the kernel's vmlinux too", "--modules without --vmlinux")
	}
	if err := checkOutputs(f.dot, f.svg); err != nil {
		return err
	}
	return checkInputs(args)
}

// triage reads all inputs, whatever happens with some of them, and tells of
// each before it reads the next.
func (a *app) triage(ctx context.Context, files []string, f *triageFlags) error {
	symbols, err := openSymbols(f)
	if err != nil {
		return err
	}
	defer symbols.close()
	if f.same {
		return a.same(ctx, files, f, symbols)
	}
	status := verdict.Clean
	drawn := &triage.Log{}
	for _, file := range files {
		log, err := a.readLog(ctx, file)
		if ctx.Err() != nil {
			return err
		}
		if err != nil {
			a.ui.error(err)
			status = verdict.Merge(status, verdict.Unknown)
		}
		locate(log, symbols)
		if slices.ContainsFunc(log.Findings, isComplaint) {
			status = verdict.Found
		}
		if err := a.printLog(log, f); err != nil {
			return err
		}
		if f.dot != "" || f.svg != "" {
			drawn.Findings = append(drawn.Findings, log.Findings...)
		}
	}
	if err := a.draw(drawn, f); err != nil {
		return err
	}
	if status != verdict.Clean {
		return verdictError{status}
	}
	return nil
}

// isComplaint reports whether a finding is about the kernel: that lockdep ran
// out of room is not.
func isComplaint(f triage.Finding) bool { return f.Type != splat.TypeLostSight }
