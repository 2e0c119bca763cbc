// SPDX-License-Identifier: Apache-2.0

package known

import (
	"errors"
	"os"
	"strings"
	"testing"

	"plugstorm/harness/blame"
	"plugstorm/harness/lockdep"
	"plugstorm/harness/splat"
)

const minimal = `
[[issue]]
id = "x"
title = 'WARNING in (a|b)'
reason = "The code does what it must not."
source = "seen"
`

func load(t *testing.T, text string) *Set {
	t.Helper()
	set, err := Load([]byte(text), "test.toml")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestMatch(t *testing.T) {
	deadlock := splat.Finding{Title: "possible deadlock in f", Type: splat.TypeLockdep,
		Stack: []string{"dump_stack", "f", "g", "h"}, Locks: &lockdep.Report{Classes: []string{"a", "b", "c"},
			Chain: []lockdep.Link{{Stack: []string{"lock", "show", "read"}}}}}
	warning := splat.Finding{Title: "WARNING in a", Alt: []string{"WARNING in z"}, Type: splat.TypeWarning, Stack: []string{"a", "b", "c"}}
	fault := splat.Finding{Title: "bad-access in a", Stack: []string{"a"}, Access: &splat.Access{Kind: "read", Address: "0000000000000090"}}
	for _, c := range []struct {
		name, signature, machine, release string
		finding                           splat.Finding
		want                              bool
	}{
		{"title", `title = 'WARNING in (a|b)'`, "m", "6.12", warning, true},
		{"title is anchored", `title = 'WARNING in'`, "m", "6.12", warning, false},
		{"title, alternative", `title = 'WARNING in z'`, "m", "6.12", warning, true},
		{"stack with a gap", `stack = ["f", "h"]`, "m", "6.12", deadlock, true},
		{"stack out of order", `stack = ["h", "f"]`, "m", "6.12", deadlock, false},
		{"the other side", "stack = [\"f\"]\nany = [\"store\", \"show\"]", "m", "6.12", deadlock, true},
		{"another other side", "stack = [\"f\"]\nany = [\"store\"]", "m", "6.12", deadlock, false},
		{"locks", `locks = ["c", "a"]`, "m", "6.12", deadlock, true},
		{"a lock more", `locks = ["c", "d"]`, "m", "6.12", deadlock, false},
		{"locks of a warning", `locks = ["c"]`, "m", "6.12", warning, false},
		{"type", "stack = [\"a\"]\ntype = \"LOCKDEP\"", "m", "6.12", warning, false},
		{"machine", "stack = [\"a\"]\nmachines = [\"m\", \"n\"]", "n", "6.12", warning, true},
		{"other machine", "stack = [\"a\"]\nmachines = [\"m\"]", "n", "6.12", warning, false},
		{"kernel", "stack = [\"a\"]\nkernels = \">=6.8 <6.13\"", "m", "6.12.117-plugstorm", warning, true},
		{"other kernel", "stack = [\"a\"]\nkernels = \">=6.8 <6.13\"", "m", "6.13.0-rc1", warning, false},
		{"unknown kernel", "stack = [\"a\"]\nkernels = \">=6.8\"", "m", "", warning, false},
		{"access", "stack = [\"a\"]\naccess = \"read\"", "m", "6.12", fault, true},
		{"other access", "stack = [\"a\"]\naccess = \"write\"", "m", "6.12", fault, false},
		{"address", "stack = [\"a\"]\naddress = \"0{14}9.\"", "m", "6.12", fault, true},
		{"address is anchored", "stack = [\"a\"]\naddress = \"90\"", "m", "6.12", fault, false},
		{"access of a warning", "stack = [\"a\"]\naccess = \"read\"", "m", "6.12", warning, false},
		{"all must match", "stack = [\"a\"]\ntitle = \"WARNING in q\"", "m", "6.12", warning, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := load(t, "[[issue]]\nid = \"x\"\nreason = \"The code does what it must not.\"\nsource = \"seen\"\n"+c.signature)
			issue, ok := set.Match(c.finding, c.machine, c.release)
			if ok != c.want || ok != (issue != nil) {
				t.Errorf("Match = %v, %v; want %v", issue, ok, c.want)
			}
		})
	}
	if _, ok := (*Set)(nil).Match(warning, "m", "6.12"); ok {
		t.Error("a nil set matches")
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct{ name, from, to, want string }{
		{"unknown key", `source = "seen"`, "source = \"seen\"\nsauce = \"x\"", `line 7: unknown key "issue.sauce"`},
		{"syntax", `source = "seen"`, `source = `, "line 6"},
		{"wrong type", `source = "seen"`, "source = \"seen\"\nstack = 7", "line 7"},
		{"matches everything", `title = 'WARNING in (a|b)'`, ``, "matches everything"},
		{"title matches everything", `title = 'WARNING in (a|b)'`, `title = ".*"`, "matches everything"},
		{"title matches anything", `title = 'WARNING in (a|b)'`, `title = ".+ .+"`, "matches everything"},
		{"unknown access", `source = "seen"`, "source = \"seen\"\naccess = \"touch\"", "read, write or execute"},
		{"bad address", `source = "seen"`, "source = \"seen\"\naddress = \"(\"", "address: error parsing regexp"},
		{"bad expression", `title = 'WARNING in (a|b)'`, `title = "("`, "title: error parsing regexp"},
		{"no reason", `"The code does what it must not."`, `"because"`, "reason"},
		{"no source", `source = "seen"`, ``, "source or a link"},
		{"no id", `id = "x"`, ``, "id must be"},
		{"bad constraint", `source = "seen"`, "source = \"seen\"\nkernels = \"6.12\"", `"6.12" doesn't begin with`},
		{"bad version", `source = "seen"`, "source = \"seen\"\nkernels = \">=6.x\"", `"6.x" isn't a kernel version`},
		{"empty function", `source = "seen"`, "source = \"seen\"\nstack = [\"\"]", "empty string"},
		{"twice", `source = "seen"`, "source = \"seen\"" + minimal, "taken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(minimal, c.from, c.to, 1)
			if text == minimal {
				t.Fatal("the case changes nothing")
			}
			_, err := Load([]byte(text), "test.toml")
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "test.toml: ") {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			if blame.Of(err) != blame.User {
				t.Errorf("the error is %s's, not the user's", blame.Of(err))
			}
		})
	}
	var e *blame.Error
	if _, err := Load([]byte("x"), "f"); !errors.As(err, &e) || e.Next == "" {
		t.Error("an error without a next step")
	}
}

func TestConstraint(t *testing.T) {
	for _, c := range []struct {
		constraint, release string
		want                bool
	}{
		{"", "", true}, {">=6.8", "6.8.0", true}, {">=6.8", "6.7.99", false}, {"<6.13", "6.12.117-plugstorm", true},
		{"=6.12", "6.12.117", true}, {"<=6.12", "6.12.117", true}, {">6.12", "6.12.117", false}, {">6.12", "6.13", true},
		{"=6.12.3", "6.12.30", false}, {">=6.1", "6.1.0-18-amd64", true}, {">=6.1.5", "6.1.0-18-amd64", false}, {">=6", "garbage", false},
		{">=99999999999999999999999", "6", false},
	} {
		got, err := parseConstraint(c.constraint)
		if err != nil {
			if c.want {
				t.Errorf("%q: %v", c.constraint, err)
			}
			continue
		}
		if got.allows(c.release) != c.want {
			t.Errorf("%q allows %q: %v, want %v", c.constraint, c.release, !c.want, c.want)
		}
	}
}

// TestDefault matches the project's issues against consoles that show them.
func TestDefault(t *testing.T) {
	set := Default()
	if len(set.Issues) == 0 {
		t.Fatal("no issues")
	}
	const debian12, debian13 = "6.1.192-plugstorm", "6.12.117-plugstorm"
	for _, c := range []struct{ file, machine, release, want string }{
		{"lockdep_deadlock/x86-kernfs-mem-hotplug.txt", "x86_64", debian13, "kernfs-mem-hotplug-lock"},
		{"fault/x86-compaction.txt", "x86_64", debian13, "compaction-offline-memmap"},
		{"fault/pseries-null.txt", "pseries", debian13, "kpageflags-offline-memmap"},
		{"fault/real-pseries-valid-zones.txt", "pseries", debian13, "valid-zones-without-node"},
		{"fault/real-x86-valid-zones.txt", "x86_64", debian13, "valid-zones-without-node"},
		{"fault/real-x86-compaction.txt", "x86_64", debian13, "compaction-offline-memmap"},
		{"fault/real-x86-compaction-huge.txt", "x86_64", debian13, "compaction-offline-memmap"},
		{"fault/real-x86-c10.txt", "x86_64", debian13, "kpageflags-offline-memmap"},
		{"fault/real-pseries-c10.txt", "pseries", debian13, "kpageflags-offline-memmap"},
		{"warning/real-pseries-idle-task-exit.txt", "pseries", debian13, "pseries-idle-exit-mm-cpumask"},
		{"warning/real-pseries-idle-task-exit.txt", "x86_64", debian13, ""},
		{"warning/pseries-lockdep-assert.txt", "pseries", debian13, ""},
		{"warning/real-x86-add-pages.txt", "x86_64", debian13, "x86-add-pages-warns"},
		{"lockdep_deadlock/pseries-slab-mutex.txt", "pseries", debian13, ""},
		{"kernel_bug/real-pseries-add-memory-node.txt", "pseries", debian13, "add-memory-node-device-bug"},
		{"hung_task/x86-two.txt", "x86_64", debian13, ""},
		{"hung_task/real-x86_64-cgroup-kthreadd.txt", "x86_64", debian13, "cgroup-attach-cpuset-kthreadd"},
		{"hung_task/real-x86_64-kthread-stop.txt", "x86_64", debian13, ""},
		{"lockdep_deadlock/x86-kernfs-mem-hotplug.txt", "x86_64", debian12, ""},
		{"fault/x86-compaction.txt", "x86_64", debian12, "compaction-offline-memmap"},
		{"fault/pseries-null.txt", "pseries", debian12, "kpageflags-offline-memmap"},
		{"fault/real-pseries-valid-zones.txt", "pseries", debian12, "valid-zones-without-node"},
		{"warning/real-pseries-idle-task-exit.txt", "pseries", debian12, ""},
		{"fault/real-x86-kpageflags-head.txt", "x86_64", debian12, "kpageflags-offline-memmap-head"},
		{"warning/real-pseries-hugetlb-split.txt", "pseries", debian12, "hugetlb-split-unlocked"},
		{"preemptible/real-pseries-vmstat-unbound.txt", "pseries", debian12, "vmstat-update-unbound"},
		{"warning/real-pseries-hugetlb-split.txt", "pseries", debian13, ""},
		{"fault/real-x86-compaction-61.txt", "x86_64", debian12, "compaction-offline-memmap"},
		{"warning/real-x86-cpuset-hotplug.txt", "x86_64", debian12, "cpuset-hotplug-unlocked"},
		{"warning/real-x86-cpuset-hotplug.txt", "x86_64", debian13, ""},
		{"kernel_bug/real-pseries-add-memory-node.txt", "pseries", debian12, "add-memory-node-device-bug"},
	} {
		data, err := os.ReadFile("../splat/testdata/" + c.file)
		if err != nil {
			t.Fatal(err)
		}
		found := splat.Find(data)
		if len(found) == 0 {
			t.Errorf("%s: no finding", c.file)
			continue
		}
		got := ""
		if issue, ok := set.Match(found[0], c.machine, c.release); ok {
			got = issue.ID
		}
		if got != c.want {
			t.Errorf("%s on %s, %s: matched %q, want %q", c.file, c.machine, c.release, got, c.want)
		}
	}
}

// TestLookAlikes: what differs from a known issue's console in what tells it is
// not explained by it, though it comes from the same functions.
func TestLookAlikes(t *testing.T) {
	set := Default()
	for _, c := range []struct{ file, machine, from, to string }{
		// The recorded ones, unchanged.
		{"fault/x86-compaction.txt", "x86_64", "", ""},
		{"fault/real-x86-compaction.txt", "x86_64", "", ""},
		{"fault/real-x86-compaction-huge.txt", "x86_64", "", ""},
		{"fault/real-pseries-valid-zones.txt", "pseries", "", ""},
		{"fault/real-x86-valid-zones.txt", "x86_64", "", ""},
		{"fault/pseries-null.txt", "pseries", "", ""},
		{"fault/x86-numa-events.txt", "x86_64", "", ""},
		{"lockdep_deadlock/real-x86-add-memory-error.txt", "x86_64", "", ""},
		{"lockdep_deadlock/real-x86-register-cpu-error.txt", "x86_64", "", ""},
		{"fault/real-pseries-compaction-reset.txt", "pseries", "", ""},
		{"warning/real-x86-node-reinit.txt", "x86_64", "", ""},
		{"hung_task/real-x86-acpi-mutex.txt", "x86_64", "", ""},
		{"warning/real-x86-cpuset-overlap.txt", "x86_64", "", ""},
		{"warning/real-x86-fair-server-stop.txt", "x86_64", "", ""},
		{"trap/real-x86-fair-server-divide.txt", "x86_64", "", ""},
		{"fault/real-x86-kpageflags-head.txt", "x86_64", "", ""},
		{"fault/real-x86-kpageflags-head.txt", "x86_64", "address: 0000000000000006", "address: 0000000000000008"},
		// A freed object's poison, in a register or in memory.
		{"fault/x86-compaction.txt", "x86_64", "address: ffffea0005000008", "address: 6b6b6b6b6b6b6b73"},
		{"fault/real-x86-compaction.txt", "x86_64", "address: fffffffffffffffe", "address: 6b6b6b6b6b6b6b6b"},
		{"fault/real-pseries-valid-zones.txt", "pseries", "BUG: Kernel NULL pointer dereference on read at 0x00000090", "BUG: Unable to handle kernel data access on read at 0x6b6b6b6b6b6b6bfb"},
		{"fault/real-x86-valid-zones.txt", "x86_64", "kernel NULL pointer dereference, address: 0000000000000098", "unable to handle page fault for address: 6b6b6b6b6b6b6c03"},
		{"fault/real-x86-c10.txt", "x86_64", "kernel NULL pointer dereference, address: 0000000000000016", "unable to handle page fault for address: 6b6b6b6b6b6b6b83"},
		// A freed object, not poisoned, or a pointer that was never set.
		{"fault/x86-compaction.txt", "x86_64", "address: ffffea0005000008", "address: ffff888003c5e008"},
		{"fault/real-x86-compaction-huge.txt", "x86_64", "address: 0000000000000031", "address: 0000000000000008"},
		{"fault/real-x86-compaction-61.txt", "x86_64", "address: 000000000000004e", "address: 0000000000000048"},
		{"fault/real-pseries-valid-zones.txt", "pseries", "BUG: Kernel NULL pointer dereference on read at 0x00000090", "BUG: Unable to handle kernel data access on read at 0xc000000006b10490"},
		{"fault/real-x86-valid-zones.txt", "x86_64", "address: 0000000000000098", "address: 0000000000000898"},
		{"fault/x86-numa-events.txt", "x86_64", "address: ffffe8ffffc05a70", "address: 6b6b6b6b6b6b6b73"},
		{"fault/x86-numa-events.txt", "x86_64", "address: ffffe8ffffc05a70", "address: ffff888003c5e008"},
		{"fault/x86-numa-events.txt", "x86_64", "supervisor write access", "supervisor read access"},
		{"fault/real-pseries-compaction-reset.txt", "pseries", "0xc00c000000108000", "0x6b6b6b6b6b6b6b6b"},
		{"fault/real-pseries-compaction-reset.txt", "pseries", "0xc00c000000108000", "0xc000000006b10490"},
		// A write.
		{"fault/real-pseries-valid-zones.txt", "pseries", "dereference on read at", "dereference on write at"},
		{"fault/real-x86-valid-zones.txt", "x86_64", "supervisor read access", "supervisor write access"},
		{"lockdep_deadlock/real-x86-add-memory-error.txt", "x86_64", "create_memory_block_devices+", "register_memory_blocks+"},
		{"lockdep_deadlock/real-x86-add-memory-error.txt", "x86_64", "online_store+", "wq_nice_store+"},
		{"warning/real-x86-node-reinit.txt", "x86_64", "finish_wait+", "remove_wait_queue+"},
		{"warning/real-x86-node-reinit.txt", "x86_64", "reclaim_throttle+", "kcompactd+"},
		{"warning/real-x86-fair-server-stop.txt", "x86_64", "sched_fair_server_write.isra.0+", "sched_cpu_activate+"},
		{"trap/real-x86-fair-server-divide.txt", "x86_64", "sched_fair_server_write.isra.0+", "sched_cpu_dying+"},
		{"warning/real-x86-cpuset-overlap.txt", "x86_64", "rebuild_sched_domains_locked+", "cpuset_hotplug_update_tasks+"},
		{"hung_task/real-x86-acpi-mutex.txt", "x86_64", "acpi_ex_system_wait_mutex+", "acpi_ex_acquire_mutex+"},
		{"hung_task/real-x86-acpi-mutex.txt", "x86_64", "acpi_ds_begin_method_execution+", "acpi_ex_acquire_global_lock+"},
		{"lockdep_deadlock/real-x86-register-cpu-error.txt", "x86_64", "acpi_processor_add+", "cpu_dev_register_generic+"},
		{"lockdep_deadlock/real-x86-register-cpu-error.txt", "x86_64", "online_store+", "wq_nice_store+"},
		// Another caller, and another function. Plant s3d has the first of them.
		{"fault/real-pseries-valid-zones.txt", "pseries", "valid_zones_show+", "memory_subsys_online+"},
		{"fault/real-x86-valid-zones.txt", "x86_64", "valid_zones_show+", "memory_subsys_online+"},
		{"fault/real-x86-valid-zones.txt", "x86_64", "default_kernel_zone_for_pfn+", "zone_spans_pfn+"},
		{"fault/real-x86-compaction.txt", "x86_64", "compact_node+", "kcompactd_do_work+"},
		{"fault/real-x86-compaction.txt", "x86_64", "RIP: 0010:compound_order+", "RIP: 0010:release_freepages_list+"},
	} {
		data, err := os.ReadFile("../splat/testdata/" + c.file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		if c.from != "" {
			if text = strings.ReplaceAll(text, c.from, c.to); text == string(data) {
				t.Fatalf("%s has no %q", c.file, c.from)
			}
		}
		found := splat.Find([]byte(text))
		if len(found) == 0 {
			t.Errorf("%s with %q: no finding", c.file, c.to)
			continue
		}
		if issue, ok := set.Match(found[0], c.machine, "6.12.117-plugstorm"); ok != (c.from == "") {
			t.Errorf("%s with %q: matched %v", c.file, c.to, issue)
		}
	}
}

func TestWithout(t *testing.T) {
	set := &Set{Issues: []*Issue{{ID: "a"}, {ID: "b"}, {ID: "c"}}}
	if got := set.Without("b", "z"); len(got.Issues) != 2 || got.Issues[0].ID != "a" || got.Issues[1].ID != "c" || len(set.Issues) != 3 {
		t.Errorf("%v of %v", got.Issues, set.Issues)
	}
	if got := (*Set)(nil).Without("a"); got != nil {
		t.Error(got)
	}
}
