// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"encoding/json"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/books"
	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/qmp"
	"plugstorm/harness/vm"
)

const (
	bookSettle  = 4 * time.Second        // what all samples complain of for so long does not pass; stretched
	bookLeast   = 5                      // samples at least, for that
	bookSamples = 20                     // samples at most
	bookPause   = 200 * time.Millisecond // between two samples, for what changes to change; stretched
)

// recordBooks writes down what a guest says of its memory, CPUs and nodes when
// nobody changes them any more, and what QEMU has plugged. As with the zones, a
// guest that can't say it has no such event, and one that seems wrong is asked
// again: what was under way when the storm ended may go on for a while.
func (g *guest) recordBooks(ctx context.Context) {
	report := books.Report{Quiet: true, BootBytes: bootBytes(g.cfg.Machine)}
	began, wrong := time.Now(), true
	for wrong {
		sample, err := g.bookSample(ctx)
		if err != nil {
			break
		}
		report.Samples = append(report.Samples, sample)
		wrong = booksAreWrong(report)
		n := len(report.Samples)
		if n >= bookSamples || n >= bookLeast && time.Since(began) >= g.vm.Deadline(bookSettle) || wrong && !op.Pause(ctx, g.vm.Deadline(bookPause)) {
			break
		}
	}
	if wrong && len(report.Samples) < bookLeast {
		return // cut off: nothing is proved
	}
	text, _ := json.Marshal(report)
	g.history.Add(history.Event{Type: history.Books, Guest: g.number, Text: string(text)})
}

// bookSample asks the guest, and then QEMU.
func (g *guest) bookSample(ctx context.Context) (books.Sample, error) {
	var s books.Sample
	if err := g.vm.Agent.Call(ctx, agent.MethodBooks, nil, &s.Guest); err != nil {
		return s, err
	}
	// Where calls of any function fail, the kernel may do without what they were to
	// make, as it does where allocations fail.
	s.Guest.Faulted = s.Guest.Faulted || g.ownFired.Load()
	s.QEMU = g.plugged(ctx)
	return s, nil
}

// oneSplit is the least memory that a machine of ours boots with in more than
// one piece (QEMU hw/i386/pc_q35.c pc_q35_init).
const oneSplit = 2 << 30

// bootBytes is where a machine's boot memory ends, 0 if it need not be in one piece.
func bootBytes(m *vm.Machine) uint64 {
	if size := uint64(m.MemMiB) << 20; size < oneSplit {
		return size
	}
	return 0
}

func booksAreWrong(r books.Report) bool {
	complaints, err := books.Check(r)
	return err == nil && len(complaints) > 0
}

// plugged asks QEMU what it has; nil if it doesn't say.
func (g *guest) plugged(ctx context.Context) *books.Plugged {
	ctx, cancel := context.WithTimeout(ctx, qmpLimit)
	defer cancel()
	devices, err := qmp.QueryMemoryDevices(ctx, g.vm.Monitor)
	if err != nil {
		return nil
	}
	slots, err := qmp.QueryHotpluggableCPUs(ctx, g.vm.Monitor)
	if err != nil {
		return nil
	}
	p := &books.Plugged{Memory: []books.Range{}}
	for _, d := range devices {
		p.Memory = append(p.Memory, books.Range{Start: d.Data.Addr, Size: d.Data.Size})
	}
	for _, s := range slots {
		if s.QOMPath != "" {
			p.VCPUs += s.VCPUs
		}
	}
	return p
}
