// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"encoding/json"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/books"
	"plugstorm/harness/history"
	"plugstorm/harness/qmp"
	"plugstorm/harness/vm"
)

const (
	bookSamples = 20                     // at most: what all of them complain of does not pass
	bookPause   = 200 * time.Millisecond // between samples, for what changes to change; stretched
)

// recordBooks writes down what a guest says of its memory, CPUs and nodes when
// nobody changes them any more, and what QEMU has plugged. As with the zones, a
// guest that can't say it has no such event, and one that seems wrong is asked
// again: what was under way when the storm ended may go on for a while.
func (g *guest) recordBooks(ctx context.Context) {
	report := books.Report{Quiet: true, BootBytes: bootBytes(g.cfg.Machine)}
	for len(report.Samples) == 0 || len(report.Samples) < bookSamples && booksAreWrong(report) {
		if len(report.Samples) > 0 && !pause(ctx, g.vm.Deadline(bookPause)) {
			return
		}
		var sample books.Sample
		if g.vm.Agent.Call(ctx, agent.MethodBooks, nil, &sample.Guest) != nil {
			return
		}
		sample.QEMU = g.plugged(ctx)
		report.Samples = append(report.Samples, sample)
	}
	text, _ := json.Marshal(report)
	g.history.Add(history.Event{Type: history.Books, Guest: g.number, Text: string(text)})
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
