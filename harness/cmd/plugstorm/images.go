// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"plugstorm/harness/blame"
	"plugstorm/harness/vm"
	"plugstorm/images"
)

func (a *app) imagesCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "images",
		Short:   "kernels and initramfs images in the cache",
		Long:    "Images builds, lists and removes what guests boot. Everything is kept in the cache, keyed by its content.",
		Example: "  plugstorm images build --machine pseries --plant s0a\n  plugstorm images list\n  plugstorm images gc --older-than 168h",
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.imagesBuildCommand(), a.imagesListCommand(), a.imagesGCCommand(), a.imagesFunctionsCommand())
	return c
}

func (a *app) imagesBuildCommand() *cobra.Command {
	f := &runFlags{}
	c := &cobra.Command{
		Use:     "build",
		Short:   "build the kernel and the initramfs of a run beforehand",
		Example: "  plugstorm images build\n  plugstorm images build --machine x86_64 --tree ~/linux --patch fix.patch",
		RunE: func(c *cobra.Command, _ []string) error {
			machines, p, err := kernelPlan(f, c.Flags().Changed("baseline"))
			if err != nil {
				return err
			}
			for _, m := range machines {
				kernel, initramfs, err := a.kernel(c.Context(), p, m)
				if err != nil {
					return err
				}
				fmt.Fprintf(a.stdout, "%s: %s (%s)\n  kernel    %s\n  initramfs %s\n", m.Name, kernel.Name, kernel.Release, kernel.Image, initramfs)
			}
			return nil
		},
	}
	buildFlags(c.Flags(), f)
	return c
}

// kernelPlan is for whom, and from what, the kernels of a command are built that
// starts no guest.
func kernelPlan(f *runFlags, baselined bool) ([]*vm.Machine, *plan, error) {
	machines, err := chosenMachines(f.machines)
	if err != nil {
		return nil, nil, err
	}
	if err := checkKernelFlags(f, len(machines)); err != nil {
		return nil, nil, err
	}
	p := &plan{flags: f}
	p.source, err = f.source(baselined)
	return machines, p, err
}

func (a *app) imagesListCommand() *cobra.Command {
	var plants bool
	c := &cobra.Command{
		Use:     "list",
		Short:   "list what is in the cache, or the plants",
		Example: "  plugstorm images list\n  plugstorm images list --plants",
		RunE: func(*cobra.Command, []string) error {
			if plants {
				return a.listPlants()
			}
			return a.listImages()
		},
	}
	c.Flags().BoolVar(&plants, "plants", false, "list the bugs that --plant can plant")
	return c
}

func (a *app) listPlants() error {
	for _, p := range images.Plants() {
		fmt.Fprintf(a.stdout, "%s\n    %s\n    suite %s, on %s", p.Name, p.Title, p.Expect.Suite, names(p.Expect.Machines))
		if len(p.Expect.Silent) > 0 {
			fmt.Fprintf(a.stdout, "; silent on %s", names(p.Expect.Silent))
		}
		fmt.Fprintln(a.stdout)
	}
	return nil
}

func (a *app) listImages() error {
	store, err := a.store()
	if err != nil {
		return err
	}
	entries, err := store.List()
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "KIND\tKEY\tNAME\tARCH\tMiB\tLAST USED")
	for _, e := range entries {
		fmt.Fprintf(table, "%s\t%.12s\t%s\t%s\t%d\t%s\n", e.Kind, e.Key, e.Name, e.Arch, e.Bytes>>20, e.Used.Format(time.DateTime))
	}
	return blame.On(blame.Host, table.Flush(), "")
}

func (a *app) imagesGCCommand() *cobra.Command {
	policy := images.GCPolicy{}
	c := &cobra.Command{
		Use:     "gc",
		Short:   "remove what has not been used for a while",
		Example: "  plugstorm images gc\n  plugstorm images gc --older-than 24h --keep 0",
		RunE: func(c *cobra.Command, _ []string) error {
			store, err := a.store()
			if err != nil {
				return err
			}
			freed, err := store.GC(c.Context(), policy)
			fmt.Fprintf(a.stdout, "freed %d MiB\n", freed>>20)
			return err
		},
	}
	c.Flags().DurationVar(&policy.OlderThan, "older-than", 30*24*time.Hour, "remove what was last used longer ago than this")
	c.Flags().IntVar(&policy.Keep, "keep", 4, "kernels that stay in any case, the most recently used ones")
	return c
}
