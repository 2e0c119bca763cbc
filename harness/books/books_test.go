// SPDX-License-Identifier: Apache-2.0

package books

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/agent"
)

// golden reads a report of a real guest.
func golden(t *testing.T, name string) Report {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Read(text)
	if err != nil || !r.Quiet || len(r.Samples) == 0 || r.Samples[0].QEMU == nil {
		t.Fatalf("%s shows nothing: %v", name, err)
	}
	return r
}

// identities checks a report, and that its complaints say something.
func identities(t *testing.T, r Report) []string {
	t.Helper()
	complaints, err := Check(r)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, c := range complaints {
		all = append(all, c.Identity())
		if c.Title() == "" || c.Text == "" || strings.Contains(c.Text, "%!") {
			t.Errorf("says too little: %+v", c)
		}
	}
	return all
}

// TestRealGuests: unmodified kernels have nothing to complain of, planted ones
// have what was planted.
func TestRealGuests(t *testing.T) {
	for name, want := range map[string][]string{
		"x86_64-smoke":   nil,
		"x86_64-no-dimm": nil,
		"pseries-smoke":  nil,
		"x86_64-b19":     {"books: ram-has-blocks"},
		"x86_64-b15":     {"books: lost-links: nodeN/cpuN"},
	} {
		if diff := cmp.Diff(want, identities(t, golden(t, name))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 3 {
		t.Errorf("%q, %v", files, err)
	}
}

// dir finds a directory of a sample.
func dir(s *Sample, path string) *agent.BooksDir {
	for i := range s.Guest.Dirs {
		if s.Guest.Dirs[i].Path == path {
			return &s.Guest.Dirs[i]
		}
	}
	panic("no " + path) // a mistake in a test
}

func drop(names *[]string, name string) {
	*names = slices.DeleteFunc(slices.Clone(*names), func(n string) bool { return n == name })
}

// forget takes a directory and all links to it out of a sample.
func forget(s *Sample, path string) {
	s.Guest.Dirs = slices.DeleteFunc(s.Guest.Dirs, func(d agent.BooksDir) bool { return d.Path == path })
	for i := range s.Guest.Dirs {
		drop(&s.Guest.Dirs[i].Links, filepath.Base(path))
	}
}

// spoils are ways to spoil what a healthy pseries guest said, each with the
// complaint that it makes. It has memory 0-3 on node 0 and a DIMM, memory5, on
// node 1; of eight CPUs four are there and online.
var spoils = []struct {
	want    string // identity without "books: "
	spoil   func(*Sample)
	missing bool // only what a kernel may do without is lost
}{
	{want: "ram-has-blocks", spoil: func(s *Sample) { s.Guest.RAM += "80000000-8fffffff : System RAM\n" }},
	{want: "ram-has-blocks", spoil: func(s *Sample) { s.Guest.RAM += "  70000000-8fffffff : System RAM (kmem)\n" }},
	{want: "blocks-have-ram", spoil: func(s *Sample) {
		s.Guest.RAM = strings.ReplaceAll(s.Guest.RAM, "50000000-5fffffff : System RAM\n", "")
	}},
	{want: "blocks-plugged", spoil: func(s *Sample) { s.QEMU.Memory = nil }},
	{want: "blocks-bound", spoil: func(s *Sample) { acpi(s).Links = nil; dir(s, "devices/system/memory/memory5").Firmware = "" }},
	{want: "blocks-bound: after failed allocations", spoil: func(s *Sample) {
		acpi(s).Links = nil
		dir(s, "devices/system/memory/memory5").Firmware = ""
		s.Guest.Faulted = true
	}},
	{want: "blocks-plugged", spoil: func(s *Sample) { s.QEMU.Memory[0].Start += s.QEMU.Memory[0].Size }},
	{want: "cpus-plugged", spoil: func(s *Sample) { s.QEMU.VCPUs-- }},
	{want: "cpu-masks: present", spoil: func(s *Sample) { s.Guest.Lists["cpu/possible"] = "0-2"; onlyX86(s) }},
	{want: "cpu-masks: online", spoil: func(s *Sample) { s.Guest.Lists["cpu/present"], s.Guest.OFCPUs = "0-2", nil }},
	{want: "cpu-devices: none", spoil: func(s *Sample) { onlyX86(s); forget(s, "devices/system/cpu/cpu3") }},
	{want: "cpu-devices: left", spoil: func(s *Sample) { s.Guest.Lists["cpu/possible"] = "0-63" }},
	{want: "cpu-lists: /proc/stat", spoil: func(s *Sample) { s.Guest.CPUStat = []int{0, 1} }},
	{want: "cpu-lists: /proc/cpuinfo", spoil: func(s *Sample) { s.Guest.CPUInfo = append(s.Guest.CPUInfo, 4) }},
	{want: "cpu-topology", spoil: func(s *Sample) { dir(s, "devices/system/cpu/cpu2").Groups = nil }},
	{want: "node-devices: device left", spoil: func(s *Sample) { s.Guest.Lists["node/online"] = "0"; emptyNode1(s) }},
	{want: "node-devices: no device", spoil: func(s *Sample) { s.Guest.Lists["node/online"] = "0-2" }},
	{want: "node-devices: has_cpu", spoil: func(s *Sample) { s.Guest.Lists["node/has_cpu"] = "0,5" }},
	{want: "node-memory: has_memory", spoil: func(s *Sample) {
		emptyNode1(s)
		s.Guest.Lists["node/has_memory"], s.Guest.Lists["tier/memory_tier4"] = "0-1", "0-1"
		s.Guest.Threads["kswapd1"], s.Guest.Threads["kcompactd1"] = 1, 1
	}},
	{want: "node-memory: has_normal_memory", spoil: func(s *Sample) { s.Guest.Lists["node/has_normal_memory"] = "0-1" }},
	{want: "node-cpus: cpulist", spoil: func(s *Sample) { s.Guest.Lists["node/node0/cpulist"] = "0-2" }},
	{want: "node-cpus: cpulist", spoil: func(s *Sample) { s.Guest.Lists["node/node1/cpulist"] = "3"; s.Guest.Lists["node/has_cpu"] = "0-1" }},
	{want: "node-cpus: has_cpu", spoil: func(s *Sample) { s.Guest.Lists["node/has_cpu"] = "" }},
	{want: "lost-links: nodeN/cpuN", spoil: func(s *Sample) { dir(s, "devices/system/node/node0").Lost = []string{"cpu9"} }},
	{want: "lost-links: devices/memoryN", spoil: func(s *Sample) { dir(s, "bus/memory/devices").Lost = []string{"memory9"} }},
	{want: "node-links: from a memory", missing: true, spoil: func(s *Sample) { drop(&dir(s, "devices/system/node/node1").Links, "memory5") }},
	{want: "node-links: to a cpu", missing: true, spoil: func(s *Sample) { dir(s, "devices/system/cpu/cpu1").Links = nil }},
	{want: "node-links: no node", missing: true, spoil: func(s *Sample) {
		dir(s, "devices/system/memory/memory5").Links = nil
		drop(&dir(s, "devices/system/node/node1").Links, "memory5")
	}},
	{want: "bus-devices: memory lost", spoil: func(s *Sample) { drop(&dir(s, "bus/memory/devices").Links, "memory5") }},
	{want: "bus-devices: node left", spoil: func(s *Sample) {
		bus := dir(s, "bus/node/devices")
		bus.Links = append(slices.Clone(bus.Links), "node7")
	}},
	{want: "node-threads: kswapd left", spoil: func(s *Sample) { emptyNode1(s); s.Guest.Threads["kswapd1"] = 1 }},
	{want: "node-threads: kcompactd twice", spoil: func(s *Sample) { s.Guest.Threads["kcompactd0"] = 2 }},
	{want: "node-threads: kcompactd lost", missing: true, spoil: func(s *Sample) { delete(s.Guest.Threads, "kcompactd1") }},
	{want: "cpu-threads: migration/ lost", spoil: func(s *Sample) { delete(s.Guest.Threads, "migration/3") }},
	{want: "cpu-threads: cpuhp/ twice", spoil: func(s *Sample) { s.Guest.Threads["cpuhp/2"] = 2 }},
	{want: "node-tiers: left", spoil: func(s *Sample) { emptyNode1(s); s.Guest.Lists["tier/memory_tier4"] = "0-1" }},
	{want: "node-tiers: twice", spoil: func(s *Sample) { s.Guest.Lists["tier/memory_tier9"] = "1" }},
	{want: "node-tiers: lost", missing: true, spoil: func(s *Sample) { s.Guest.Lists["tier/memory_tier4"] = "0" }},
	{want: "mem-total", spoil: func(s *Sample) { s.Guest.MemTotal = "MemTotal:        1265344 kB\n" }},
	{want: "lmb-blocks: assigned", spoil: func(s *Sample) { setLMB(s, 6, agent.LMBAssigned, 1) }},
	{want: "lmb-blocks: not assigned", spoil: func(s *Sample) { setLMB(s, 5, 0, agent.NoAssoc) }},
	{want: "lmb-nodes: left", spoil: func(s *Sample) { setLMB(s, 6, 0, 1) }},
	{want: "lmb-nodes: lost", spoil: func(s *Sample) { setLMB(s, 5, agent.LMBAssigned, agent.NoAssoc) }},
	{want: "of-cpus", spoil: func(s *Sample) { s.Guest.OFCPUs = append(slices.Clone(s.Guest.OFCPUs), 4) }},
	{want: "firmware-links: from a memoryN", missing: true, spoil: func(s *Sample) { acpi(s).Links = nil }},
	{want: "firmware-links: to a memoryN", missing: true, spoil: func(s *Sample) { acpi(s); dir(s, "devices/system/memory/memory5").Firmware = "" }},
	{want: "lost-links: PNPNCN:N/physical_nodeN", spoil: func(s *Sample) { acpi(s).Lost = []string{"physical_node1"} }},
	{want: "slab-caches", spoil: func(s *Sample) { s.Guest.Caches = []string{"plugstorm_0_17"} }},
}

// setLMB changes the logical memory block of a memory block, taken out of its set.
func setLMB(s *Sample, id uint64, flags, assoc uint32) {
	l := s.Guest.LMBs
	for i, set := range l.Sets {
		n := uint32((id*l.Bytes - set.Start) / l.Bytes)
		if id*l.Bytes < set.Start || n >= set.Count {
			continue
		}
		before, one, after := set, set, set
		before.Count, one.Count, after.Count = n, 1, set.Count-n-1
		one.Flags, one.Assoc = flags, assoc
		one.Start, one.DRC = set.Start+uint64(n)*l.Bytes, set.DRC+n
		after.Start, after.DRC = one.Start+l.Bytes, one.DRC+1
		l.Sets = slices.Replace(l.Sets, i, i+1, before, one, after)
		return
	}
	panic("no such block") // a mistake in a test
}

// acpi gives memory5 an ACPI device, as x86 has it.
func acpi(s *Sample) *agent.BooksDir {
	const name = "PNP0C80:00"
	dir(s, "devices/system/memory/memory5").Firmware = name
	s.Guest.ACPI = []agent.BooksDir{{Path: "bus/acpi/devices/" + name, Links: []string{"memory5"}}}
	return &s.Guest.ACPI[0]
}

// onlyX86 leaves the devices of CPUs that are present only, as x86 does.
func onlyX86(s *Sample) {
	for _, cpu := range []string{"cpu4", "cpu5", "cpu6", "cpu7"} {
		forget(s, "devices/system/cpu/"+cpu)
	}
}

// emptyNode1 takes node 1's memory offline.
func emptyNode1(s *Sample) {
	zones, _, _ := strings.Cut(s.Guest.Zones, "Node 1")
	s.Guest.Zones = zones + "Node 1, zone  Movable\n        present  0\n        managed  0\n"
	s.Guest.Lists["node/has_memory"], s.Guest.Lists["tier/memory_tier4"] = "0", "0"
	s.Guest.MemTotal = "MemTotal:        1003136 kB\n"
	delete(s.Guest.Threads, "kswapd1")
	delete(s.Guest.Threads, "kcompactd1")
}

// TestInvariants: each is broken by one thing and complains of that alone.
func TestInvariants(t *testing.T) {
	broken := map[string]bool{}
	for _, tt := range spoils {
		t.Run(tt.want, func(t *testing.T) {
			r := golden(t, "pseries-smoke")
			tt.spoil(&r.Samples[0])
			if diff := cmp.Diff([]string{"books: " + tt.want}, identities(t, r)); diff != "" {
				t.Error(diff)
			}
			r.Samples[0].Guest.Faulted = true
			if got := identities(t, r); (len(got) == 0) != tt.missing {
				t.Errorf("with failed allocations: %q", got)
			}
		})
		name, _, _ := strings.Cut(tt.want, ":")
		broken[name] = true
	}
	if diff := cmp.Diff(Invariants.Names(), slices.Sorted(maps.Keys(broken))); diff != "" {
		t.Errorf("not all can fail: %s", diff)
	}
	for _, i := range Invariants.All() {
		if i.Title == "" || !strings.Contains(i.Source, ".c ") {
			t.Errorf("%s: says not where it is from", i.Name)
		}
	}
}

// TestEmptyNode: what emptyNode1 makes is healthy, and so is a DIMM that the
// guest did not take.
func TestEmptyNode(t *testing.T) {
	r := golden(t, "pseries-smoke")
	emptyNode1(&r.Samples[0])
	r.Samples[0].QEMU.Memory = append(r.Samples[0].QEMU.Memory, Range{4 << 30, 1 << 28})
	if got := identities(t, r); got != nil {
		t.Errorf("%q", got)
	}
}

// TestUnquiet: while something changes nothing is judged, and what passes is
// none.
func TestUnquiet(t *testing.T) {
	for name, change := range map[string]func(*Report){
		"not quiet":         func(r *Report) { r.Quiet = false },
		"a block is moving": func(r *Report) { r.Samples[0].Guest.Moving = true },
		"a workload runs":   func(r *Report) { r.Samples[0].Guest.Workloads = 1 },
		"a passing moment":  func(r *Report) { r.Samples = append(r.Samples, golden(t, "pseries-smoke").Samples...) },
		"another one's turn": func(r *Report) {
			next := golden(t, "pseries-smoke")
			dir(&next.Samples[0], "devices/system/node/node0").Lost = []string{"cpu8"}
			r.Samples = append(r.Samples, next.Samples...)
		},
	} {
		r := golden(t, "pseries-smoke")
		dir(&r.Samples[0], "devices/system/node/node0").Lost = []string{"cpu9"}
		if got := identities(t, r); len(got) != 1 {
			t.Fatalf("%q", got)
		}
		if change(&r); len(identities(t, r)) != 0 {
			t.Errorf("%s: there are complaints", name)
		}
	}
}

// TestUnknown: what nobody said proves nothing.
func TestUnknown(t *testing.T) {
	r := golden(t, "pseries-smoke")
	s := &r.Samples[0]
	s.Guest.Dirs = slices.DeleteFunc(s.Guest.Dirs, func(d agent.BooksDir) bool { return strings.HasPrefix(d.Path, "bus/") })
	s.QEMU, s.Guest.Lists, s.Guest.Threads, s.Guest.MemTotal, s.Guest.CPUStat = nil, nil, nil, "", nil
	if got := identities(t, r); got != nil {
		t.Errorf("%q", got)
	}
	if got, err := Check(Report{Quiet: true}); err == nil {
		t.Errorf("no sample: %+v", got)
	}
}

// TestBadTexts: what a guest says may be anything.
func TestBadTexts(t *testing.T) {
	for name, spoil := range map[string]func(*Sample){
		"no zone":        func(s *Sample) { s.Guest.Zones = "hello" },
		"a huge zone":    func(s *Sample) { s.Guest.Zones += "        present  99999999999999999999\n" },
		"a bad range":    func(s *Sample) { s.Guest.RAM = "9-8 : System RAM\n" },
		"a bad list":     func(s *Sample) { s.Guest.Lists["cpu/online"] = "0-x" },
		"a backward one": func(s *Sample) { s.Guest.Lists["cpu/online"] = "3-1" },
		"an endless one": func(s *Sample) { s.Guest.Lists["cpu/online"] = "0-999999999" },
	} {
		r := golden(t, "pseries-smoke")
		spoil(&r.Samples[0])
		if got, err := Check(r); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	r := golden(t, "pseries-smoke")
	s := &r.Samples[0].Guest
	s.RAM = "0-7ffffffffffffffe : System RAM\n" // more blocks than there can be
	s.Dirs = append(s.Dirs, agent.BooksDir{Path: "devices/system/cpu/../../cpu99999999999"}, agent.BooksDir{})
	got, err := Check(r)
	if err != nil || len(got) != 1 || strings.Count(got[0].Text, "\n") != casesMax {
		t.Errorf("%+v, %v", got, err)
	}
}
