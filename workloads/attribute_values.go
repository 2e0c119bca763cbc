// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A change is another value of an attribute, and what takes it back; "" where
// nothing has to be.
type change struct{ to, back string }

// storeValues are attributes whose value doesn't tell which others there are, by name.
var storeValues = map[string][]string{
	"cpuset.cpus":            {"0", "0-1", "1", "1-3"},
	"cpuset.cpus.exclusive":  {"1", "1-3"},
	"cpuset.mems":            {"0", "0-1", "1"},
	"cpuset.cpus.partition":  {"member", "root", "isolated"},
	"smp_affinity_list":      {"0", "0-1", "1"},
	"cpumask":                {"1", "3", "f"}, // of a workqueue
	"default_affinity_scope": {"cpu", "numa", "system"},
}

// storeActions are attributes that do something when this is written, and keep nothing.
var storeActions = map[string]string{
	"shrink":       "1", // mm/slub.c shrink_store
	"validate":     "1", // mm/slub.c validate_store
	"stat_refresh": "1", // mm/vmstat.c vmstat_refresh
}

// emptied is what takes back a value of an attribute that was empty. One that
// isn't named here keeps what it got, until its cgroup goes.
var emptied = map[string]string{
	"cpuset.cpus": "\n", "cpuset.cpus.exclusive": "\n", "cpuset.mems": "\n",
}

// switches are values that have one other.
var switches = map[string]string{"0": "1", "1": "0", "Y": "N", "N": "Y", "true": "false", "false": "true", "enabled": "disabled", "disabled": "enabled"}

// keptNames are attributes that are only given what they have: another workload
// turns them and would take our value for theirs, or another value can do harm.
var keptNames = []string{
	"min_free_kbytes", "watermark_scale_factor", "percpu_pagelist_high_fraction", "stat_interval", "compaction_proactiveness", // vm-sysctls
	"sleep_millisecs", "pages_to_scan", // ksm-run
	"nr_hugepages", "nr_hugepages_mempolicy", "nr_overcommit_hugepages", // hugetlb-pool, hugetlb-mappings, and twice as many may be all memory
	"min_ttl_ms", "hugetlb_shm_group", "dscr", "dscr_default", "default_smp_affinity",
}

// storeNumberMax bounds a number that is doubled.
const storeNumberMax = 1 << 30

// unlimited is what limits say that aren't any, and aLimit is one for all of them:
// 4 MiB, or as many processes (include/linux/threads.h PID_MAX_LIMIT).
const (
	unlimited = "max"
	aLimit    = "4194304"
)

// valueChanges lists the changes that an attribute with this text is known to bear.
func valueChanges(path, text string) []change {
	name, was := filepath.Base(path), strings.TrimSpace(text)
	if action, ok := storeActions[name]; ok {
		return []change{{to: action}}
	}
	if slices.Contains(keptNames, name) {
		return nil
	}
	if values, ok := storeValues[name]; ok {
		back := was
		if was == "" {
			back = emptied[name]
		}
		return changesTo(values, back)
	}
	if name == "features" {
		return featureChanges(was)
	}
	if kind, ok := strings.CutPrefix(name, "current_"); ok {
		return changesTo(available(filepath.Dir(path), kind), was)
	}
	if value := chosen(text); value != text {
		return changesTo(strings.Fields(strings.NewReplacer("[", "", "]", "").Replace(was)), value)
	}
	return numberChanges(was)
}

// changesTo lists those values that aren't there already.
func changesTo(values []string, back string) []change {
	var list []change
	for _, value := range values {
		if value != back {
			list = append(list, change{value, back})
		}
	}
	return list
}

// chosen is the word in brackets of a list ("always [madvise] never"), or the whole text.
func chosen(text string) string {
	_, after, found := strings.Cut(text, "[")
	word, _, closed := strings.Cut(after, "]")
	if !found || !closed || strings.ContainsAny(word, " \n") {
		return text
	}
	return word
}

// numberChanges are those of switches, limits and plain numbers.
func numberChanges(was string) []change {
	if other, ok := switches[was]; ok {
		return []change{{other, was}}
	}
	if was == unlimited {
		return []change{{aLimit, was}}
	}
	n, err := strconv.ParseInt(was, 10, 64)
	if err != nil || n < 2 || n > storeNumberMax {
		return nil
	}
	return []change{{strconv.FormatInt(n*2, 10), was}, {strconv.FormatInt(n/2, 10), was}}
}

// featureChanges switch a feature of the scheduler, other than those that make it
// complain (kernel/sched/features.h WARN_DOUBLE_CLOCK, LATENCY_WARN).
func featureChanges(was string) []change {
	var list []change
	for _, feature := range strings.Fields(was) {
		if strings.Contains(feature, "WARN") {
			continue
		}
		other, on := strings.CutPrefix(feature, "NO_")
		if !on {
			other = "NO_" + feature
		}
		list = append(list, change{other, feature})
	}
	return list
}

// available lists what current_KIND may be: available_KIND or available_KINDs say it.
func available(dir, kind string) []string {
	for _, name := range []string{"available_" + kind, "available_" + kind + "s"} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			return strings.Fields(string(text))
		}
	}
	return nil
}
