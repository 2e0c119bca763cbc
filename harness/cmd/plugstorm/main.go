// SPDX-License-Identifier: Apache-2.0

// Command plugstorm stresses a Linux kernel's memory and CPU hotplug in QEMU
// guests and judges what the kernel says about it.
//
// Exit codes: 0 clean, 1 the kernel has a finding, 2 wrong usage, 3 unknown or
// not the kernel's fault.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"plugstorm/harness/blame"
	"plugstorm/harness/verdict"

	_ "plugstorm/guests" // registers the machines
)

func main() { os.Exit(withSignals(os.Args[1:])) }

// withSignals runs a command line that ends on Ctrl-C, and returns its exit code.
func withSignals(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends us at once
	return execute(ctx, newApp(), args)
}

// A verdictError carries a verdict that isn't clean out to the exit code. It
// has been reported already.
type verdictError struct{ status verdict.Status }

func (e verdictError) Error() string { return string(e.status) }

// execute runs a command line and returns its exit code.
func execute(ctx context.Context, a *app, args []string) int {
	root := a.command()
	root.SetArgs(args)
	c, err := root.ExecuteContextC(ctx)
	a.ui.close()
	if c == root { // it does nothing by itself: there is no such command, or flag
		err = blame.On(blame.User, err, "see plugstorm --help")
	}
	return a.exitCode(ctx, err)
}

// exitCode tells of an error, unless it is a verdict, and returns the exit
// code that goes with it.
func (a *app) exitCode(ctx context.Context, err error) int {
	var v verdictError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &v):
		return v.status.ExitCode()
	}
	if ctx.Err() != nil { // what else went wrong did so because of it
		a.ui.error(blame.Errorf(blame.User, "", "interrupted: %w", context.Cause(ctx)))
		return 3
	}
	a.ui.error(err)
	if blame.Of(err) == blame.User {
		return 2
	}
	return 3
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "plugstorm",
		Short: "fault-injection stress for Linux memory and CPU hotplug",
		Long: `plugstorm boots x86_64 and pseries guests under QEMU, hot-adds and removes
DIMMs and vCPUs while agents inside hammer slab caches and the hotplug paths,
and judges what the kernel says about it.

Exit codes: 0 clean, 1 the kernel has a finding, 2 wrong usage, 3 unknown or
not the kernel's fault (hypervisor, host, plugstorm itself).`,
		Example:       "  plugstorm doctor\n  plugstorm run --machine x86_64 --suite smoke\n  plugstorm run --plant s0a --seed 1 --json",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.PersistentFlags().BoolVarP(&a.ui.quiet, "quiet", "q", false, "print results only, no progress")
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return blame.On(blame.User, err, "see "+c.CommandPath()+" --help")
	})
	root.AddCommand(a.runCommand(), a.replayCommand(), a.judgeCommand(), a.triageCommand(), a.locksCommand(),
		a.benchCommand(), a.doctorCommand(), a.imagesCommand(), a.docsCommand())
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		userArgs(c)
	}
	return root
}

// userArgs makes a wrong number of arguments to a command, or to one below it,
// the user's fault, with the usage.
func userArgs(c *cobra.Command) {
	for _, sub := range c.Commands() {
		userArgs(sub)
	}
	check := c.Args
	if check == nil {
		check = cobra.NoArgs
	}
	c.Args = func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return blame.On(blame.User, err, fmt.Sprintf("usage: %s (see --help)", c.UseLine()))
		}
		return nil
	}
}
