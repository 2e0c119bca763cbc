// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"bytes"
	"strings"

	"plugstorm/harness/frame"
	"plugstorm/harness/waitfor"
)

// Explain adds to the hangs among the findings of a log who waits for whom, as
// far as the log shows it. For each boot with a hang it reads all that the
// kernel says of its tasks from the first hang on: a hung task is reported
// again and again, and only a later dump may show what it waits for. A hang
// whose task leads into a cycle gets that cycle for its identity, and so do
// all other victims of it; a hung task without one gets its roots.
//
// It takes linear time, and no time where nothing hangs. found is what Find
// returns for the log, in order, and is changed in place.
func Explain(log []byte, found []Finding) []Finding {
	for i := 0; i < len(found); {
		end, next := int64(len(log)), len(found)
		first := -1
		for k := i; k < len(found); k++ {
			if found[k].Detector == Reboot.Name {
				end, next = found[k].Start, k+1
				break
			}
			if first < 0 && found[k].hangs() {
				first = k
			}
		}
		if first >= 0 {
			explainBoot(log[found[first].Start:end], found[first:next])
		}
		i = next
	}
	return found
}

// hangs reports whether the finding is one that Explain explains.
func (f *Finding) hangs() bool {
	switch f.Detector {
	case HungTask.Name, RCUStall.Name, SoftLockup.Name, WorkqueueLockup.Name:
		return true
	}
	return false
}

// explainBoot explains the hangs of one boot.
func explainBoot(log []byte, found []Finding) {
	parts := readWaits(log).Graph().Parts()
	told := map[*waitfor.Graph]explanation{}
	for i := range found {
		f := &found[i]
		part := parts[f.Task]
		if part == nil || !f.hangs() {
			continue
		}
		e, ok := told[part]
		if !ok {
			e = explanation{"hang: " + frame.Printable(part.Signature()), frame.Printable(part.Sentence())}
			told[part] = e
		}
		f.Waits, f.Explain = part, e.sentence
		if len(part.Cycle) > 0 || f.Detector == HungTask.Name {
			f.Identity = e.identity
		}
	}
}

type explanation struct{ identity, sentence string }

// readWaits reads the dumps of tasks in a part of a log. Each printk caller is
// a source of its own, and so is user space. A line waits for the next one, as
// in Scanner.line: it may be the beginning of a message that is printed again.
func readWaits(log []byte) *waitfor.Reader {
	r := waitfor.NewReader()
	var wait *Line
	replayed := false
	for len(log) > 0 {
		line, rest, _ := bytes.Cut(log, []byte("\n"))
		log = rest
		l := lex(line[:min(len(line), maxLine)])
		if strings.Contains(l.Message, replayNotice) {
			replayed = true
			continue
		}
		if wait != nil && (!replayed || !l.completes(wait)) {
			passOn(r, wait)
		}
		wait, replayed = &l, false
	}
	if wait != nil {
		passOn(r, wait)
	}
	return r
}

func passOn(r *waitfor.Reader, l *Line) {
	source := l.Caller
	if !l.Stamped {
		source = "user"
	}
	if !isHeartbeat(l.Message) {
		r.Line(source, frame.Printable(l.Message))
	}
}
