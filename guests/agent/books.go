// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
)

// Bounds of what is sent: some ten times what our guests have.
const (
	booksDirsMax  = 2048
	booksLinksMax = 4096
	booksTextMax  = 64 << 10
)

var (
	deviceRE = regexp.MustCompile(`^(node|memory|cpu)\d{1,9}$`)
	threadRE = regexp.MustCompile(`^((kswapd|kcompactd)\d{1,9}|(cpuhp|ksoftirqd|migration)/\d{1,9})$`)
)

// booksLines are the lines that are sent of files that have many more.
var (
	ramLineRE  = regexp.MustCompile(` : System RAM\b`)
	zoneLineRE = regexp.MustCompile(`^Node |^ +(present|managed) `)
	totalRE    = regexp.MustCompile(`^MemTotal:`)
)

// books reads what the kernel says of its memory, CPUs, nodes and threads.
func (a *guestAgent) books() (any, error) {
	reply := agent.BooksReply{
		PageBytes: uint64(os.Getpagesize()), BlockBytes: a.blockBytes(),
		Faulted: a.faulted.Load(), Workloads: a.work.running(),
	}
	if reply.BlockBytes == 0 {
		return nil, errors.New("this kernel has no memory hotplug")
	}
	for _, part := range []func(*agent.BooksReply) error{a.bookTexts, a.bookDirs, a.bookLists, a.bookThreads, a.bookCPUs, a.bookCaches, a.bookACPI, a.bookLMBs, a.bookOFCPUs, a.bookMoving} {
		if err := part(&reply); err != nil {
			return nil, err
		}
	}
	return reply, nil
}

func (a *guestAgent) bookTexts(reply *agent.BooksReply) error {
	for _, read := range []struct {
		file string
		keep *regexp.Regexp
		into *string
	}{{"proc/iomem", ramLineRE, &reply.RAM}, {"proc/zoneinfo", zoneLineRE, &reply.Zones}, {"proc/meminfo", totalRE, &reply.MemTotal}} {
		text, err := a.tree.Text(read.file)
		if err != nil {
			return err
		}
		var kept strings.Builder
		for line := range strings.Lines(text) {
			if read.keep.MatchString(line) {
				kept.WriteString(line)
			}
		}
		if kept.Len() > booksTextMax {
			return errors.New(read.file + " is too long")
		}
		*read.into = kept.String()
	}
	return nil
}

// bookDirs looks at the devices of all three kinds, and at their buses. What
// goes away meanwhile isn't there.
func (a *guestAgent) bookDirs(reply *agent.BooksReply) error {
	left := booksLinksMax
	for _, kind := range []string{"cpu", "memory", "node"} {
		system := path.Join("devices/system", kind)
		entries, err := os.ReadDir(a.tree.Path("sys", system))
		if errors.Is(err, fs.ErrNotExist) {
			continue // this kernel has no such devices
		}
		if err != nil {
			return err
		}
		dirs := []string{path.Join("bus", kind, "devices")}
		for _, e := range entries {
			if e.IsDir() && deviceRE.MatchString(e.Name()) {
				dirs = append(dirs, path.Join(system, e.Name()))
			}
		}
		for _, dir := range dirs {
			d, err := a.bookDir(dir)
			if gone(err) {
				continue
			}
			if err != nil {
				return err
			}
			left -= len(d.Links) + len(d.Lost)
			if left < 0 || len(reply.Dirs) >= booksDirsMax {
				return errors.New("sysfs has too many devices")
			}
			reply.Dirs = append(reply.Dirs, d)
		}
	}
	return nil
}

// gone reports whether a file of sysfs isn't there, or went away while it was
// read (fs/kernfs/file.c kernfs_seq_start).
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) }

// bookDir looks at the links of one directory.
func (a *guestAgent) bookDir(dir string) (agent.BooksDir, error) {
	d := agent.BooksDir{Path: dir}
	entries, err := os.ReadDir(a.tree.Path("sys", dir))
	if err != nil {
		return d, err
	}
	for _, e := range entries {
		name := e.Name()
		switch {
		case e.IsDir() && name == "topology":
			d.Groups = append(d.Groups, name)
		case e.Type()&fs.ModeSymlink == 0:
		case a.leadsNowhere(dir, name):
			d.Lost = append(d.Lost, name)
		case deviceRE.MatchString(name):
			d.Links = append(d.Links, name)
		case name == "firmware_node":
			d.Firmware = a.leadsTo(dir, name)
		case physicalRE.MatchString(name):
			if to := a.leadsTo(dir, name); deviceRE.MatchString(to) {
				d.Links = append(d.Links, to)
			}
		}
	}
	return d, nil
}

// leadsNowhere reports whether a link is there and what it names is not.
func (a *guestAgent) leadsNowhere(dir, name string) bool {
	full := a.tree.Path("sys", dir, name)
	if _, err := os.Stat(full); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	_, err := os.Lstat(full)
	return err == nil
}

// leadsTo is the name of what a link leads to, "" if it is gone.
func (a *guestAgent) leadsTo(dir, name string) string {
	to, err := os.Readlink(a.tree.Path("sys", dir, name))
	if err != nil {
		return ""
	}
	return path.Base(to)
}

// bookLists reads the masks of CPUs and nodes. One that this kernel lacks isn't
// in the reply.
func (a *guestAgent) bookLists(reply *agent.BooksReply) error {
	names := []string{
		"cpu/possible", "cpu/present", "cpu/online",
		"node/possible", "node/online", "node/has_memory", "node/has_normal_memory", "node/has_cpu",
	}
	for _, d := range reply.Dirs {
		if node, ok := strings.CutPrefix(d.Path, "devices/system/node/"); ok {
			names = append(names, path.Join("node", node, "cpulist"))
		}
	}
	reply.Lists = map[string]string{}
	for _, name := range names {
		text, err := a.tree.Text("sys/devices/system", name)
		if gone(err) {
			continue
		}
		if err != nil {
			return err
		}
		reply.Lists[name] = text
	}
	return a.bookTiers(reply)
}

const tierDir = "sys/devices/virtual/memory_tiering"

var tierRE = regexp.MustCompile(`^memory_tier\d{1,9}$`)

// bookTiers reads which nodes are in which memory tier, where a kernel has them.
func (a *guestAgent) bookTiers(reply *agent.BooksReply) error {
	tiers, err := os.ReadDir(a.tree.Path(tierDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, tier := range tiers {
		if !tierRE.MatchString(tier.Name()) {
			continue
		}
		if text, err := a.tree.Text(tierDir, tier.Name(), "nodelist"); err == nil { // it may have gone
			reply.Lists[path.Join("tier", tier.Name())] = text
		}
	}
	return nil
}

// bookThreads counts kernel threads (children of kthreadd) that belong to a
// node or a CPU.
func (a *guestAgent) bookThreads(reply *agent.BooksReply) error {
	processes, err := a.numbers("proc")
	if err != nil {
		return err
	}
	reply.Threads = map[string]int{}
	for _, pid := range processes {
		stat, err := a.tree.Text("proc", strconv.Itoa(pid), "stat")
		if err != nil {
			continue // it has ended
		}
		name, rest := splitStat(stat)
		if len(rest) > 1 && rest[1] == "2" && threadRE.MatchString(name) {
			reply.Threads[name]++
		}
	}
	return nil
}

var (
	statCPURE = regexp.MustCompile(`(?m)^cpu(\d{1,9}) `)
	infoCPURE = regexp.MustCompile(`(?m)^processor\s*: (\d{1,9})$`)
)

// bookCPUs reads which CPUs the kernel lists one by one.
func (a *guestAgent) bookCPUs(reply *agent.BooksReply) error {
	for _, read := range []struct {
		file string
		each *regexp.Regexp
		into *[]int
	}{{"proc/stat", statCPURE, &reply.CPUStat}, {"proc/cpuinfo", infoCPURE, &reply.CPUInfo}} {
		text, err := a.tree.Text(read.file)
		if err != nil {
			return err
		}
		for _, m := range read.each.FindAllStringSubmatch(text, booksDirsMax) {
			cpu, err := strconv.Atoi(m[1])
			if err != nil {
				return err
			}
			*read.into = append(*read.into, cpu)
		}
	}
	return nil
}

// slabModule makes caches whose names begin with slabPrefix
// (workloads/kmod/plugstorm_slab.c).
const (
	slabModule = "plugstorm_slab"
	slabPrefix = "plugstorm_"
)

// bookCaches looks for caches that our module has left behind. Links are
// aliases, which stay by design until the name is used again (mm/slub.c
// sysfs_slab_alias).
func (a *guestAgent) bookCaches(reply *agent.BooksReply) error {
	if _, err := os.Stat(a.tree.Path("sys/module", slabModule)); err == nil {
		return nil
	}
	caches, err := os.ReadDir(a.tree.Path("sys/kernel/slab"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, c := range caches {
		if c.IsDir() && strings.HasPrefix(c.Name(), slabPrefix) && len(reply.Caches) < booksDirsMax {
			reply.Caches = append(reply.Caches, c.Name())
		}
	}
	return nil
}

// bookMoving looks for blocks that are on their way.
func (a *guestAgent) bookMoving(reply *agent.BooksReply) error {
	ids, err := a.tree.BlockIDs()
	reply.Moving = slices.ContainsFunc(ids, func(id uint64) bool {
		b, err := a.tree.Block(id)
		return err == nil && b.State != "online" && b.State != "offline"
	})
	return err
}
