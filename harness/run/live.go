// SPDX-License-Identifier: Apache-2.0

package run

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"plugstorm/harness/console"
	"plugstorm/harness/history"
	"plugstorm/harness/splat"
	"plugstorm/harness/vm"
)

// heartbeat is what the agent writes to the console through /dev/kmsg. It
// needs neither virtio nor a reader in user space.
var heartbeat = []byte("plugstorm: heartbeat")

// live reads the console while the guest runs, only to decide whether the
// guest is still worth anything. The judge reads the whole log again.
type live struct {
	mu        sync.Mutex
	scanner   *splat.Scanner
	complaint func(splat.Finding)
	line      []byte    // the beginning of the line that isn't whole yet, up to maxLine bytes
	sign      time.Time // the last sign of life
	output    time.Time // the last console output that wasn't a mere heartbeat: they never stop
	fed       int64     // console offset after the last byte read
	tape      []byte    // what was read since record; nil: nobody wants it

	hung atomic.Bool // there was a complaint of a hang that didn't show what for: see weighHangs
}

func newLive(complaint func(splat.Finding)) *live {
	now := time.Now()
	return &live{scanner: splat.NewScanner(), complaint: complaint, sign: now, output: now}
}

// feed takes a piece of the console.
func (l *live) feed(data []byte) {
	l.mu.Lock()
	_, _ = l.scanner.Write(data)
	l.fed += int64(len(data))
	if l.tape != nil {
		l.tape = append(l.tape, data[:min(len(data), maxTape-len(l.tape))]...)
	}
	now := time.Now()
	for line := range bytes.Lines(data) {
		l.line = append(l.line, line[:min(len(line), maxLine-len(l.line))]...)
		if line[len(line)-1] != '\n' {
			break // it is whole or a mere heartbeat: the next piece tells
		}
		if bytes.Contains(l.line, heartbeat) {
			l.sign = now
		} else {
			l.output = now
		}
		l.line = l.line[:0]
	}
	l.mu.Unlock()
	l.report()
}

// maxTape bounds what is kept for play.
const maxTape = 4 << 20

// record keeps what the console says from now on, until play.
func (l *live) record() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tape = []byte{}
}

// recorded reports whether a text is on the tape.
func (l *live) recorded(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Contains(l.tape, []byte(text))
}

// play returns what was recorded, and where on the console it lies.
func (l *live) play() (tape []byte, from, to int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tape, l.tape = l.tape, nil
	return tape, l.fed - int64(len(tape)), l.fed
}

// maxLine is how much of a line is kept to see whether it is a heartbeat.
const maxLine = 1024

// report hands complete complaints on.
func (l *live) report() {
	for {
		l.mu.Lock()
		f, ok := l.scanner.Next()
		l.mu.Unlock()
		if !ok {
			return
		}
		l.complaint(f)
	}
}

// settle completes a complaint that has begun if the console has been quiet
// for d since.
func (l *live) settle(d time.Duration) {
	l.mu.Lock()
	if l.scanner.Pending() && time.Since(l.output) > d {
		l.scanner.Flush()
	}
	l.mu.Unlock()
	l.report()
}

// alive notes a sign of life.
func (l *live) alive() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sign = time.Now()
}

// silentFor is how long the guest has given no sign of life.
func (l *live) silentFor() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.sign)
}

// quietFor is how long the console has been quiet.
func (l *live) quietFor() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.output)
}

// markEvery is how finely the history says when console bytes came.
const markEvery = 20 * time.Millisecond

// onConsole records when a piece of the console came, and reads it.
func (g *guest) onConsole(c console.Chunk) error {
	if c.At.Sub(g.marked) >= markEvery {
		g.marked = c.At
		g.history.AddAt(c.At, history.Event{Type: history.Console, Guest: g.number, Offset: c.Offset})
	}
	g.live.feed(c.Data)
	return nil
}

// settleConsole completes complaints that nobody continues, until the guest's
// storm ends.
func (g *guest) settleConsole() {
	every(g.ctx, healthEvery, func() bool {
		g.live.settle(g.vm.Deadline(settleAfter))
		return true
	})
}

// onComplaint ends the guest's storm when a complaint means that it is no
// longer worth testing: lockdep has switched itself off, something died, or
// something is stuck. After a mere warning it goes on.
func (g *guest) onComplaint(f splat.Finding) {
	g.seen.Add(1)
	g.history.Add(history.Event{Type: history.Complaint, Guest: g.number, Text: f.Title})
	if f.Blinds {
		g.history.Add(history.Event{Type: history.Blind, Guest: g.number, Text: f.Title})
	}
	unexplained := f.Type == splat.TypeHang && f.Waits == nil
	if unexplained {
		g.live.hung.Store(true)
	}
	switch {
	case !unexplained && g.ends(f):
		g.haveEnough()
		g.end(retired("found what ends the run: %s", f.Title))
	case f.Fatal:
		g.end(retired("fatal: %s", f.Title))
	case f.Blinds:
		g.end(blinded(f.Title))
	case f.Type == splat.TypeHang:
		g.end(retired("stuck: %s", f.Title))
	}
}

// ends reports whether a complaint is one that ends the run.
func (g *guest) ends(f splat.Finding) bool { return g.cfg.Until != nil && g.cfg.Until(f) }

// haveEnough ends the run with this guest, and those of its machine beside it.
func (g *guest) haveEnough() {
	g.enough.Store(true)
	g.cfg.Pool.End(g.kind())
}

// weighHangs decides, when the guest has ended, whether its hangs end the run:
// what a task waits for, by which a known one is told, stands nowhere but on the
// rest of the console. If that can't be read they do, and the judge has a doubt.
func (g *guest) weighHangs() {
	if g.cfg.Until == nil || !g.live.hung.Load() || g.enough.Load() {
		return
	}
	log, err := os.ReadFile(filepath.Join(g.vm.Spec.Dir, vm.ConsoleLog))
	found, lost := splat.Search(log)
	hang := func(f splat.Finding) bool { return f.Type == splat.TypeHang }
	if err != nil || lost > 0 || !slices.ContainsFunc(found, hang) || slices.ContainsFunc(found, func(f splat.Finding) bool { return hang(f) && g.ends(f) }) {
		g.haveEnough()
	}
}
