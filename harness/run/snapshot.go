// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"plugstorm/harness/blame"
	"plugstorm/harness/console"
	"plugstorm/harness/history"
	"plugstorm/harness/splat"
	"plugstorm/harness/vm"
)

// Snapshots keep saved guests by identity (vm.Identity). Several runs may use
// them at once.
type Snapshots interface {
	// Find returns the directory of a snapshot, "" if there is none. It stays
	// there until release is called.
	Find(identity []string) (dir string, release func(), err error)
	// Keep has fill make a snapshot in an empty directory, and keeps it if fill
	// returns no error. It returns false if another run was first.
	Keep(identity []string, fill func(dir string) error) (kept bool, err error)
	// Drop removes a snapshot that is no good.
	Drop(identity []string) error
}

// maxDropped is how many snapshots a run throws away before it does without.
const maxDropped = 2

// snapshots is how a run gets on with them. The zero value hasn't used any.
type snapshots struct {
	off     bool // not to be used any more; the history says why
	dropped int
}

// note records what became of snapshots.
func (g *guest) note(format string, args ...any) {
	g.history.Add(history.Event{Type: history.Snapshot, Guest: g.number, Text: fmt.Sprintf(format, args...)})
}

// without does the rest of the run without snapshots.
func (g *guest) without(why string, err error) {
	g.saved.off = true
	g.note("%s: %v", why, err)
}

// restoreLimit bounds a restore on the reference host.
const restoreLimit = 8 * time.Second

// restore starts the guest from a snapshot, if there is one, and reports
// whether it did: the guest is up then. A snapshot that is no good is thrown
// away.
func (g *guest) restore(spec vm.Spec) bool {
	if g.cfg.Snapshots == nil || g.saved.off {
		return false
	}
	identity, err := g.identify(spec)
	if err != nil {
		g.without("not used", err)
		return false
	}
	dir, release, err := g.cfg.Snapshots.Find(identity)
	if err != nil {
		g.without("not used", err)
		return false
	}
	g.identity = identity
	if dir == "" {
		return false
	}
	started := g.startEvent(spec)
	started.Restored, started.Text = true, dir
	g.history.Add(started)
	s, err := g.tryRestore(spec, dir)
	if err == nil {
		g.primed = s.Primed
		g.side.Go(func() {
			defer release()
			g.checkRestored(s)
		})
		return true
	}
	release()
	if g.ctx.Err() == nil {
		g.discard(err)
		g.setAside(spec.Dir)
	}
	return false
}

// checkRestored makes sure that the guest goes on from what was saved. It looks
// while the guest is at its first steps, and to the end, however soon that guest
// ends: nothing of one that fails counts.
func (g *guest) checkRestored(s *vm.Snapshot) {
	err := s.Check(g.parent)
	if err == nil || g.parent.Err() != nil {
		return
	}
	g.history.Add(history.Event{Type: history.Snapshot, Guest: g.number, Disowned: true, Text: fmt.Sprintf("damaged, nothing of this guest counts: %v", err)})
	g.discard(err)
	gone := lost(blame.Harness, "run again, or with --cold", "the guest went on from a damaged snapshot: %v", err)
	g.blame(gone)
	g.end(gone)
}

// identify says which snapshot fits the guest: one of the same machine and
// kernel, with the same checkers and rules.
func (g *guest) identify(spec vm.Spec) ([]string, error) {
	identity, err := vm.Identity(spec)
	if g.primes() {
		identity = append(identity, "waits", "rules", g.cfg.Case.Rules.Text)
	}
	return identity, err
}

// tryRestore is restore for a snapshot in dir. Until the guest has proved
// itself its console is held back: that of one that fails is nobody's.
func (g *guest) tryRestore(spec vm.Spec, dir string) (*vm.Snapshot, error) {
	snapshot, err := vm.OpenSnapshot(dir)
	if err != nil {
		return nil, err
	}
	load := 0.0
	if g.cfg.HostLoad != nil {
		load = g.cfg.HostLoad()
	}
	held := &holder{}
	spec.Console = held.take
	ctx, cancel := context.WithTimeout(g.ctx, time.Duration(float64(restoreLimit)*snapshot.Patience(spec.Machine, load)))
	defer cancel()
	v, hello, err := vm.Restore(ctx, g.cfg.Backend, spec, snapshot, load)
	if err != nil {
		if g.ctx.Err() == nil {
			err = errors.Join(err, snapshot.Check(g.ctx))
		}
		return nil, err
	}
	g.vm, g.hello = v, &hello
	held.pass(g.onConsole)
	return snapshot, nil
}

// discard throws the guest's snapshot away.
func (g *guest) discard(why error) {
	g.note("thrown away: %v", why)
	if g.saved.dropped++; g.saved.dropped >= maxDropped {
		g.without("not used any more", fmt.Errorf("%d of them were no good", g.saved.dropped))
	}
	if err := g.cfg.Snapshots.Drop(g.identity); err != nil {
		g.without("not used any more", err)
	}
}

// loseRestored ends a restored guest that answered at first and never gave a
// sign of life by itself: its snapshot is no good, and its kernel not to blame.
func (g *guest) loseRestored(silent time.Duration) {
	err := lost(blame.Harness, "run again, or with --cold", "the restored guest has given no sign of life for %s", silent.Round(time.Second))
	g.discard(err)
	g.loseQEMU(err)
}

// setAside moves the directory of a guest that could not be restored out of
// the way of the one that boots instead. Nothing in it is judged.
func (g *guest) setAside(dir string) {
	if err := os.Rename(dir, dir+".refused"); err != nil && !errors.Is(err, os.ErrNotExist) {
		g.blame(err)
	}
}

var errComplains = errors.New("the kernel complains while it boots")

// save keeps the guest, which has just booted, for others to go on from.
func (g *guest) save(ctx context.Context) {
	if g.cfg.Snapshots == nil || g.saved.off || g.identity == nil {
		return
	}
	began := time.Now()
	var bytes int64
	kept, err := g.cfg.Snapshots.Keep(g.identity, func(dir string) error {
		woken, err := g.vm.Wake(ctx)
		if err != nil {
			return err
		}
		s := &vm.Snapshot{Dir: dir, Name: g.cfg.Machine.Name + " " + g.cfg.Case.Kernel.Name, Pace: g.vm.Pace(woken), Primed: g.checked}
		err = g.vm.Save(ctx, s, quiet)
		if err == nil {
			bytes = s.Bytes
			g.share(ctx, s)
		}
		return err
	})
	switch {
	case err != nil:
		g.without("not saved", err)
	case kept:
		g.note("saved in %s, %d MiB", time.Since(began).Round(time.Millisecond), bytes>>20)
	}
}

// share has the guests that go on from a snapshot share its memory, if they can
// and there are several at a time: the first one waits for it.
func (g *guest) share(ctx context.Context, s *vm.Snapshot) {
	if g.cfg.Backend.Share == nil || g.cfg.Case.Slots < 2 {
		return
	}
	if err := g.cfg.Backend.Share(ctx, s, g.vm.Spec); err != nil {
		g.note("%v", err)
	}
}

// quiet refuses a boot about which something is to be found: a guest that goes
// on from it would not say it again.
func quiet(console []byte) error {
	scanner := splat.NewScanner()
	_, _ = scanner.Write(console)
	scanner.Flush()
	if f, ok := scanner.Next(); ok {
		return fmt.Errorf("%w: %s", errComplains, f.Title)
	}
	return nil
}

// maxHeld bounds what is held back of a console, in bytes.
const maxHeld = 1 << 20

var errHeld = errors.New("the restored guest floods its console")

// A holder holds a console back until it is told whom to pass it to.
type holder struct {
	mu     sync.Mutex
	chunks []console.Chunk
	bytes  int
	to     func(console.Chunk) error
}

func (h *holder) take(c console.Chunk) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.to != nil {
		return h.to(c)
	}
	if h.bytes += len(c.Data); h.bytes > maxHeld {
		return errHeld
	}
	h.chunks = append(h.chunks, c)
	return nil
}

// pass hands on what was held back, and from now on everything.
func (h *holder) pass(to func(console.Chunk) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.chunks {
		_ = to(c) // onConsole's only error is a history's, which has its own way to tell
	}
	h.chunks, h.to = nil, to
}
