// SPDX-License-Identifier: Apache-2.0

package waitfor

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// read feeds a dump to a Reader, all of it from one source.
func read(text string) *Graph {
	r := NewReader()
	for line := range strings.Lines(text) {
		r.Line("", strings.TrimSuffix(line, "\n"))
	}
	return r.Graph()
}

// stackOf prints a task's dump as sched_show_task does.
func stackOf(comm string, pid, ppid int, frames string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "task:%-15.15s state:D stack:13208 pid:%-5d tgid:%-5d ppid:%-6d flags:0x00004000\nCall Trace:\n <TASK>\n", comm, pid, pid, ppid)
	for _, fn := range strings.Fields(frames) {
		fmt.Fprintf(&b, " %s+0x21/0x1a0\n", fn)
	}
	return b.String() + " </TASK>\n"
}

// TestWhatIsWaitedFor reads one stack each, without lists of locks.
func TestWhatIsWaitedFor(t *testing.T) {
	for _, tt := range []struct {
		frames string
		want   Object
		site   string
	}{
		{"__schedule schedule schedule_preempt_disabled __mutex_lock.constprop.0 mutex_lock_nested f", Object{Kind: Mutex}, "f"},
		{"__schedule schedule schedule_preempt_disabled rwsem_down_read_slowpath down_read f", Object{Kind: RWSem, Mode: Read}, "f"},
		{"__schedule schedule schedule_preempt_disabled rwsem_down_write_slowpath down_write_killable f", Object{Kind: RWSem, Mode: Write}, "f"},
		{"__schedule schedule percpu_rwsem_wait __percpu_down_read cpus_read_lock mem_hotplug_begin f", Object{PercpuRWSem, "cpu_hotplug_lock", Read}, "mem_hotplug_begin"},
		{"__schedule schedule percpu_down_write mem_hotplug_begin f", Object{PercpuRWSem, "mem_hotplug_lock", Write}, "f"},
		{"__schedule schedule percpu_rwsem_wait percpu_down_write cpus_write_lock _cpu_up", Object{PercpuRWSem, "cpu_hotplug_lock", Write}, "_cpu_up"},
		{"__schedule schedule schedule_timeout __wait_for_common wait_for_completion f", Object{Kind: Completion}, "f"},
		{"__schedule schedule schedule_timeout __wait_for_common kthread_stop kswapd_stop f", Object{KthreadStop, "kswapd", ""}, "kswapd_stop"},
		{"__schedule schedule schedule_timeout __wait_for_common wait_for_completion_killable __kthread_create_on_node kthread_create_on_node f", Object{KthreadNew, "kthreadd", ""}, "f"},
		{"__schedule schedule schedule_timeout __wait_for_common kthread_park takedown_cpu f", Object{KthreadPark, "cpuhp", ""}, "takedown_cpu"},
		{"__schedule schedule schedule_timeout __wait_for_common takedown_cpu f", Object{CPUHP, "cpuhp", ""}, "f"},
		{"__schedule schedule schedule_timeout __wait_for_common __flush_work __lru_add_drain_all f", Object{Work, "lru_add_drain_per_cpu", ""}, "__lru_add_drain_all"},
		{"__schedule schedule schedule_timeout __wait_for_common __flush_workqueue drain_workqueue destroy_workqueue f", Object{Kind: Work}, "f"},
		{"__schedule schedule kernfs_drain __kernfs_remove kernfs_remove_by_name_ns sysfs_remove_file_ns f", Object{KernfsDrain, "kn->active", ""}, "f"},
		{"__schedule schedule schedule_timeout __wait_for_common synchronize_rcu_normal synchronize_rcu f", Object{Kind: RCU}, "f"},
		{"__schedule schedule schedule_timeout __wait_for_common __stop_cpus.constprop.0 stop_machine_cpuslocked f", Object{Kind: StopMachine}, "f"},
		{"__schedule schedule io_schedule folio_wait_bit_common f", Object{Kind: Other, Name: "a folio"}, "f"},
		{"__schedule schedule f g", Object{Kind: Other}, "f"},
	} {
		g := read(stackOf("x", 7, 1, tt.frames))
		if len(g.Waits) != 1 {
			t.Errorf("%s: %d waits", tt.frames, len(g.Waits))
			continue
		}
		if diff := cmp.Diff(tt.want, g.Waits[0].Object); diff != "" || g.Waits[0].Site != tt.site {
			t.Errorf("%s: site %q, want %q, and object (-want +got):\n%s", tt.frames, g.Waits[0].Site, tt.site, diff)
		}
	}
}

// TestNobodyIsWaitedFor: a timer ends the wait, or the task is idle
// or runs, or the stack doesn't say.
func TestNobodyIsWaitedFor(t *testing.T) {
	sleeps := stackOf("x", 7, 2, "__schedule schedule schedule_timeout msleep f")
	idle := strings.Replace(stackOf("kworker/0:1", 7, 2, "__schedule schedule worker_thread kthread ret_from_fork"), "state:D", "state:I", 1)
	runs := "CPU: 1 UID: 0 PID: 7 Comm: x Not tainted 6.12.117 #1\nRIP: 0010:f+0x1/0x2\nCall Trace:\n <TASK>\n mutex_lock+0x1/0x2\n </TASK>\n"
	cut := stackOf("x", 7, 1, "__schedule schedule")
	for _, text := range []string{sleeps, idle, runs, cut} {
		if g := read(text); len(g.Waits) > 0 {
			t.Errorf("%s\n%+v", text, g.Waits)
		}
	}
}

// heldBy prints a list of locks: "address name function" each.
func heldBy(task string, locks ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d locks held by %s:\n", len(locks), task)
	for i, l := range locks {
		f := strings.Fields(l)
		fmt.Fprintf(&b, " #%d: %s (%s){+.+.}-{3:3}, at: %s+0x10/0x40\n", i, f[0], f[1], f[2])
	}
	return b.String()
}

const (
	showing = "Showing all locks held in the system:\n"
	shown   = "=============================================\n"
	mutex   = "__schedule schedule schedule_preempt_disabled __mutex_lock "
	flush   = "__schedule schedule schedule_timeout __wait_for_common __flush_work "
	stop    = "__schedule schedule schedule_timeout __wait_for_common kthread_stop "
	reads   = "__schedule schedule percpu_rwsem_wait __percpu_down_read "
	writes  = "__schedule schedule percpu_down_write "
	kthread = " kthread ret_from_fork"
)

// TestEdges checks who is said to keep whom waiting, and how that is known.
func TestEdges(t *testing.T) {
	aaaa, bbbb := "ffff888000000010 &x->a ", "ffff888000000020 &x->b "
	for _, tt := range []struct{ name, text, want string }{
		{
			"by address, not by class",
			stackOf("w", 1, 1, mutex+"f") + showing + heldBy("w/1", aaaa+"f") +
				heldBy("holder/2", "ffff888000000010 &x->a/1 h") + heldBy("other/3", "ffff888000000030 &x->a h") + shown,
			"w/1: holder/2 holds",
		}, {
			"a waiter whose stack wasn't printed is no holder",
			stackOf("w", 1, 1, mutex+"f") + showing + heldBy("w/1", aaaa+"f") + heldBy("late/2", bbbb+"g", aaaa+"f") +
				heldBy("holder/3", aaaa+"h", bbbb+"h") + shown,
			"w/1: holder/3 holds",
		}, {
			"a reader waits for the queued writer, and that for the readers",
			stackOf("r", 1, 1, reads+"f") + stackOf("w", 2, 1, writes+"g") + showing + heldBy("r/1", aaaa+"f") +
				heldBy("w/2", aaaa+"g") + heldBy("old/3", aaaa+"h") + shown,
			"r/1: w/2 queued write, w/2: old/3 holds read",
		}, {
			"without a writer in the queue, a reader waits for one that has it",
			stackOf("r", 1, 1, "__schedule schedule rwsem_down_read_slowpath down_read f") + showing + heldBy("r/1", aaaa+"f") + heldBy("old/3", aaaa+"h") + shown,
			"r/1: old/3 holds write",
		}, {
			"a task that waits for its own mutex",
			stackOf("w", 1, 1, mutex+"f") + showing + heldBy("w/1", aaaa+"g", aaaa+"f") + shown,
			"w/1: w/1 holds",
		}, {
			"a class of many locks, printed without address, is no proof",
			stackOf("w", 1, 1, mutex+"f") + showing + strings.ReplaceAll(heldBy("w/1", aaaa+"f")+heldBy("holder/2", aaaa+"h"), "ffff888000000010 ", "") + shown,
			"w/1: holder/2 inferred",
		}, {
			"the dump of the workqueues names the worker",
			stackOf("w", 1, 1, flush+"f") + stackOf("kworker/1:0", 9, 2, "__schedule schedule g process_one_work"+kthread) +
				stackOf("kworker/1:1", 8, 2, "__schedule schedule h process_one_work"+kthread) +
				"workqueue events: flags=0x0\n  pwq 2: cpus=1 node=0 flags=0x0 nice=0 active=2 refcnt=3\n    in-flight: 8:other, 9:g BAR(1)\n",
			"w/1: kworker/1:0 runs",
		}, {
			"the only worker that waits for the one that flushes",
			stackOf("w", 1, 1, flush+"f") + stackOf("kworker/1:0", 9, 2, mutex+"g process_one_work"+kthread) +
				stackOf("kworker/1:1", 8, 2, "__schedule schedule h process_one_work"+kthread) +
				showing + heldBy("w/1", aaaa+"f") + heldBy("kworker/1:0/9", aaaa+"g") + shown,
			"kworker/1:0/9: w/1 holds, w/1: kworker/1:0 inferred",
		}, {
			"two threads that could be meant, and are not alike",
			stackOf("w", 1, 1, stop+"f") + stackOf("one", 8, 2, mutex+"g"+kthread) + stackOf("two", 9, 2, mutex+"h"+kthread) +
				showing + heldBy("w/1", aaaa+"f") + heldBy("one/8", aaaa+"g") + heldBy("two/9", aaaa+"h") + shown,
			"one/8: w/1 holds, two/9: w/1 holds",
		}, {
			"two threads that are alike",
			stackOf("w", 1, 1, stop+"f") + stackOf("t/0", 8, 2, mutex+"g"+kthread) + stackOf("t/1", 9, 2, mutex+"g"+kthread) +
				showing + heldBy("w/1", aaaa+"f") + heldBy("t/0/8", aaaa+"g") + heldBy("t/1/9", aaaa+"g") + shown,
			"t/0/8: w/1 holds, t/1/9: w/1 holds, w/1: t/0 inferred, w/1: t/1 inferred",
		}, {
			"an older list, and an older stack, don't count",
			stackOf("w", 1, 1, mutex+"f") + showing + heldBy("w/1", bbbb+"f", aaaa+"f") + heldBy("holder/2", aaaa+"h") + shown +
				stackOf("v", 3, 1, mutex+"f") + showing + heldBy("w/1", bbbb+"f") + heldBy("v/3", bbbb+"f") + shown,
			"v/3: w/1 holds",
		}, {
			"who sleeps in a read-side section keeps the grace period from ending",
			stackOf("w", 1, 1, "__schedule schedule schedule_timeout __wait_for_common synchronize_rcu f") + stackOf("r", 2, 1, mutex+"g") +
				showing + heldBy("r/2", "ffffffff82f5e2a0 rcu_read_lock g", aaaa+"g") + shown,
			"w/1: r/2 holds read",
		}, {
			"the hotplug thread has cpu_hotplug_lock only lent",
			stackOf("w", 1, 1, writes+"cpus_write_lock f") + stackOf("cpuhp/1", 2, 2, mutex+"g"+kthread) +
				showing + heldBy("w/1", "ffffffff82c4a6f0 cpu_hotplug_lock f") + heldBy("cpuhp/1/2", "ffffffff82c4a6f0 cpu_hotplug_lock cpuhp_thread_fun", aaaa+"g") +
				heldBy("sh/3", "ffffffff82c4a6f0 cpu_hotplug_lock _cpu_down") + shown,
			"w/1: sh/3 holds write",
		}, {
			"of two writers of a percpu_rwsem, the one that waits for readers keeps the others out",
			stackOf("r", 1, 1, reads+"f") + stackOf("front", 2, 1, writes+"g") + stackOf("behind", 3, 1, "__schedule schedule percpu_rwsem_wait percpu_down_write h") +
				showing + heldBy("r/1", aaaa+"f") + heldBy("front/2", aaaa+"g") + heldBy("behind/3", aaaa+"h") + heldBy("old/4", aaaa+"i") + shown,
			"behind/3: front/2 queued write, front/2: old/4 holds read, r/1: front/2 queued write",
		}, {
			"whether the one holder of an rwsem reads isn't known; the reader waits for it in either case",
			stackOf("r", 1, 1, "__schedule schedule rwsem_down_read_slowpath down_read f") + stackOf("w", 2, 1, "__schedule schedule rwsem_down_write_slowpath down_write g") +
				showing + heldBy("r/1", aaaa+"f") + heldBy("w/2", aaaa+"g") + heldBy("old/3", aaaa+"h") + shown,
			"r/1: old/3 holds, r/1: w/2 queued write, w/2: old/3 holds",
		}, {
			"a list that was cut off doesn't replace a complete one",
			stackOf("w", 1, 1, mutex+"f") + showing + heldBy("w/1", aaaa+"f") + heldBy("holder/2", aaaa+"h") + shown + showing + "1 lock held by w/1:\n",
			"w/1: holder/2 holds",
		},
	} {
		var got []string
		for _, w := range read(tt.text).Waits {
			for _, b := range w.By {
				by := b.Task
				if i := strings.LastIndexByte(by, '/'); b.Why == Runs || b.Why == Inferred && strings.Count(by, "/") > 1 {
					by = by[:i]
				}
				got = append(got, strings.TrimSpace(fmt.Sprintf("%s: %s %s %s", w.Task, by, b.Why, b.Mode)))
			}
		}
		if s := strings.Join(got, ", "); s != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, s, tt.want)
		}
	}
}

// TestTornApart: printk's continuations lose their line when others print too,
// and two tasks list all locks at the same time.
func TestTornApart(t *testing.T) {
	r := NewReader()
	for _, l := range strings.Split(`1task:w               state:D
2`+`Showing all locks held in the system:
1 stack:13208 pid:1     tgid:1     ppid:2      flags:0x00004000
22 locks held by w/1:
1Call Trace:
1 __schedule+0x1/0x2
3task:w               state:D stack:13208 pid:1     tgid:1     ppid:2      flags:0x00004000
1 __mutex_lock+0x1/0x2
3 __schedule+0x1/0x2
3 __mutex_lock+0x1/0x2
3 f+0x1/0x2
1 f+0x1/0x2
1Showing all locks held in the system:
12 locks held by w/1:
2 #0: ffff888000000010 (a){+.+.}-{3:3}, at: f+0x1/0x2
1 #0: 
1ffff888000000010 (a){+.+.}-{3:3}, at: f+0x1/0x2
2 #1: ffff888000000020
2 (
2b
2#7
2){+.+.}-{3:3}
2, at: f+0x1/0x2
21 lock held by h/2:
2 #0: ffff888000000020 (b){+.+.}-{3:3}, at: g+0x1/0x2
2=============================================
1 #1: ffff888000000020 (b){+.+.}-{3:3}, at: f+0x1/0x2`, "\n") {
		r.Line(l[:1], l[1:])
	}
	g := r.Graph()
	want := []Wait{{
		Task: "w/1", Object: Object{Mutex, "b", ""}, Site: "f", Kthread: true, By: []Block{{"h/2", Holds, ""}},
		Holds: []Object{{Kind: Lock, Name: "a"}}, Stack: []string{"__schedule", "__mutex_lock", "f"},
	}}
	if diff := cmp.Diff(want, g.Waits); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestMachines: the same stack as other machines and older kernels print it.
func TestMachines(t *testing.T) {
	for _, text := range []string{
		"task:x               state:D stack:0     pid:80    tgid:80    ppid:2      flags:0x00000000\nCall Trace:\n[c000000006a29b00] [c000000006a29b50] 0xc000000006a29b50 (unreliable)\n" +
			"[c000000006a29cb0] [c0000000000179f4] __switch_to+0x2e4/0x340\n[c000000006a29d30] [c0000000004c1cc4] __schedule+0x6ac/0x768\n" +
			"[c000000006a29e50] [c0000000004c3110] __mutex_lock+0x254/0x48c\n[c000000006a29f60] [c0080000003303c0] f+0x44/0x70 [m]\n---- interrupt: 3000 at 0x7fff9a2f4c38\n",
		"x               D13208    80      2 0x80004000\nCall Trace:\n [<ffffffff8100095a>] __schedule+0x5aa/0x1da0\n [<ffffffff81006e74>] __mutex_lock+0xf4/0x1430\n [<ffffffff81006e80>] f+0xf4/0x1430\n",
		"task:x               state:D stack:    0 pid:   80 ppid:     2 flags:0x00000001\nCall trace:\n __switch_to+0xe0/0x120\n __schedule+0x1/0x2\n __mutex_lock+0x1/0x2\n f+0x1/0x2\n",
		"task:x               state:D stack:0     pid:80    tgid:80    ppid:2      task_flags:0x208040 flags:0x00000000\nCall trace:\n __schedule from schedule+0x50/0xd8\n schedule from __mutex_lock+0x1/0x2\n __mutex_lock from f+0x1/0x2\n f from kthread+0x1/0x2\n",
	} {
		g := read(text)
		if len(g.Waits) != 1 || g.Waits[0].Task != "x/80" || g.Waits[0].Object.Kind != Mutex || g.Waits[0].Site != "f" || !g.Waits[0].Kthread {
			t.Errorf("%s\n%+v", text, g.Waits)
		}
	}
}

// TestBounded: what an input can make a Reader keep has limits.
func TestBounded(t *testing.T) {
	r := NewReader()
	frames := strings.Split(strings.TrimSpace(stackOf("x", 1, 1, mutex+strings.Repeat("f ", 2*maxFrames))), "\n")
	locks := heldBy("x/1", slices.Repeat([]string{"ffff888000000010 a f"}, 2*maxLocks)...)
	size := 0
	line := func(source, l string) { r.Line(source, l); size += len(l) }
	for pid := 1; size < 10<<20; pid++ {
		source := fmt.Sprint("T", pid)
		line(source, fmt.Sprintf("task:x               state:D stack:0 pid:%d tgid:1 ppid:1 flags:0x0", pid))
		for _, f := range frames[1:] {
			line(source, f)
		}
		line(source, fmt.Sprintf("96 locks held by x/%d:", pid))
		for l := range strings.Lines(locks) {
			line(source, strings.TrimSpace(l))
		}
		line(source, fmt.Sprintf("INFO: task x:%d is blocked on a mutex likely owned by task y:1.", pid))
		line(source, fmt.Sprintf("in-flight: %d:f BAR(%d), pending: g, BAR(%d)", pid, pid+1, pid+2))
	}
	if len(r.tasks) > maxTasks || len(r.sources) > maxSources || len(r.owners) > maxTasks || len(r.barriers)+len(r.flushed) > maxTasks {
		t.Errorf("%d tasks, %d sources, %d owners, %d barriers are kept", len(r.tasks), len(r.sources), len(r.owners), len(r.barriers))
	}
	for _, task := range r.tasks {
		if len(task.stack) > maxFrames || len(task.locks) > maxLocks {
			t.Fatalf("%d frames, %d locks of one task are kept", len(task.stack), len(task.locks))
		}
	}
	g := r.Graph()
	if len(g.Waits) > maxWaits {
		t.Errorf("%d waits", len(g.Waits))
	}
	for task, part := range g.Parts() {
		if len(part.Waits) > maxPart {
			t.Fatalf("%s: a part of %d waits", task, len(part.Waits))
		}
	}
}

// TestManySources: a list that is going on when there are too many sources to
// remember counts as far as it came.
func TestManySources(t *testing.T) {
	r := NewReader()
	feed := func(source, text string) {
		for line := range strings.Lines(text) {
			r.Line(source, strings.TrimSuffix(line, "\n"))
		}
	}
	feed("T1", stackOf("x", 7, 1, mutex+"f")+heldBy("x/7", "ffff888000000010 &x->a f"))
	feed("T2", stackOf("y", 8, 1, flush+"g")+heldBy("y/8", "ffff888000000010 &x->a h"))
	for i := range maxSources {
		feed(fmt.Sprint("C", i), "hello\n")
	}
	w := r.Graph().Waits[0]
	if w.Task != "x/7" || len(w.By) != 1 || w.By[0].Task != "y/8" {
		t.Errorf("%+v", w)
	}
}

// TestSettledByAddress: what the waiters for one lock tell of its holder's mode
// doesn't depend on the order in which keys of a map come.
func TestSettledByAddress(t *testing.T) {
	text := stackOf("writer", 7, 1, writes+"cpus_write_lock f") + heldBy("writer/7", "ffff888000000010 cpu_hotplug_lock cpus_write_lock") +
		stackOf("reader", 8, 1, "__schedule schedule __percpu_down_read cpus_read_lock g") +
		stackOf("holder", 9, 1, flush+"h") + heldBy("holder/9", "ffff888000000010 cpu_hotplug_lock h")
	for range 50 {
		for _, w := range read(text).Waits {
			if w.Task == "holder/9" && (len(w.Holds) != 1 || w.Holds[0].Mode != Read) {
				t.Fatalf("the holder, for whom a writer waits alone at the front, holds %+v", w.Holds)
			}
		}
	}
}

// TestCutOff: no beginning of a dump makes the Reader panic, and none shows a
// wait that the whole doesn't.
func TestCutOff(t *testing.T) {
	text := stackOf("w", 1, 1, mutex+"f") + stackOf("v", 2, 1, mutex+"g") + showing + heldBy("w/1", "ffff888000000010 a f", "ffff888000000020 b f") +
		heldBy("v/2", "ffff888000000020 b g", "ffff888000000010 a g") + shown
	whole := read(text)
	if len(whole.Cycle) != 2 {
		t.Fatalf("no cycle: %+v", whole)
	}
	for n := range text {
		g := read(text[:n])
		for _, w := range g.Waits {
			if !slices.ContainsFunc(whole.Waits, func(o Wait) bool { return o.Task == w.Task }) && n > 0 {
				t.Errorf("%d bytes: %s waits", n, w.Task)
			}
		}
		if n < strings.Index(text, showing) && len(g.Cycle) > 0 {
			t.Errorf("%d bytes: a cycle that nothing proves", n)
		}
		_, _ = g.Signature(), g.Sentence()
	}
}

func FuzzReader(f *testing.F) {
	f.Add(stackOf("w", 1, 2, mutex+"f") + showing + heldBy("w/1", "ffff888000000010 a f") + shown)
	f.Add("INFO: task w:1 is blocked on a mutex likely owned by task v:2.\n    in-flight: 8:other, 9:g BAR(1)\n")
	f.Fuzz(func(_ *testing.T, text string) {
		g := read(text)
		for _, part := range g.Parts() {
			_, _ = part.Signature(), part.Sentence()
		}
	})
}

func BenchmarkReader(b *testing.B) {
	text := stackOf("w", 1, 1, mutex+"f g h i j k l m n o p q r s t") + showing + heldBy("w/1", "ffff888000000010 a f", "ffff888000000020 b f") + shown
	lines := strings.Split(strings.TrimSpace(text), "\n")
	b.SetBytes(int64(len(text)))
	r := NewReader()
	for b.Loop() {
		for _, l := range lines {
			r.Line("", l)
		}
	}
}
