// SPDX-License-Identifier: Apache-2.0

// Package zones holds what a kernel says of its zones against the memory that
// is in them: a zone spans all of it, and counts it. Nothing in the kernel
// checks that, although the buddy allocator relies on it. It is pure: the
// guest's texts in, complaints out.
package zones

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"plugstorm/harness/agent"
)

// A Report is what a guest said, several times in a row: only what every
// sample shows is true of the kernel and not of a moment between two of its
// writes.
type Report struct {
	// Quiet says that nobody changed memory meanwhile. Otherwise only device
	// memory is judged that was mapped all the time.
	Quiet   bool               `json:"quiet"`
	Samples []agent.ZonesReply `json:"samples"`
}

// Read reads a report as a history holds it.
func Read(text []byte) (Report, error) {
	var r Report
	err := json.Unmarshal(text, &r)
	return r, err
}

// A Complaint is something about a zone that can't be.
type Complaint struct {
	Kind string // "span" or "present"
	Zone string // its name, "Movable"
	Text string // for people, with numbers
}

// Title says what is wrong, without numbers.
func (c Complaint) Title() string {
	if c.Kind == kindPresent {
		return fmt.Sprintf("zone %s does not count the memory that is in it", c.Zone)
	}
	return fmt.Sprintf("zone %s does not span memory that is in it", c.Zone)
}

// Identity is the same for every sighting of one bug.
func (c Complaint) Identity() string { return "zones: " + c.Kind + ": " + c.Zone }

const (
	kindSpan    = "span"
	kindPresent = "present"
)

// deviceZone is where device memory is (mm/page_alloc.c zone_names).
const deviceZone = "Device"

// movableZone never has boot memory on a machine of ours, so that every page in
// it is a page of a memory block.
const movableZone = "Movable"

// pick keys a complaint that samples may share: the numbers in its text differ.
type pick struct {
	kind, zone string
	node       int
}

// Check lists what all samples of a report complain of, once for each zone of
// each node. A text that can't be read is an error.
func Check(r Report) ([]Complaint, error) {
	if len(r.Samples) == 0 {
		return nil, errors.New("no sample of the zones")
	}
	mapped, err := mappedThroughout(r.Samples)
	if err != nil {
		return nil, err
	}
	var shared map[pick]Complaint
	for _, s := range r.Samples {
		found, err := check(s, r.Quiet, mapped)
		if err != nil {
			return nil, err
		}
		if shared == nil {
			shared = found
			continue
		}
		for key := range shared {
			if _, again := found[key]; !again {
				delete(shared, key)
			}
		}
	}
	var all []Complaint
	for _, c := range shared {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Complaint) int { return strings.Compare(a.Identity()+a.Text, b.Identity()+b.Text) })
	return all, nil
}

// check judges one sample.
func check(s agent.ZonesReply, quiet bool, mapped []mapping) (map[pick]Complaint, error) {
	zones, err := parseZoneInfo(s.ZoneInfo)
	if err != nil {
		return nil, err
	}
	found := map[pick]Complaint{}
	add := func(kind, name string, node int, format string, args ...any) {
		key := pick{kind, name, node}
		if _, twice := found[key]; !twice {
			found[key] = Complaint{Kind: kind, Zone: name, Text: fmt.Sprintf("node %d: ", node) + fmt.Sprintf(format, args...)}
		}
	}
	checkDevices(zones, mapped, add)
	if quiet && !s.Moving && s.PageBytes != 0 && s.BlockBytes >= s.PageBytes {
		ram, err := parseRAM(s.IOMemBefore, s.PageBytes)
		if err != nil {
			return nil, err
		}
		checkBlocks(zones, ram, s, add)
	}
	return found, nil
}

type complain func(kind, name string, node int, format string, args ...any)

// checkDevices holds the span of zone Device against what is mapped. The kernel
// doesn't print where an unpopulated zone begins, and that zone never counts as
// populated (mm/vmstat.c zoneinfo_show_print), so only the length can be judged.
func checkDevices(zones map[place]zone, mapped []mapping, add complain) {
	hulls := map[int]mapping{}
	for _, m := range mapped {
		h, there := hulls[m.node]
		if !there {
			h = m
		}
		h.first, h.last = min(h.first, m.first), max(h.last, m.last)
		hulls[m.node] = h
	}
	for node, h := range hulls {
		z, there := zones[place{node, deviceZone}]
		if pages := h.last - h.first + 1; !there || z.spanned < pages {
			add(kindSpan, deviceZone, node, "device memory is mapped from page %#x to %#x, %d pages, and the zone spans %d", h.first, h.last, pages, z.spanned)
		}
	}
}

// checkBlocks holds spans and counts against the memory blocks that are online,
// as far as there is memory in them: boot memory has holes.
func checkBlocks(zones map[place]zone, ram []extent, s agent.ZonesReply, add complain) {
	pages := s.BlockBytes / s.PageBytes
	counted := map[int]uint64{}
	for _, b := range s.Blocks {
		block := extent{b.ID * pages, (b.ID + 1) * pages}
		hull, count := block.filled(ram)
		if b.Node < 0 || b.Zone == "" || count == 0 { // in no zone, or in several
			continue
		}
		if b.Zone == movableZone {
			counted[b.Node] += count
		}
		z, there := zones[place{b.Node, b.Zone}]
		if !there || !z.populated || hull.first < z.start || hull.end > z.start+z.spanned {
			add(kindSpan, b.Zone, b.Node, "block %d is online and has pages %#x to %#x, and the zone spans %#x to %#x",
				b.ID, hull.first, hull.end-1, z.start, z.start+z.spanned)
		}
	}
	for at, z := range zones {
		if at.zone == movableZone && z.present != counted[at.node] {
			add(kindPresent, movableZone, at.node, "the memory blocks that are online in the zone have %d pages, and it counts %d", counted[at.node], z.present)
		}
	}
}
