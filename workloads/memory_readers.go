// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

var readerOptions = map[string]int64{
	"kpageflags": 1, // 0 leaves /proc/kpageflags out
	"window":     4096,
}

// MemoryReaders reads what the kernel says about memory.
var MemoryReaders = agent.Workloads.Register(&agent.Workload{
	Name: "memory-readers",
	Doc: "reads /proc/zoneinfo, pagetypeinfo, buddyinfo, windows of /proc/kpageflags, and the attributes of memory blocks and nodes: " +
		"kn->active of blocks that are being removed, walks over zones and struct pages that come and go; " +
		"options kpageflags (0 leaves it out), window (its pages per round)",
	Touches: []string{
		"fs/proc/page.c", "mm/vmstat.c:zoneinfo_show", "mm/vmstat.c:pagetypeinfo_show", "mm/vmstat.c:frag_show", "drivers/base/memory.c:valid_zones_show",
		"drivers/base/memory.c:state_show", "drivers/base/memory.c:removable_show", "drivers/base/node.c:node_read_meminfo", "fs/kernfs/",
	},
	Options: readerOptions,
	Run:     memoryReaders{tree: guest}.run,
})

type memoryReaders struct{ tree sysfs.Tree }

var (
	readerFiles     = []string{"proc/zoneinfo", "proc/pagetypeinfo", "proc/buddyinfo"}
	blockAttributes = []string{"state", "online", "removable", "valid_zones"}
)

func (r memoryReaders) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	window := int(max(p.Option("window", readerOptions["window"]), 1))
	flags := p.Option("kpageflags", readerOptions["kpageflags"]) != 0
	l := loop{params: p, meter: m, threads: 2, refuses: []unix.Errno{unix.ENOENT, unix.ENODEV, unix.EINVAL, unix.ENOMEM, unix.EINTR, unix.EIO}}
	return l.run(ctx, func(int) (round, error) {
		buffer := make([]byte, window*flagBytes)
		return func(_ context.Context, rng *rand.Rand) error {
			switch n := rng.IntN(8); {
			case n < 4:
				return r.readBlock(rng)
			case n == 4:
				return r.readNode(rng)
			case n == 5 && flags:
				return r.readFlags(buffer, rng)
			default:
				return r.read(readerFiles[rng.IntN(len(readerFiles))])
			}
		}, nil
	})
}

func (r memoryReaders) read(elements ...string) error {
	f, err := os.Open(r.tree.Path(elements...))
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(io.Discard, f)
	return err
}

func (r memoryReaders) readBlock(rng *rand.Rand) error {
	id, err := r.block(rng)
	if err != nil {
		return err
	}
	attribute := blockAttributes[rng.IntN(len(blockAttributes))]
	return r.read("sys/devices/system/memory", fmt.Sprintf("memory%d", id), attribute)
}

// block draws one of the blocks that exist now; ENOENT without memory hotplug.
func (r memoryReaders) block(rng *rand.Rand) (uint64, error) {
	ids, err := r.tree.BlockIDs()
	if err != nil {
		return 0, err
	}
	return pick(rng, ids)
}

func (r memoryReaders) readNode(rng *rand.Rand) error {
	node, err := pickNode(r.tree, "online", rng)
	if err != nil {
		return err
	}
	return r.read("sys/devices/system/node", fmt.Sprintf("node%d", node), "meminfo")
}

// flagBytes is the size of a page's entry in /proc/kpageflags.
const flagBytes = 8

// readFlags reads a window inside a random memory block, so that it also meets
// the blocks that are being removed.
func (r memoryReaders) readFlags(buffer []byte, rng *rand.Rand) error {
	id, err := r.block(rng)
	if err != nil {
		return err
	}
	pages := r.tree.BlockBytes() / uint64(os.Getpagesize())
	if pages == 0 {
		return errors.New("the size of memory blocks is unknown")
	}
	f, err := os.Open(r.tree.Path("proc/kpageflags"))
	if err != nil {
		return err
	}
	defer f.Close()
	page := id*pages + rng.Uint64N(pages)
	_, err = f.ReadAt(buffer, int64(page*flagBytes))
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return err
}
