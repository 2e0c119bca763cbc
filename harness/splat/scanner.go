// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"bytes"
	"slices"
	"strings"
)

// Bounds on what an input can make a Scanner keep.
const (
	maxOpen  = 32   // reports open at once; one more closes the oldest
	maxReady = 4096 // findings not yet taken; further ones are counted and dropped
)

// A Scanner finds complaints incrementally. Its memory is bounded whatever the
// input is, and its time is linear. It isn't safe for concurrent use.
type Scanner struct {
	roster *roster
	held   []byte // the line that has begun, up to maxLine bytes
	extra  int64  // bytes of that line that weren't kept
	offset int64  // of the first byte of that line

	open    []*Report // oldest first
	ready   []Finding // sorted by Start
	dropped int
	uptime  bool      // kernel output has been seen: a banner now is a reboot
	lastEnd int64     // end of the report closed last, 0 before the first
	each    []*Report // scratch: open, while it changes

	wait     *Line // the line before: it counts once it is known not to be replayed
	replayed bool  // printk's notice of a replay was the line before
}

// NewScanner returns a Scanner at the start of its input.
func NewScanner() *Scanner { return &Scanner{roster: rosterOf()} }

// Find is Search for who has no use for what is lost.
func Find(log []byte) []Finding {
	found, _ := Search(log)
	return found
}

// Search returns the complaints in a whole log, in the order of their first
// lines. Its hangs are explained, which a Scanner can't do: see Explain. Of a log
// with more than maxReady it keeps the first ones and, of as many identities that
// come later, the first sighting. lost counts those of yet others.
func Search(log []byte) (found []Finding, lost int) {
	const chunk = 64 << 10 // holds fewer complaints than a Scanner keeps
	s := NewScanner()
	seen := map[string]bool{}
	take := func() {
		for f, ok := s.Next(); ok; f, ok = s.Next() {
			fresh := !seen[f.Identity]
			switch {
			case len(found) < maxReady, fresh && len(found) < 2*maxReady:
				seen[f.Identity] = true
				found = append(found, f)
			case fresh:
				lost++
			}
		}
	}
	for rest := log; len(rest) > 0; {
		n := min(chunk, len(rest))
		s.Write(rest[:n])
		rest = rest[n:]
		take()
	}
	s.Flush()
	take()
	return Explain(log, found), lost + s.dropped
}

// Write takes the next bytes of the input. It never blocks and never fails,
// and keeps no reference to p.
func (s *Scanner) Write(p []byte) (int, error) {
	n := len(p)
	if len(s.held) > 0 || s.extra > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			s.hold(p)
			return n, nil
		}
		s.hold(p[:i])
		p = p[i+1:]
		s.endLine(1, false)
	}
	if i := bytes.LastIndexByte(p, '\n'); i >= 0 {
		s.block(p[:i+1])
		p = p[i+1:]
	}
	s.hold(p)
	return n, nil
}

// Next returns the oldest complaint that is complete, in the order of first
// lines: it waits for an earlier one that is still open.
func (s *Scanner) Next() (Finding, bool) {
	if len(s.ready) == 0 || len(s.open) > 0 && s.open[0].start() < s.ready[0].Start {
		return Finding{}, false
	}
	f := s.ready[0]
	s.ready = slices.Delete(s.ready, 0, 1)
	return f, true
}

// Pending reports whether a complaint has begun whose end has not been seen.
func (s *Scanner) Pending() bool { return len(s.open) > 0 || s.wait != nil }

// Dropped counts the findings lost because nobody called Next in time.
func (s *Scanner) Dropped() int { return s.dropped }

// Flush completes what is pending: the input ends here, or nothing more is
// expected for now. Writing may go on; what follows opens no old report again.
func (s *Scanner) Flush() {
	if len(s.held) > 0 || s.extra > 0 {
		s.endLine(0, true)
	}
	s.settle()
	for len(s.open) > 0 {
		s.close(s.open[0])
	}
}

// hold keeps the beginning of an unfinished line.
func (s *Scanner) hold(p []byte) {
	keep := min(len(p), maxLine-len(s.held))
	s.held = append(s.held, p[:keep]...)
	s.extra += int64(len(p) - keep)
}

// endLine processes the held line. newline is the length of its terminator.
func (s *Scanner) endLine(newline int64, cut bool) {
	size := int64(len(s.held)) + s.extra + newline
	s.line(s.held, size, cut)
	s.held, s.extra = s.held[:0], 0
}

// block processes complete lines. While no report is open, it looks only at
// lines with an anchor.
func (s *Scanner) block(b []byte) {
	for len(b) > 0 {
		if len(s.open) == 0 && s.wait == nil {
			i := s.roster.filter.next(b)
			if i < 0 {
				s.skip(b)
				return
			}
			start := bytes.LastIndexByte(b[:i], '\n') + 1
			s.skip(b[:start])
			b = b[start:]
		}
		end := bytes.IndexByte(b, '\n')
		s.line(b[:min(end, maxLine)], int64(end)+1, false)
		b = b[end+1:]
	}
}

// skip passes over ordinary lines.
func (s *Scanner) skip(b []byte) {
	s.offset += int64(len(b))
	if len(b) > 0 {
		s.replayed = false
	}
	for !s.uptime && len(b) > 0 {
		end := bytes.IndexByte(b, '\n')
		line := b[:min(end, maxLine)]
		if mayBeStamped(line) {
			l := lex(line)
			s.uptime = l.Stamp > 0
		}
		b = b[end+1:]
	}
}

// line takes one line; b is its beginning, size its length with newline. A
// line that may matter waits for the next one: if printk then says that one
// console took over from another in the middle of a message, it prints that
// message again, and what waits may be its beginning.
func (s *Scanner) line(b []byte, size int64, cut bool) {
	l := lex(b)
	l.Start, l.End, l.Cut = s.offset, s.offset+size, cut
	l.anchored = s.roster.filter.next(b) >= 0
	s.offset += size
	if strings.Contains(l.Message, replayNotice) {
		s.replayed = true
		return
	}
	if s.replayed && s.wait != nil && l.completes(s.wait) {
		if l.Message == s.wait.Message {
			l.Start = s.wait.Start
		}
		s.wait = nil
	}
	s.replayed = false
	s.settle()
	if l.anchored || len(s.open) > 0 {
		s.wait = &l
	} else {
		s.take(&l)
	}
}

// settle processes the line that waits.
func (s *Scanner) settle() {
	if l := s.wait; l != nil {
		s.wait = nil
		s.take(l)
	}
}

// take processes one line.
func (s *Scanner) take(l *Line) {
	running := s.uptime
	s.uptime = running || l.Stamp > 0
	if isHeartbeat(l.Message) {
		s.tick(l)
		return
	}
	var d *Detector
	if l.anchored {
		d = s.roster.beginning(l.Message, l.Cut)
	}
	if d == Reboot && !running || d != nil && d.Fallback && s.uptime && !l.Stamped {
		d = nil // the first boot, or a program's own words
	}
	if d == Reboot {
		s.reboot()
	}
	s.offer(*l, d)
	s.tick(l)
}

// offer gives a line to the reports that own it, and opens one if it begins
// a complaint.
func (s *Scanner) offer(l Line, d *Detector) {
	s.each = append(s.each[:0], s.open...)
	own := slices.ContainsFunc(s.open, func(r *Report) bool { return r.lines[0].sameSource(&l) })
	for _, r := range s.each {
		same := r.lines[0].sameSource(&l)
		if !r.owns(&l) || own && !same {
			continue
		}
		if d != nil {
			switch {
			case d.Sequel != nil && d.Sequel(r, l.Message):
				d = nil
			case r.detector.Prelude && !r.stacked():
				r.takeOver(d)
				d = nil
			case !same:
				continue
			case r.stacked() || l.Caller == "":
				s.close(r)
				continue
			}
		}
		r.add(l)
		if r.closed {
			s.close(r)
		}
	}
	if d == nil || s.aftermath(d, &l) {
		return
	}
	if len(s.open) == maxOpen {
		s.close(s.open[0])
	}
	s.open = append(s.open, newReport(d, l))
}

// aftermath reports whether a line that begins a complaint is only the
// consequence of the one closed before: the panic that ends an oops.
func (s *Scanner) aftermath(d *Detector, l *Line) bool {
	const near = 64 << 10
	return s.lastEnd > 0 && l.Start-s.lastEnd < near && d == Panic && (isConsequence(l.Message) || l.Cut)
}

// tick lets time pass for the reports that don't own the line.
func (s *Scanner) tick(l *Line) {
	s.each = append(s.each[:0], s.open...)
	for _, r := range s.each {
		if r.lastLine().End != l.End && r.outlived(l) {
			s.close(r)
		}
	}
}

// reboot closes everything: these tasks are gone.
func (s *Scanner) reboot() {
	for len(s.open) > 0 {
		s.close(s.open[0])
	}
	s.uptime = false // the kernel's banner after the firmware's is the same reboot
}

// close finishes a report and queues its finding.
func (s *Scanner) close(r *Report) {
	s.open = slices.DeleteFunc(s.open, func(o *Report) bool { return o == r })
	f := r.finding()
	s.lastEnd = f.End
	if len(s.ready) == maxReady {
		s.dropped++
		return
	}
	at, _ := slices.BinarySearchFunc(s.ready, f.Start, func(g Finding, start int64) int {
		if g.Start <= start {
			return -1
		}
		return 1
	})
	s.ready = slices.Insert(s.ready, at, f)
}
