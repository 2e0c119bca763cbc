// SPDX-License-Identifier: Apache-2.0

package zones

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/agent"
)

// zoneInfo is what a guest with one DIMM of two blocks on node 1 says, with the
// numbers that matter left open: Movable's span, count and start, Device's span.
const zoneInfo = `Node 0, zone      DMA
  per-node stats
      nr_inactive_anon 0
  pages free     3840
        boost    0
        min      59
        low      73
        high     87
        promo    101
        spanned  4095
        present  3998
        managed  3840
        cma      0
        protection: (0, 960, 960, 960, 960)
      nr_free_pages 3840
  pagesets
    cpu: 0
              count: 0
              high:  0
              batch: 1
  node_unreclaimable:  0
  start_pfn:           1
Node 0, zone   Device
  pages free     0
        spanned  %d
        present  0
        managed  0
        cma      0
        protection: (0, 0, 0, 0, 0)
Node 1, zone  Movable
  pages free     65536
        spanned  %d
        present  %d
        managed  65536
        protection: (0, 0, 0, 0, 0)
      nr_free_pages 65536
  pagesets
    cpu: 0
              count: 0
  node_unreclaimable:  0
  start_pfn:           %d
`

const ioMem = "00001000-00f9fbff : System RAM\n  00001000-0009ffff : Kernel code\n100000000-10fffffff : System RAM\n" +
	"fff0000000-fff7ffffff : plugstorm_pgmap #7 node 0 pfn fff0000-fff00ff\n" +
	"fff8000000-ffffffffff : plugstorm_pgmap #3 node 0 pfn fff8200-fff83ff\n" +
	"ffe8000000-ffefffffff : plugstorm_pgmap\n"

func sample(device, spanned, present, start int) agent.ZonesReply {
	return agent.ZonesReply{
		PageBytes: 4096, BlockBytes: 128 << 20, IOMemBefore: ioMem, IOMemAfter: ioMem,
		ZoneInfo: fmt.Sprintf(zoneInfo, device, spanned, present, start),
		Blocks: []agent.ZoneBlock{
			{ID: 0, Node: 0, Zone: "DMA"}, {ID: 32, Node: 1, Zone: "Movable"}, {ID: 33, Node: 1, Zone: "Movable"},
		},
	}
}

const (
	block = 32768
	hull  = 0x8400
	first = 32 * block
)

func TestCheck(t *testing.T) {
	good := sample(hull, 2*block, 2*block, first)
	moving := sample(hull, 2*block, 3*block, first)
	moving.Moving = true
	unmapped := good
	unmapped.IOMemAfter = strings.ReplaceAll(ioMem, "#7", "#8")
	for _, tt := range []struct {
		name    string
		loud    bool
		samples []agent.ZonesReply
		want    []string // identities
	}{
		{name: "as it should be", samples: []agent.ZonesReply{good, good}},
		{name: "a hole at the end of boot memory", samples: []agent.ZonesReply{good}},
		{name: "spans more", samples: []agent.ZonesReply{sample(1<<20, 4*block, 2*block, first-block)}},
		{name: "ends too early", samples: []agent.ZonesReply{sample(hull, block, 2*block, first)}, want: []string{"zones: span: Movable"}},
		{name: "starts too late", samples: []agent.ZonesReply{sample(hull, 4*block, 2*block, first+block)}, want: []string{"zones: span: Movable"}},
		{name: "counts too few", samples: []agent.ZonesReply{sample(hull, 2*block, block, first)}, want: []string{"zones: present: Movable"}},
		{name: "counts too many", samples: []agent.ZonesReply{sample(hull, 2*block, 3*block, first)}, want: []string{"zones: present: Movable"}},
		{name: "counts too many, and a block is on its way", samples: []agent.ZonesReply{moving}},
		{name: "device memory left out", samples: []agent.ZonesReply{sample(hull-1, 2*block, 2*block, first)}, want: []string{"zones: span: Device"}},
		{name: "device memory left out, and not quiet", loud: true, samples: []agent.ZonesReply{sample(0, block, block, first)}, want: []string{"zones: span: Device"}},
		{name: "device memory that isn't mapped all the time", samples: []agent.ZonesReply{unmapped}},
		{name: "a passing moment", samples: []agent.ZonesReply{sample(0, block, block, first), good}},
		{name: "different ones", samples: []agent.ZonesReply{sample(0, 2*block, 2*block, first), sample(hull, block, 2*block, first)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Check(Report{Quiet: !tt.loud, Samples: tt.samples})
			if err != nil {
				t.Fatal(err)
			}
			var identities []string
			for _, c := range got {
				identities = append(identities, c.Identity())
				if c.Title() == "" || !strings.HasPrefix(c.Text, "node ") {
					t.Errorf("says too little: %+v", c)
				}
			}
			if diff := cmp.Diff(tt.want, identities); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestBadTexts: what a guest says may be anything.
func TestBadTexts(t *testing.T) {
	good := sample(hull, 2*block, 2*block, first)
	spoil := func(change func(*agent.ZonesReply)) Report {
		s := good
		change(&s)
		return Report{Quiet: true, Samples: []agent.ZonesReply{s}}
	}
	for name, r := range map[string]Report{
		"no sample": {Quiet: true},
		"no zone":   spoil(func(s *agent.ZonesReply) { s.ZoneInfo = "hello" }),
		"a bad number": spoil(func(s *agent.ZonesReply) {
			s.ZoneInfo = strings.Replace(s.ZoneInfo, "present  3998", "present  -3998", 1)
		}),
		"a huge node":    spoil(func(s *agent.ZonesReply) { s.ZoneInfo = "Node 99999999999999999999, zone Normal\n" }),
		"a bad range":    spoil(func(s *agent.ZonesReply) { s.IOMemBefore = "9-8 : System RAM\n" }),
		"a reverse span": spoil(func(s *agent.ZonesReply) { s.IOMemBefore = "0-1 : plugstorm_pgmap #1 node 0 pfn 9-8\n" }),
	} {
		if got, err := Check(r); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	// Sizes of zero say nothing of any block.
	if got, err := Check(spoil(func(s *agent.ZonesReply) { s.PageBytes = 0 })); err != nil || len(got) != 0 {
		t.Errorf("without a page size: %+v, %v", got, err)
	}
}

// TestRealGuests: reports of unmodified kernels, both page sizes.
func TestRealGuests(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 4 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Read(data)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		got, err := Check(r)
		if err != nil || len(got) != 0 {
			t.Errorf("%s: %+v, %v", file, got, err)
		}
		if mapped, _ := mappedThroughout(r.Samples); !r.Quiet && len(mapped) == 0 {
			t.Errorf("%s: nothing is mapped, so it shows nothing", file)
		}
	}
}
