// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// hangConsole returns the console of a golden file of hung tasks.
func hangConsole(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", HungTask.Name, name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	input, _, _ := bytes.Cut(data, []byte(expectation))
	return input
}

// TestExplained: what each hang's explanation has to say, and that all reports
// of one hang share it, with one identity.
func TestExplained(t *testing.T) {
	for _, tt := range []struct {
		console, sentence string
		tasks             int
	}{
		{"x86-kcompactd-stop", "kworker/0:1 holds mem_hotplug_lock (write) and waits for kcompactd1 to stop; kcompactd1 waits for mem_hotplug_lock (read)", 3},
		{"x86-lockdep-off", "kworker/0:1 holds mem_hotplug_lock (write) and waits for kcompactd1 to stop; kcompactd1 waits for mem_hotplug_lock (read) (inferred)", 2},
		{"x86-abba", "modprobe holds device_hotplug_lock and waits for slab_mutex; sh holds slab_mutex and waits for device_hotplug_lock", 2},
		{"pseries-flush-work", "sh holds mem_hotplug_lock (write) and waits for the work item flush_cpu_slab on kworker/1:0; kworker/1:0 waits for mem_hotplug_lock (read)", 2},
		{"x86-queued-writer", "cat holds kn->active (read) and waits for mem_hotplug_lock (read) behind sh; sh waits for mem_hotplug_lock (write); " +
			"rmmod holds mem_hotplug_lock (read) and waits for the last user of a sysfs file to leave it", 3},
		{"x86-kthreadd-interleaved", "sh holds cpu_hotplug_lock (write) and waits for cpuhp/1 to take its CPU up or down; cpuhp/1 waits for kthreadd to make a kthread; " +
			"kthreadd waits for cpu_hotplug_lock (read)", 2},
		{"x86-owner", "cat holds a mutex and waits for an rwsem (write) in write_second; zsh holds an rwsem (read) and waits for a mutex in read_first", 2},
		{"x86-completion", "kworker/0:2 holds acpi_scan_lock and waits for a completion in acpi_ec_query_flush, and nothing shows who would end that; kworker/0:3 waits for acpi_scan_lock, held by kworker/0:2", 2},
	} {
		found := Find(hangConsole(t, tt.console))
		if len(found) != tt.tasks {
			t.Errorf("%s: %d findings, want %d", tt.console, len(found), tt.tasks)
		}
		for _, f := range found {
			if f.Explain != tt.sentence {
				t.Errorf("%s, %s:\n got %s\nwant %s", tt.console, f.Task, f.Explain, tt.sentence)
			}
			if f.Identity != found[0].Identity || !strings.HasPrefix(f.Identity, "hang: ") {
				t.Errorf("%s, %s: identity %q, want %q", tt.console, f.Task, f.Identity, found[0].Identity)
			}
			cyclic := tt.console != "x86-completion"
			if f.Waits == nil || (len(f.Waits.Cycle) > 0) != cyclic {
				t.Errorf("%s, %s: a cycle is claimed: %v, want %v", tt.console, f.Task, !cyclic, cyclic)
			}
		}
	}
}

// TestRealHangs: real guests, hung by our module plugstorm_deadlock. What waits
// for what is known from its source; rwsem-queue's completion nobody can know.
func TestRealHangs(t *testing.T) {
	for kind, want := range map[string][]string{
		"abba":         {"deadlock/first holds deadlock_a and waits for deadlock_b; deadlock/second holds deadlock_b and waits for deadlock_a"},
		"kthread-stop": {"deadlock/holder holds deadlock_a and waits for deadlock/taker to stop (inferred); deadlock/taker waits for deadlock_a"},
		"completion":   {"deadlock/holder holds deadlock_a and waits for a completion in deadlock_done_holder from deadlock/taker (inferred); deadlock/taker waits for deadlock_a"},
		"flush-work":   {"deadlock/holder holds deadlock_a and waits for the work item deadlock_work_fn on kworker/", " (inferred); kworker/", " waits for deadlock_a"},
		"kernfs-drain": {"deadlock/holder holds deadlock_a and waits for the last user of a sysfs file to leave it; exe holds kn->active (read) and waits for deadlock_a"},
		"rwsem-drain": {"deadlock/holder holds deadlock_rw and waits for the last user of a sysfs file to leave it; ",
			"exe holds kn->active (read) and waits for deadlock_rw (read), behind deadlock/writer if deadlock/holder has it to read"},
		"rwsem-queue": {"deadlock/holder holds deadlock_sem (read) and waits for a completion in deadlock_queue_holder, and nothing shows who would end that",
			"deadlock/reader waits for deadlock_sem (read) behind deadlock/writer", "deadlock/writer waits for deadlock_sem (write), held by deadlock/holder"},
	} {
		identity := ""
		for _, machine := range []string{"x86_64", "pseries"} {
			for _, f := range Find(hangConsole(t, "real-"+machine+"-"+kind)) {
				if slices.ContainsFunc(want, func(s string) bool { return !strings.Contains(f.Explain, s) }) {
					t.Errorf("%s %s, %s:\n got %s\nwant %s", machine, kind, f.Task, f.Explain, strings.Join(want, " ... "))
				}
				if identity == "" {
					identity = f.Identity
				}
				if f.Identity != identity {
					t.Errorf("%s %s, %s: identity %q, want %q", machine, kind, f.Task, f.Identity, identity)
				}
			}
		}
	}
}

// TestHangOfOneBoot: what is printed after a reboot explains no earlier hang,
// and each boot has its own.
func TestHangOfOneBoot(t *testing.T) {
	log := hangConsole(t, "x86-abba")
	at := bytes.Index(log, []byte("INFO: task sh:"))
	at = bytes.LastIndexByte(log[:at], '\n') + 1
	banner := []byte("[    0.000000][    T0] Linux version 6.12.117-plugstorm (a@b) #1 SMP\n")
	found := Find(slices.Concat(log[:at], banner, log[at:]))
	if len(found) != 3 {
		t.Fatalf("%d findings, want a hang, a reboot and a hang", len(found))
	}
	for _, f := range []Finding{found[0], found[2]} {
		if f.Waits == nil || len(f.Waits.Cycle) > 0 {
			t.Errorf("%s: %s", f.Task, f.Explain)
		}
	}
	twice := Find(slices.Concat(log, banner, hangConsole(t, "x86-kcompactd-stop")))
	if first, last := twice[0], twice[len(twice)-1]; len(first.Waits.Cycle) != 2 || len(last.Waits.Cycle) != 2 || first.Identity == last.Identity {
		t.Errorf("identities %q and %q", first.Identity, last.Identity)
	}
}

// TestLaterDump: a hang is explained by what the kernel says later in the same
// boot, as it does when the harness asks it to (SysRq-d and -w).
func TestLaterDump(t *testing.T) {
	log := hangConsole(t, "x86-abba")
	second := bytes.Index(log, []byte("INFO: task sh:"))
	second = bytes.LastIndexByte(log[:second], '\n') + 1
	dump := bytes.Index(log, []byte("task:sh"))
	dump = bytes.LastIndexByte(log[:dump], '\n') + 1
	found := Find(slices.Concat(log[:second], []byte("[  366.000000][   T81] sysrq: Show Blocked State\n"), log[dump:]))
	if len(found) != 1 || found[0].Waits == nil || len(found[0].Waits.Cycle) != 2 {
		t.Errorf("%+v", found)
	}
}

// TestHangCutOff: a console that ends anywhere is explained by what it has.
func TestHangCutOff(t *testing.T) {
	for _, name := range []string{"x86-queued-writer", "x86-kthreadd-interleaved", "pseries-flush-work"} {
		log := hangConsole(t, name)
		listed := bytes.Index(log, []byte("locks held by"))
		for n := 0; n < len(log); n += 37 {
			for _, f := range Find(log[:n]) {
				if n < listed && f.Waits != nil && len(f.Waits.Cycle) > 0 && !strings.Contains(f.Explain, "inferred") {
					t.Errorf("%s, %d bytes: %s", name, n, f.Explain)
				}
			}
		}
	}
}

// BenchmarkExplain reads 10 MB of dumps behind a hung task.
func BenchmarkExplain(b *testing.B) {
	log := hangConsole(b, "x86-kcompactd-stop")
	log = bytes.Repeat(log, 10<<20/len(log))
	found := Find(log)
	b.SetBytes(int64(len(log)))
	for b.Loop() {
		Explain(log, found)
	}
}
