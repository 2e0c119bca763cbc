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
	reply := agent.ZonesReply{PageBytes: uint64(os.Getpagesize()), BlockBytes: a.blockBytes()}
	if reply.BlockBytes == 0 {
		return nil, errors.New("this kernel has no memory hotplug")
	}
	if p.Blocks {
		if err := a.onlineBlocks(&reply); err != nil {
			return nil, err
		}
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
func (a *guestAgent) onlineBlocks(reply *agent.ZonesReply) error {
	ids, err := a.tree.BlockIDs()
	if err != nil {
		return err
	}
	for _, id := range ids {
		b, err := a.tree.Block(id)
		if err != nil || b.State != "online" { // it may have gone
			reply.Moving = reply.Moving || err == nil && b.State != "offline"
			continue
		}
		zone, err := a.tree.BlockZones(id)
		if err != nil || zone == "none" || strings.Contains(zone, " ") {
			zone = ""
		}
		reply.Blocks = append(reply.Blocks, agent.ZoneBlock{ID: id, Node: b.Node, Zone: zone})
	}
	return nil
}
