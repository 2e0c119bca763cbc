// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// A counter is a meter for tests. stop, if set, is called at the n-th count.
type counter struct {
	done, refused atomic.Int64
	n             int64
	stop          func()
}

func (c *counter) count(n *atomic.Int64) {
	if n.Add(1) >= c.n && c.stop != nil {
		c.stop()
	}
}

func (c *counter) Done()         { c.count(&c.done) }
func (c *counter) Refused(error) { c.count(&c.refused) }

// runFor runs a workload until it has counted n rounds or refusals.
func runFor(t *testing.T, n int64, p agent.Params, run func(context.Context, agent.Params, agent.Meter) error) (*counter, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := &counter{n: n, stop: cancel}
	err := run(ctx, p, c)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Fatalf("counted %d and %d in 20 s", c.done.Load(), c.refused.Load())
	}
	return c, err
}

func writeFile(t *testing.T, tree sysfs.Tree, path, text string) {
	t.Helper()
	full := tree.Path(path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// TestCatalog insists on what a user and the image builder rely on.
func TestCatalog(t *testing.T) {
	if len(agent.Workloads.All()) < 12 {
		t.Errorf("only %q are registered", agent.Workloads.Names())
	}
	for _, w := range agent.Workloads.All() {
		if len(w.Doc) < 60 || w.Run == nil {
			t.Errorf("%s: a Doc that says what it hammers, and a Run", w.Name)
		}
		for option := range w.Options {
			if !strings.Contains(w.Doc, option) {
				t.Errorf("%s: the Doc doesn't mention option %s", w.Name, option)
			}
		}
		for _, module := range w.Modules {
			if _, err := fs.Stat(Modules, module+".c"); err != nil {
				t.Errorf("%s: needs module %s: %v", w.Name, module, err)
			}
		}
	}
}

// TestModuleSources insists on the license, on names that LoadModule takes, and
// on the parameters that a moduleStorm passes and reads.
func TestModuleSources(t *testing.T) {
	var sources []string
	for _, pattern := range []string{"*.[ch]", "*/*.[ch]"} {
		found, err := fs.Glob(Modules, pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("no sources %s: %v", pattern, err)
		}
		sources = append(sources, found...)
	}
	licenses := map[string]string{".c": "// SPDX-License-Identifier: GPL-2.0-only\n", ".h": "/* SPDX-License-Identifier: GPL-2.0-only */\n"}
	storms := map[string]moduleStorm{
		"plugstorm_slab":   {"plugstorm_slab", slabOptions},
		"plugstorm_percpu": {"plugstorm_percpu", percpuOptions},
		pressureModule:     {pressureModule, pressureOptions},
		"plugstorm_pgmap":  {"plugstorm_pgmap", pgmapOptions},
	}
	for _, name := range sources {
		text, err := fs.ReadFile(Modules, name)
		if err != nil {
			t.Fatal(err)
		}
		ext := path.Ext(name)
		module, _, _ := strings.Cut(strings.TrimSuffix(name, ext), "/")
		if !strings.HasPrefix(string(text), licenses[ext]) || !moduleName(module) || !strings.HasPrefix(module, "plugstorm_") {
			t.Errorf("%s: bad name or license line", name)
		}
		s, ok := storms[module]
		if !ok {
			continue
		}
		takes := map[string]bool{}
		for _, m := range regexp.MustCompile(`module_param(?:_cb)?\((\w+),`).FindAllStringSubmatch(string(text), -1) {
			takes[m[1]] = true
		}
		for word := range strings.FieldsSeq(s.params(agent.Params{Threads: 3}) + " rounds= failures=") {
			if param, _, _ := strings.Cut(word, "="); !takes[param] {
				t.Errorf("%s has no parameter %s", name, param)
			}
		}
	}
}

func TestLoopCountsAndEnds(t *testing.T) {
	var n atomic.Int64
	broken := errors.New("broken")
	c := &counter{}
	l := loop{params: agent.Params{Threads: 1}, meter: c, refuses: []unix.Errno{unix.EBUSY}}
	err := l.run(context.Background(), same(func(context.Context, *rand.Rand) error {
		switch n.Add(1) {
		case 1, 2:
			return nil
		case 3:
			return &fs.PathError{Op: "write", Path: "x", Err: unix.EBUSY}
		case 4:
			return errors.Join(unix.EBUSY, unix.EBUSY)
		case 5:
			return errIdle
		default:
			return errors.Join(unix.EBUSY, broken)
		}
	}))
	if !errors.Is(err, broken) || c.done.Load() != 2 || c.refused.Load() != 2 {
		t.Errorf("done %d, refused %d, %v", c.done.Load(), c.refused.Load(), err)
	}
}

func TestLoopKeepsItsRate(t *testing.T) {
	start := time.Now()
	_, err := runFor(t, 10, agent.Params{Rate: 50}, func(ctx context.Context, p agent.Params, m agent.Meter) error {
		return loop{params: p, meter: m, threads: 1}.run(ctx, same(func(context.Context, *rand.Rand) error { return nil }))
	})
	if took := time.Since(start); err != nil || took < 180*time.Millisecond {
		t.Errorf("10 rounds at 50 a second took %v, %v", took, err)
	}
}

func TestLoopIsSeeded(t *testing.T) {
	draw := func(seed int64) (drawn []uint64) {
		_, err := runFor(t, 5, agent.Params{Seed: seed, Threads: 1}, func(ctx context.Context, p agent.Params, m agent.Meter) error {
			return loop{params: p, meter: m}.run(ctx, same(func(_ context.Context, rng *rand.Rand) error {
				drawn = append(drawn, rng.Uint64())
				return nil
			}))
		})
		if err != nil {
			t.Error(err)
		}
		return drawn
	}
	a, b, c := draw(1), draw(1), draw(2)
	if a[0] != b[0] || a[4] != b[4] || a[0] == c[0] {
		t.Errorf("seed 1: %v and %v, seed 2: %v", a, b, c)
	}
}

func TestBlockToggleKeepsToItsNode(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	for block, node := range map[string]string{"memory1": "node0", "memory32": "node1"} {
		writeFile(t, tree, "sys/devices/system/memory/"+block+"/state", "untouched")
		writeFile(t, tree, "sys/devices/system/memory/"+block+"/"+node+"/x", "")
	}
	b := blockToggle{tree: tree, attribute: "state", off: []string{"offline"}, on: []string{"online_movable"}}
	c, err := runFor(t, 3, agent.Params{}, b.run)
	if err != nil || c.done.Load() != 3 {
		t.Errorf("done %d, %v", c.done.Load(), err)
	}
	for block, want := range map[string]string{"memory1": "untouched", "memory32": "online_movable"} {
		if got, err := tree.Text("sys/devices/system/memory", block, "state"); err != nil || !strings.HasPrefix(got, want) {
			t.Errorf("%s holds %q, %v; want %q", block, got, err, want)
		}
	}
}

// TestToggleBringsBack: a stop while a block goes offline leaves it online.
func TestToggleBringsBack(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	writeFile(t, tree, "sys/devices/system/memory/memory7/online", "")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	b := blockToggle{tree: tree, attribute: "online"}
	_ = b.toggle(ctx, 7, "0", "1") // the first half may fail or not
	if got, err := tree.Text("sys/devices/system/memory/memory7/online"); err != nil || got != "1" {
		t.Errorf("the block was left at %q, %v", got, err)
	}
}

func TestCPUToggleKeepsToItsRange(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	writeFile(t, tree, "sys/devices/system/cpu/present", "0-3\n")
	for _, cpu := range []string{"cpu0", "cpu1", "cpu2", "cpu3"} {
		writeFile(t, tree, "sys/devices/system/cpu/"+cpu+"/online", "u")
	}
	p := agent.Params{Options: map[string]int64{"first": 2, "last": 2}}
	if c, err := runFor(t, 2, p, cpuToggle{tree: tree}.run); err != nil || c.done.Load() != 2 {
		t.Errorf("done %d, %v", c.done.Load(), err)
	}
	for cpu, want := range map[string]string{"cpu0": "u", "cpu1": "u", "cpu2": "1", "cpu3": "u"} {
		if got, err := tree.Text("sys/devices/system/cpu", cpu, "online"); err != nil || got != want {
			t.Errorf("%s holds %q, %v; want %q", cpu, got, err, want)
		}
	}
}

func TestSlabSysfs(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	for _, cache := range []string{"kmalloc-8", "plugstorm_0_1"} {
		for _, attribute := range append([]string{"shrink"}, slabReads...) {
			writeFile(t, tree, "sys/kernel/slab/"+cache+"/"+attribute, "3")
		}
		writeFile(t, tree, "sys/kernel/slab/"+cache+"/cpu_partial", "30")
	}
	p := agent.Params{Options: map[string]int64{"ours": 1}}
	if c, err := runFor(t, 100, p, slabSysfs{tree: tree}.run); err != nil || c.done.Load() < 100 || c.refused.Load() != 0 {
		t.Errorf("done %d, refused %d, %v", c.done.Load(), c.refused.Load(), err)
	}
	for file, want := range map[string]string{
		"plugstorm_0_1/shrink": "1", "plugstorm_0_1/cpu_partial": "30", "kmalloc-8/shrink": "3",
	} {
		if got, err := tree.Text("sys/kernel/slab", file); err != nil || got != want {
			t.Errorf("%s holds %q, %v; want %q", file, got, err, want)
		}
	}
}

func TestReclaimNeedsSomethingToDo(t *testing.T) {
	p := agent.Params{Options: map[string]int64{"drop": 0, "compact": 0}}
	if err := (reclaim{tree: sysfs.Tree(t.TempDir())}).run(context.Background(), p, &counter{}); err == nil {
		t.Error("no error")
	}
}

func TestReclaimSilencesTheKernelFirst(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	writeFile(t, tree, "proc/sys/vm/drop_caches", "")
	writeFile(t, tree, "proc/sys/vm/compact_memory", "")
	if c, err := runFor(t, 20, agent.Params{}, reclaim{tree: tree}.run); err != nil || c.done.Load() < 20 {
		t.Errorf("done %d, %v", c.done.Load(), err)
	}
	if got, err := tree.Text("proc/sys/vm/compact_memory"); err != nil || got != "1" {
		t.Errorf("compact_memory holds %q, %v", got, err)
	}
}

func TestMemoryReaders(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	writeFile(t, tree, "sys/devices/system/memory/block_size_bytes", "10000\n")
	for _, attribute := range blockAttributes {
		writeFile(t, tree, "sys/devices/system/memory/memory1/"+attribute, "x")
	}
	for _, file := range readerFiles {
		writeFile(t, tree, file, "x")
	}
	writeFile(t, tree, "proc/kpageflags", "x")
	writeFile(t, tree, "sys/devices/system/node/online", "1\n")
	writeFile(t, tree, "sys/devices/system/node/node1/meminfo", "x")
	if c, err := runFor(t, 100, agent.Params{}, memoryReaders{tree: tree}.run); err != nil || c.refused.Load() != 0 {
		t.Errorf("refused %d, %v", c.refused.Load(), err)
	}
}

const zoneinfo = `Node 0, zone    DMA32
  per-node stats
      nr_inactive_anon 29
  pages free     250000
        boost    0
        min      1000
        low      1250
        high     1500
        spanned  262144
Node 1, zone  Movable
  pages free     0
        min      8
        low      10
        high     12
`

func TestLowPages(t *testing.T) {
	if got, err := lowPages([]byte(zoneinfo)); err != nil || got != 1260 {
		t.Errorf("got %d, %v", got, err)
	}
	for _, bad := range []string{"", "low x", "lower 3"} {
		if got, err := lowPages([]byte(bad)); err == nil {
			t.Errorf("%q: got %d", bad, got)
		}
	}
}

func TestReleaseGivesBackHalf(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for n := range 9 {
		var held [][]byte
		for range n {
			chunk, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANONYMOUS|unix.MAP_PRIVATE)
			if err != nil {
				t.Fatal(err)
			}
			touch(chunk)
			held = append(held, chunk)
		}
		kept := release(held, rng)
		if len(kept) > n/2 {
			t.Errorf("of %d chunks it keeps %d", n, len(kept))
		}
		for _, chunk := range kept {
			if chunk[0] != 1 {
				t.Error("a kept chunk has lost its page")
			}
			if err := unix.Munmap(chunk); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestCgroupChurnCleansUpAfterItself(t *testing.T) {
	base := t.TempDir()
	c := cgroupChurn{tree: sysfs.Tree(base)}
	if err := c.find(); err == nil {
		t.Error("no error without a hierarchy")
	}
	writeFile(t, c.tree, "sys/fs/cgroup/cgroup.controllers", "cpuset memory\n")
	stale := filepath.Join(base, "sys/fs/cgroup/plugstorm-9-9/in")
	if err := os.MkdirAll(stale, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := c.find(); err != nil || len(c.roots) != 1 {
		t.Errorf("roots %q, %v", c.roots, err)
	}
	if _, err := os.Stat(filepath.Dir(stale)); !os.IsNotExist(err) {
		t.Errorf("the stale cgroup is still there: %v", err)
	}
	// A plain directory has no cgroup.procs: the round fails and leaves nothing behind.
	if err := c.round(context.Background(), rand.New(rand.NewPCG(1, 1))); !errors.Is(err, unix.ENOENT) {
		t.Errorf("got %v", err)
	}
	left, err := filepath.Glob(filepath.Join(base, "sys/fs/cgroup/plugstorm-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}
