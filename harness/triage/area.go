// SPDX-License-Identifier: Apache-2.0

package triage

import (
	"path"
	"regexp"
	"strings"
)

// An area is a part of the kernel under the name that its maintainers put in
// front of a subject. The first area that fits a complaint wins: of a lock
// cycle through several, the most special one.
type area struct {
	name    string
	files   string         // beginnings of paths, separated by blanks
	classes *regexp.Regexp // lock classes that are declared there
	funcs   *regexp.Regexp // functions of it that complaints are named after
}

// areas are those of memory and CPU hotplug and around it, as of 6.12. A
// complaint in none of them gets no prefix.
var areas = []area{
	{"mm", "mm/ include/linux/mm",
		regexp.MustCompile(`^(?:mem_hotplug_lock|slab_mutex|pcpu_alloc_mutex|pcp_batch_high_lock|pcpu_drain_mutex|flush_lock|memory_tier_lock|ksm_thread_mutex|\(memory_chain\)\.rwsem|&?pgdat->.*|&?zone->.*)$`),
		regexp.MustCompile(`(?:^|_)(?:online_pages|offline_pages|kmem_cache|slub?|kcompactd|kswapd|compact(?:ion|_zone|_node)?|online_mems|mem_hotplug|drain_all_pages|alloc_pages|pfn_range|memory_hotplug|pageblock)(?:_|$)`)},
	{"kernfs", "fs/kernfs/", regexp.MustCompile(`^(?:kn->active|kernfs_\w+|&root->kernfs_\w+)`), regexp.MustCompile(`^_*kernfs_`)},
	{"cpu/hotplug", "kernel/cpu.c", regexp.MustCompile(`^(?:cpu_hotplug_lock|cpu_add_remove_lock|cpuhp_state-\w+)$`), regexp.MustCompile(`^(?:cpuhp_|_?cpu_(?:up|down)$|cpus_(?:read|write)_lock$)`)},
	{"driver core", "drivers/base/", regexp.MustCompile(`^device_hotplug_lock$`), regexp.MustCompile(`^(?:memory_subsys|memory_block|cpu_subsys|device)_\w+$`)},
	{"ACPI", "drivers/acpi/", regexp.MustCompile(`^(?:acpi_scan_lock|acpi_\w+)$`), regexp.MustCompile(`^_*acpi_`)},
	{"workqueue", "kernel/workqueue.c", regexp.MustCompile(`^wq_pool_\w+$`), nil},
	{"powerpc/pseries", "arch/powerpc/platforms/pseries/", regexp.MustCompile(`^linear_mapping_mutex$`), regexp.MustCompile(`^(?:pseries|dlpar)_`)},
	{"powerpc", "arch/powerpc/", nil, nil},
	{"x86", "arch/x86/", nil, nil},
}

// atRE matches the source line that a warning or a BUG names.
var atRE = regexp.MustCompile(`\b(?:at|in) ((?:\w[\w.-]*/)*\w[\w.-]*\.[chS]):\d+`)

// Area returns the part of the kernel that a complaint is about, or "". The
// source file tells best; then the locks; then the function that it is named
// after.
func Area(f *Finding) string {
	if file := sourceFile(f); file != "" {
		for _, a := range areas {
			for _, prefix := range strings.Fields(a.files) {
				if strings.HasPrefix(file, prefix) {
					return a.name
				}
			}
		}
		return strings.TrimPrefix(path.Dir(file), ".")
	}
	for _, a := range areas {
		if f.Locks != nil && a.classes != nil {
			for _, class := range f.Locks.Classes {
				if a.classes.MatchString(class) {
					return a.name
				}
			}
		}
	}
	for _, a := range areas {
		if f.Locks == nil && a.funcs != nil && a.funcs.MatchString(named(f.Title)) {
			return a.name
		}
	}
	return ""
}

// named returns the function that a title names, or "".
func named(title string) string {
	if i := strings.LastIndex(title, " in "); i >= 0 {
		return title[i+len(" in "):]
	}
	return ""
}

// sourceFile returns the file of the function that a complaint is named after.
func sourceFile(f *Finding) string {
	if f.Locks != nil {
		return "" // its function is only where the last lock was taken
	}
	if places := f.PlacesOf(named(f.Title)); len(places) > 0 {
		return places[len(places)-1].File
	}
	if len(f.Lines) > 0 {
		for _, line := range f.Lines[:min(len(f.Lines), 4)] {
			if m := atRE.FindStringSubmatch(line); m != nil {
				return m[1]
			}
		}
	}
	return ""
}
