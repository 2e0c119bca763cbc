// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"plugstorm/harness/blame"
	"plugstorm/harness/rules"
	"plugstorm/images"
)

// beforeTraps are functions that no probe may be set at, though the kernel takes it: a
// new CPU calls them before it can take a trap (arch/x86/kernel/smpboot.c
// start_secondary, arch/powerpc/kernel/setup_64.c early_setup_secondary), or a probe's
// handler may need them itself (a miss of powerpc's hash page table).
var beforeTraps = []string{
	"start_secondary", "cr4_init", "cpu_init_exception_handling", "load_ucode_ap", "setup_getcpu", "early_cpu_to_node", "tss_setup_ist", "tss_setup_io_bitmap",
	"early_setup_secondary", "early_init_mmu_secondary", "hash__early_init_mmu_secondary", "radix__early_init_mmu_secondary",
	"hash_page", "hash_page_mm", "__hash_page_4K", "__hash_page_64K", "__hash_page_huge", "__hash_page_thp", "hash_preload", "hash_failure_debug",
	"get_paca_psize", "subpage_protection", "check_paca_psize", "demote_segment_4k", "hash_page_do_lazy_icache", "htab_convert_pte_flags",
	"hash__flush_tlb_pending", "flush_hash_page", "flush_hash_range", "hpte_insert_repeating", "low_hash_fault", "do_hash_fault", "__do_hash_fault",
}

// functionCalls is how many calls of a function are counted: whether it was called at
// all is what is asked, and of a thousand functions some are called all the time.
const functionCalls = 1

func (a *app) imagesFunctionsCommand() *cobra.Command {
	f := &runFlags{}
	c := &cobra.Command{
		Use:   "functions FILE|DIRECTORY/...",
		Short: "list the functions of kernel files, for a run to say which ones it calls",
		Long: `Functions prints a file of rules (docs/rules.md) that watches every function which
the named C files of the kernel's source define and a machine's kernel has. After a
run with it (plugstorm run --rules FILE) plugstorm locks says file by file which ones
were called and which ones never were.

What is inlined wherever it is called, or not compiled, is left out and counted on
the standard error. So is what only boot can call, and what a probe would harm.`,
		Example: `  plugstorm images functions mm/memory_hotplug.c kernel/cpu.c drivers/base/ > watched.rules`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.printFunctions(c.Context(), f, c.Flags().Changed("baseline"), args)
		},
	}
	buildFlags(c.Flags(), f)
	return c
}

func (a *app) printFunctions(ctx context.Context, f *runFlags, baselined bool, paths []string) error {
	machines, p, err := kernelPlan(f, baselined)
	if err != nil {
		return err
	}
	store, err := a.store()
	if err != nil {
		return err
	}
	defined, err := store.Functions(ctx, p.source, paths)
	if err != nil {
		return err
	}
	present := map[string]bool{}
	for _, m := range machines {
		kernel, _, err := a.kernel(ctx, p, m)
		if err != nil {
			return err
		}
		if kernel.SystemMap == "" {
			return blame.Errorf(blame.User, "leave --kernel out", "nobody knows the functions of a prebuilt kernel, and it goes without our modules")
		}
		symbols, err := readSymbols(kernel.SystemMap)
		if err != nil {
			return err
		}
		absent := 0
		for _, d := range defined {
			if symbols.has(d.Func) {
				present[d.Func] = true
			} else {
				absent++
			}
		}
		a.ui.Line(fmt.Sprintf("%s: %d functions, %d of them not compiled or inlined", m.Name, len(defined), absent))
	}
	fmt.Fprint(a.stdout, watchFile(defined, present))
	return nil
}

// watchFile is a file of rules that counts the calls of those functions that are
// present. Each name stands there once, below the first file that defines it: the
// kernel refuses a probe at a name that means several.
func watchFile(defined []images.Change, present map[string]bool) string {
	var b strings.Builder
	seen := map[string]bool{}
	for _, d := range defined {
		if !present[d.Func] || seen[d.Func] || slices.Contains(beforeTraps, d.Func) {
			continue
		}
		seen[d.Func] = true
		fmt.Fprintf(&b, "# %s\n%s", d.File, rules.Count{Symbol: d.Func, Upto: functionCalls}.Line())
	}
	return b.String()
}
