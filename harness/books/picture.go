// SPDX-License-Identifier: Apache-2.0

package books

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"plugstorm/harness/agent"
)

// A picture is one sample, read.
type picture struct {
	sample    Sample
	bootBytes uint64

	ram     []Range
	nodes   map[int]nodeMemory // what zones say
	blocks  map[int]agent.BooksDir
	cpus    map[int]agent.BooksDir
	nodeDir map[int]agent.BooksDir
	buses   map[string]agent.BooksDir // "cpu", "memory", "node"
	lists   map[string][]int
}

// nodeMemory is what the zones of a node count, in pages.
type nodeMemory struct {
	present, normal uint64 // normal: in zones that the kernel itself can allocate from
	managed         uint64
}

// most bounds what a guest can make us remember.
const most = 1 << 16

func newPicture(s Sample, bootBytes uint64) (*picture, error) {
	p := &picture{
		sample: s, bootBytes: bootBytes,
		blocks: map[int]agent.BooksDir{}, cpus: map[int]agent.BooksDir{}, nodeDir: map[int]agent.BooksDir{},
		buses: map[string]agent.BooksDir{}, lists: map[string][]int{},
	}
	var err error
	if p.ram, err = parseRAM(s.Guest.RAM); err != nil {
		return nil, err
	}
	if p.nodes, err = parseZones(s.Guest.Zones); err != nil {
		return nil, err
	}
	for name, text := range s.Guest.Lists {
		if p.lists[name], err = parseList(text); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, d := range s.Guest.Dirs {
		p.place(d)
	}
	return p, nil
}

// place files a directory under what it is of.
func (p *picture) place(d agent.BooksDir) {
	if kind, ok := strings.CutPrefix(d.Path, "bus/"); ok {
		p.buses[path.Dir(kind)] = d
		return
	}
	kind, number, ok := deviceName(path.Base(d.Path))
	if into := map[string]map[int]agent.BooksDir{"cpu": p.cpus, "memory": p.blocks, "node": p.nodeDir}[kind]; ok {
		into[number] = d
	}
}

// still reports whether the guest itself knows of nobody who changes anything.
func (p *picture) still() bool { return !p.sample.Guest.Moving && p.sample.Guest.Workloads == 0 }

// complete reports whether what the kernel creates is there for certain.
// Many a link or thread whose creation failed for want of memory is done
// without (drivers/base/node.c do_register_memory_block_under_node,
// mm/vmscan.c kswapd_run).
func (p *picture) complete() bool { return !p.sample.Guest.Faulted }

// list returns a mask and whether this kernel has it.
func (p *picture) list(name string) ([]int, bool) {
	all, ok := p.lists[name]
	return all, ok
}

var deviceRE = regexp.MustCompile(`^(node|memory|cpu)(\d{1,9})$`)

// deviceName takes a device's name apart.
func deviceName(name string) (kind string, number int, ok bool) {
	m := deviceRE.FindStringSubmatch(name)
	if m == nil {
		return "", 0, false
	}
	number, err := strconv.Atoi(m[2])
	return m[1], number, err == nil
}

// links lists the devices of a kind that a directory has links to.
func links(d agent.BooksDir, kind string) []int {
	var all []int
	for _, name := range d.Links {
		if k, number, ok := deviceName(name); ok && k == kind {
			all = append(all, number)
		}
	}
	return all
}

var ramRE = regexp.MustCompile(`^ *([[:xdigit:]]+)-([[:xdigit:]]+) : System RAM\b`)

// parseRAM reads memory's lines of /proc/iomem.
func parseRAM(text string) ([]Range, error) {
	var all []Range
	for line := range strings.Lines(text) {
		m := ramRE.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		first, err1 := strconv.ParseUint(m[1], 16, 63)
		last, err2 := strconv.ParseUint(m[2], 16, 63)
		if err1 != nil || err2 != nil || last < first || len(all) >= most {
			return nil, fmt.Errorf("iomem: bad range %q", line)
		}
		all = append(all, Range{first, last - first + 1})
	}
	return all, nil
}

var (
	zoneHeadRE = regexp.MustCompile(`^Node (\d{1,9}), zone +(\w+)$`)
	zoneLineRE = regexp.MustCompile(`^ +(present|managed) +(\d+)$`)
)

// parseZones adds up the zones of each node (mm/vmstat.c zoneinfo_show_print).
func parseZones(text string) (map[int]nodeMemory, error) {
	nodes, node, zone := map[int]nodeMemory{}, -1, ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if m := zoneHeadRE.FindStringSubmatch(line); m != nil {
			node, _ = strconv.Atoi(m[1])
			zone = m[2]
			if _, seen := nodes[node]; !seen { // a node without memory is one, too
				nodes[node] = nodeMemory{}
			}
			continue
		}
		m := zoneLineRE.FindStringSubmatch(line)
		if m == nil || node < 0 {
			continue
		}
		pages, err := strconv.ParseUint(m[2], 10, 63)
		if err != nil || len(nodes) > most {
			return nil, fmt.Errorf("zoneinfo: bad line %q", line)
		}
		n := nodes[node]
		switch {
		case m[1] == "managed":
			n.managed += pages
		case zone == "Movable" || zone == "Device":
			n.present += pages
		default:
			n.present += pages
			n.normal += pages
		}
		nodes[node] = n
	}
	if len(nodes) == 0 {
		return nil, fmt.Errorf("zoneinfo: no zone in %d bytes", len(text))
	}
	return nodes, nil
}

// parseList reads a mask as the kernel prints it: "0-3,7".
func parseList(text string) ([]int, error) {
	all := []int{}
	if text = strings.TrimSpace(text); text == "" {
		return all, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err1 := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil || first < 0 || last < first || last-first > most || len(all) > most {
			return nil, fmt.Errorf("bad list %q", text)
		}
		for i := first; i <= last; i++ {
			all = append(all, i)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// missing lists what is in all and not in from.
func missing(all, from []int) []int {
	return slices.DeleteFunc(slices.Clone(all), func(i int) bool { return slices.Contains(from, i) })
}
