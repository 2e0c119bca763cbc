// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"strings"

	"plugstorm/harness/agent"
)

// zoneTextMax bounds each of the texts: thirty times what our guests have.
const zoneTextMax = 512 << 10

// zones reads the kernel's books of memory, the zones between two looks at the
// resources.
func (a *guestAgent) zones(p agent.ZonesParams) (any, error) {
	reply := agent.ZonesReply{PageBytes: uint64(os.Getpagesize()), BlockBytes: a.tree.BlockBytes()}
	if reply.BlockBytes == 0 {
		return nil, errors.New("this kernel has no memory hotplug")
	}
	if p.Blocks {
		blocks, err := a.onlineBlocks()
		if err != nil {
			return nil, err
		}
		reply.Blocks = blocks
	}
	for _, read := range []struct {
		file string
		into *string
	}{{"proc/iomem", &reply.IOMemBefore}, {"proc/zoneinfo", &reply.ZoneInfo}, {"proc/iomem", &reply.IOMemAfter}} {
		text, err := a.tree.Text(read.file)
		if err != nil {
			return nil, err
		}
		if len(text) > zoneTextMax {
			return nil, errors.New(read.file + " is too long")
		}
		*read.into = text
	}
	return reply, nil
}

// onlineBlocks lists the memory blocks that are online with the zone that each
// is in: of a block that is online, valid_zones names this one.
func (a *guestAgent) onlineBlocks() ([]agent.ZoneBlock, error) {
	ids, err := a.tree.BlockIDs()
	if err != nil {
		return nil, err
	}
	blocks := []agent.ZoneBlock{}
	for _, id := range ids {
		b, err := a.tree.Block(id)
		if err != nil || b.State != "online" { // it went away
			continue
		}
		zone, err := a.tree.BlockZones(id)
		if err != nil || zone == "none" || strings.Contains(zone, " ") {
			zone = ""
		}
		blocks = append(blocks, agent.ZoneBlock{ID: id, Node: b.Node, Zone: zone})
	}
	return blocks, nil
}
