// SPDX-License-Identifier: Apache-2.0

package waitgraph

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// said makes a module's answer.
func said(lines ...string) string {
	return Header + "\n" + strings.Join(lines, "\n") + "\n"
}

// Lines of an answer. Locks are L, M and G, all known to be one instance each.
const (
	on    = "debug_locks 1"
	stopL = "wait stop thread:kcompactd# n=2 inst=(null) many=0 held=G:w:g,L:w:l name= stack=kthread_stop<kcompactd_stop<offline_pages"
	readL = "wait stop thread:kcompactd# n=2 inst=(null) many=0 held=L:r:l name= stack=kthread_stop"
	takeL = "take thread:kcompactd# key=L mode=r n=3 inst=l many=0 at=kcompactd held=- lock=mem_hotplug_lock"
	takeM = "take thread:kcompactd# key=M mode=r n=3 inst=m many=0 at=kcompactd held=- lock=rwsem"
)

var order = said("class 1 L mem_hotplug_lock", "class 2 M rwsem#3", "class 3 X mutex", "edge 2 3 f", "edge 3 1 f")

// judged finds the cycles in a record that has notes.
func judged(t *testing.T, r Record) ([]Cycle, *Notes) {
	t.Helper()
	n, o, err := r.Parse()
	if err != nil {
		t.Fatal(err)
	}
	return Find(n, o), n
}

func TestFind(t *testing.T) {
	for name, c := range map[string]struct {
		waits []string
		order string
		want  []string // identities
		text  string   // in the explanation
	}{
		"direct":                {[]string{on, stopL, takeL}, "", []string{"waitcycle: stop kcompactd#: mem_hotplug_lock"}, "kcompactd# takes mem_hotplug_lock (read) in kcompactd, seen 3 times, under nothing"},
		"somebody else takes":   {[]string{on, stopL, strings.Replace(takeL, "kcompactd#", "kswapd#", 1)}, "", nil, ""},
		"both read":             {[]string{on, readL, takeL}, "", nil, ""},
		"a writer queues":       {[]string{on, readL, takeL, "writer L held=- mem_hotplug_lock"}, "", []string{"waitcycle: stop kcompactd#: mem_hotplug_lock"}, "one party more"},
		"writer kept away":      {[]string{on, strings.Replace(readL, "held=", "held=G:w:g,", 1), takeL, "writer L held=G:w:g mem_hotplug_lock"}, "", nil, ""},
		"another instance":      {[]string{on, stopL, strings.Replace(takeL, "inst=l", "inst=k", 1)}, "", nil, ""},
		"several instances":     {[]string{on, stopL, strings.Replace(takeL, "inst=l many=0", "inst=(null) many=1", 1)}, "", []string{"waitcycle: stop kcompactd#: mem_hotplug_lock"}, "not known that they mean the same"},
		"by a trylock's leave":  {[]string{on, stopL, strings.Replace(takeL, "held=-", "held=G:wt:g", 1)}, "", nil, ""},
		"the gate may be other": {[]string{on, stopL, strings.Replace(takeL, "held=-", "held=G:wt:0", 1)}, "", []string{"waitcycle: stop kcompactd#: mem_hotplug_lock"}, ""},
		"gate only read": {
			[]string{on, strings.Replace(stopL, "G:w:g", "G:r:g", 1), strings.Replace(takeL, "held=-", "held=G:rt:g", 1)}, "",
			[]string{"waitcycle: stop kcompactd#: mem_hotplug_lock"}, "",
		},
		"no order":                  {[]string{on, stopL, takeM, "writer M held=- rwsem", "writer X held=- mutex"}, "", nil, ""},
		"by way of others":          {[]string{on, stopL, takeM, "writer M held=- rwsem", "writer X held=- mutex"}, order, []string{"waitcycle: stop kcompactd#: rwsem -> mutex -> mem_hotplug_lock"}, "Others take mutex under rwsem."},
		"others kept away":          {[]string{on, stopL, takeM, "writer M held=G:r:g rwsem", "writer X held=- mutex"}, order, nil, ""},
		"others kept away later":    {[]string{on, stopL, takeM, "writer M held=- rwsem", "writer X held=G:w:g mutex"}, order, nil, ""},
		"others only read":          {[]string{on, stopL, takeM, "writer X held=- mutex"}, strings.Replace(order, "2 3 f", "2 3 5", 1), nil, ""},
		"others read, who writes":   {[]string{on, stopL, strings.Replace(takeM, "mode=r", "mode=w", 1), "writer X held=- mutex"}, strings.Replace(order, "2 3 f", "2 3 5", 1), []string{"waitcycle: stop kcompactd#: rwsem -> mutex -> mem_hotplug_lock"}, ""},
		"too many others":           {[]string{on, stopL, takeM, "writer M held=- rwsem", "writer X held=- mutex"}, said("class 1 L mem_hotplug_lock", "class 2 M rwsem", "class 3 X mutex", "class 4 Y mutex", "class 5 Z mutex", "edge 2 3 f", "edge 3 4 f", "edge 4 5 f", "edge 5 1 f"), nil, ""},
		"tells lockdep of a lock":   {[]string{on, strings.Replace(stopL, "kcompactd#", "cpuhp/#", 1), "take thread:cpuhp/# key=L mode=w n=3 inst=l many=0 at=cpuhp_thread_fun held=- lock=cpu_hotplug_lock"}, "", nil, ""},
		"reclaim is no lock":        {[]string{on, stopL, strings.Replace(takeL, "mem_hotplug_lock", "fs_reclaim", 1)}, "", nil, ""},
		"a removed file's own lock": {[]string{on, "wait remove kernfs:K n=1 inst=1 many=0 held=L:w:l name=memory12 stack=kernfs_drain", "take kernfs:K key=L mode=r n=1 inst=l many=0 at=compact_store held=K:rt:k lock=mem_hotplug_lock"}, "", []string{"waitcycle: remove attribute memory#: mem_hotplug_lock"}, "a user of attribute memory# takes"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := NewRecord(said(c.waits...), c.order, nil)
			if err != nil {
				t.Fatal(err)
			}
			cycles, notes := judged(t, r)
			if notes.Bad != 0 {
				t.Fatalf("%d bad lines", notes.Bad)
			}
			var got []string
			for _, c := range cycles {
				got = append(got, c.Identity())
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Fatal(d)
			}
			if len(cycles) > 0 && (!strings.Contains(cycles[0].Chain(), c.text) || !strings.Contains(cycles[0].Chain(), "nothing hangs")) {
				t.Errorf("explained as %s", cycles[0].Chain())
			}
		})
	}
}

// TestRecorded: what guests said, and what it adds up to.
func TestRecorded(t *testing.T) {
	for name, want := range map[string][]string{
		"cpuset.json": {
			"waitcycle: create kthreadd: cgroup_threadgroup_rwsem -> cpuset_mutex",
			"waitcycle: stop kworker/u#:#: cgroup_threadgroup_rwsem -> cpuset_mutex -> wq_pool_mutex",
		},
	} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		r, err := Read(text)
		if err != nil {
			t.Fatal(err)
		}
		cycles, notes := judged(t, r)
		if notes.Bad != 0 || notes.Lost != 0 || !notes.DebugLocks {
			t.Fatalf("%+v", notes)
		}
		var got []string
		for _, c := range cycles {
			got = append(got, c.Identity())
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
}

// TestTrimmed: what a history leaves out changes nothing.
func TestTrimmed(t *testing.T) {
	waits := said(on, stopL, takeM, "writer M held=- rwsem", "writer X held=- mutex", "writer Y held=- other")
	full := strings.TrimSuffix(order, "\n") + "\nclass 4 Y other\nedge 1 4 f\n"
	r, err := NewRecord(waits, full, nil)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(r.Waits, "other") || strings.Contains(r.Order, "edge 1 4") {
		t.Errorf("kept %s%s", r.Waits, r.Order)
	}
	trimmed, _ := judged(t, r)
	all, _ := judged(t, Record{Waits: waits, Order: full})
	if len(trimmed) != 1 || len(all) != 1 || trimmed[0].Chain() != all[0].Chain() {
		t.Errorf("%d cycles of %d", len(trimmed), len(all))
	}
}

// TestUntrusted: what can't be read is counted, and never believed.
func TestUntrusted(t *testing.T) {
	if _, err := ParseNotes("plugstorm_waits 2\n" + on + "\n"); err == nil {
		t.Error("took another version")
	}
	for _, line := range []string{
		"wait stop", "wait sit thread:x n=1 inst=0 many=0 held=- name= stack=f", strings.Replace(stopL, "n=2", "n=-2", 1), strings.Replace(stopL, "L:w:l", "L:w", 1),
		strings.Replace(stopL, "kcompactd#", "kcomp\x1b[31mactd#", 1), strings.Replace(takeL, " lock=", " ", 1), strings.Replace(takeL, "mem_hotplug_lock", strings.Repeat("x", 500), 1),
		"debug_locks 7", "writer", "nonsense",
	} {
		n, err := ParseNotes(said(on, line))
		if err != nil || n.Bad != 1 || len(n.Takes)+len(n.Waits)+len(n.Writers) != 0 {
			t.Errorf("%q: %+v, %v", line, n, err)
		}
	}
	o, err := ParseOrder(said("class 1 L", "class 1 L a", "edge 1 9 f", "edge 1 1 zz", "edge"))
	if err != nil || len(o.Next) != 0 || len(o.Names) != 1 {
		t.Errorf("%+v, %v", o, err)
	}
	if r, err := Read([]byte(`{}`)); err != nil {
		t.Error(err)
	} else if notes, _, err := r.Parse(); notes != nil || err != nil {
		t.Errorf("an empty record: %v, %v", notes, err)
	}
}

func FuzzJudge(f *testing.F) {
	f.Add(said(on, stopL, takeL, takeM), order)
	f.Fuzz(func(t *testing.T, waits, order string) {
		r, err := NewRecord(waits, order, nil)
		if err != nil {
			return
		}
		n, o, err := r.Parse()
		if err != nil {
			t.Fatal(err)
		}
		u := NewUnion()
		u.Add("guest 1", n, o)
		cycles := append(Find(n, o), u.Cycles()...)
		if _, err := json.Marshal(cycles); err != nil {
			t.Fatal(err)
		}
		for _, c := range cycles {
			if c.Title() == "" || c.Chain() == "" {
				t.Fatal("nothing is said")
			}
		}
	})
}
