// SPDX-License-Identifier: Apache-2.0

package zones

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"plugstorm/harness/agent"
)

// A place names a zone.
type place struct {
	node int
	zone string
}

// A zone is what /proc/zoneinfo says of one, in pages. Where it starts is known
// of populated ones only.
type zone struct {
	spanned, present, start uint64
	populated               bool
}

var zoneHeadRE = regexp.MustCompile(`^Node (\d+), zone +(\w+)$`)

// zonesMax bounds what a guest can make us remember.
const zonesMax = 4096

// parseZoneInfo reads /proc/zoneinfo (mm/vmstat.c zoneinfo_show_print).
func parseZoneInfo(text string) (map[place]zone, error) {
	zones := map[place]zone{}
	var at place
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if m := zoneHeadRE.FindStringSubmatch(line); m != nil {
			node, err := strconv.Atoi(m[1])
			if err != nil || len(zones) >= zonesMax {
				return nil, fmt.Errorf("zoneinfo: bad zone %q", line)
			}
			at = place{node, m[2]}
			zones[at] = zone{}
			continue
		}
		z, known := zones[at]
		if !known {
			continue
		}
		words := strings.Fields(line)
		if len(words) != 2 {
			continue
		}
		field := map[string]*uint64{"spanned": &z.spanned, "present": &z.present, "start_pfn:": &z.start}[words[0]]
		if field == nil {
			continue
		}
		n, err := strconv.ParseUint(words[1], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("zoneinfo: %q: %w", line, err)
		}
		*field = n
		z.populated = z.populated || words[0] == "start_pfn:"
		zones[at] = z
	}
	if len(zones) == 0 {
		return nil, fmt.Errorf("zoneinfo: no zone in %d bytes", len(text))
	}
	return zones, nil
}

// An extent is a range of pages, from first to before end.
type extent struct{ first, end uint64 }

// filled says where in an extent there is memory, and how much.
func (e extent) filled(ram []extent) (hull extent, pages uint64) {
	for _, r := range ram {
		first, end := max(r.first, e.first), min(r.end, e.end)
		if first >= end {
			continue
		}
		if pages == 0 {
			hull = extent{first, end}
		}
		hull = extent{min(hull.first, first), max(hull.end, end)}
		pages += end - first
	}
	return hull, pages
}

// ramRE matches memory at the top level: below it are only its users. Its name
// may tell the driver ("System RAM (kmem)").
var ramRE = regexp.MustCompile(`^([[:xdigit:]]+)-([[:xdigit:]]+) : System RAM\b`)

// parseRAM finds the whole pages of memory in /proc/iomem.
func parseRAM(text string, pageBytes uint64) ([]extent, error) {
	var all []extent
	for line := range strings.Lines(text) {
		m := ramRE.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		first, err1 := strconv.ParseUint(m[1], 16, 63)
		last, err2 := strconv.ParseUint(m[2], 16, 63)
		if err1 != nil || err2 != nil || last < first || len(all) >= zonesMax {
			return nil, fmt.Errorf("iomem: bad range %q", line)
		}
		all = append(all, extent{(first + pageBytes - 1) / pageBytes, (last + 1) / pageBytes})
	}
	return all, nil
}

// A mapping is device memory that our module plugstorm_pgmap has mapped.
type mapping struct {
	serial      uint64 // never used twice in a guest
	node        int
	first, last uint64 // pages
}

var mappingRE = regexp.MustCompile(`: plugstorm_pgmap #(\d+) node (\d+) pfn ([[:xdigit:]]+)-([[:xdigit:]]+)$`)

// parseMappings finds them in /proc/iomem: the module names a range so exactly
// as long as it is mapped.
func parseMappings(text string) (map[uint64]mapping, error) {
	all := map[uint64]mapping{}
	for line := range strings.Lines(text) {
		m := mappingRE.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil {
			continue
		}
		serial, err1 := strconv.ParseUint(m[1], 10, 64)
		node, err2 := strconv.Atoi(m[2])
		first, err3 := strconv.ParseUint(m[3], 16, 63)
		last, err4 := strconv.ParseUint(m[4], 16, 63)
		if err1 != nil || err2 != nil || err3 != nil || err4 != nil || last < first {
			return nil, fmt.Errorf("iomem: bad mapping %q", line)
		}
		all[serial] = mapping{serial, node, first, last}
	}
	return all, nil
}

// mappedThroughout lists the mappings that every sample has, before and after
// it looked at the zones.
func mappedThroughout(samples []agent.ZonesReply) ([]mapping, error) {
	seen := map[uint64]int{}
	var all map[uint64]mapping
	times := 0
	for _, s := range samples {
		for _, text := range []string{s.IOMemBefore, s.IOMemAfter} {
			times++
			found, err := parseMappings(text)
			if err != nil {
				return nil, err
			}
			for serial := range found {
				seen[serial]++
			}
			all = found
		}
	}
	var throughout []mapping
	for serial, m := range all {
		if seen[serial] == times {
			throughout = append(throughout, m)
		}
	}
	return throughout, nil
}
