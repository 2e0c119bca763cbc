// SPDX-License-Identifier: Apache-2.0

package triage

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"slices"

	"plugstorm/harness/splat"
)

// Bounds on what is kept of one text, in bytes if nothing else is said.
const (
	chunk       = 32 << 10
	maxBehind   = 16 << 20 // of the text: a report may be found complete that late
	maxHang     = 64 << 20 // of the text from a hang on, in which its explanation is looked for
	maxExcerpts = 64 << 20 // of the findings' lines
	maxFindings = 4096     // further ones are counted, but for as many of identities that are new
	maxBanner   = 400      // of a line about the boot
	maxBoots    = 1024
)

// Read finds the complaints in a text. It reads to the end; findings come with
// the error that ended it before that. dropped counts those that weren't kept.
func Read(in io.Reader) (found []Finding, dropped int, err error) {
	r := newReader(nil)
	err = r.readAll(in)
	return r.found, r.dropped, err
}

// newReader takes a buffer of a reader that isn't used any more, or nil.
func newReader(window []byte) *reader {
	return &reader{scanner: splat.NewScanner(), window: window[:0], seen: map[string]bool{}, hang: -1, room: maxExcerpts,
		behind: maxBehind, hangFor: maxHang}
}

func (r *reader) readAll(in io.Reader) error {
	for {
		n, err := r.read(in)
		r.take(n)
		if err != nil {
			r.scanner.Flush()
			r.collect()
			r.explain()
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		r.forget()
	}
}

type reader struct {
	scanner *splat.Scanner
	window  []byte // the end of the text that has been read
	base    int64  // offset of window in the text
	cut     int    // length of the unfinished line at window's end

	boots   []boot // the last maxBoots of them
	found   []Finding
	seen    map[string]bool // identities
	dropped int
	room    int   // bytes of excerpts that may still be kept
	hang    int64 // where the first hang begins that has not been explained, or -1

	behind, hangFor int64 // maxBehind and maxHang, but for tests
}

// A boot is what a kernel said of itself when it began.
type boot struct {
	start            int64
	banner, hardware string
}

func (r *reader) end() int64 { return r.base + int64(len(r.window)) }

// read appends the next bytes to the window.
func (r *reader) read(in io.Reader) (int, error) {
	r.window = slices.Grow(r.window, chunk)
	n, err := in.Read(r.window[len(r.window) : len(r.window)+chunk])
	r.window = r.window[:len(r.window)+n]
	return n, err
}

// take reads the last n bytes of the window.
func (r *reader) take(n int) {
	fresh := r.window[len(r.window)-n:]
	r.note(fresh)
	r.scanner.Write(fresh)
	r.collect()
}

// note looks for what the kernel says of itself in the lines that are complete
// with the fresh bytes.
func (r *reader) note(fresh []byte) {
	i := bytes.LastIndexByte(fresh, '\n')
	if i < 0 {
		r.cut = min(r.cut+len(fresh), maxBanner)
		return
	}
	lines := r.window[len(r.window)-len(fresh)-r.cut : len(r.window)-len(fresh)+i+1]
	at := r.end() - int64(len(fresh)+r.cut)
	r.cut = min(len(fresh)-i-1, maxBanner)
	for len(lines) > 0 {
		i := bytes.Index(lines, []byte("Linux version "))
		if i < 0 {
			r.noteHardware(lines)
			return
		}
		r.noteHardware(lines[:i])
		if !bytes.HasSuffix(lines[:i], []byte("to boot ")) { // powerpc's prom_init speaks before the kernel does
			r.boots = append(r.boots, boot{start: at + int64(i), banner: upToEnd(lines[i:])})
			if len(r.boots) > maxBoots {
				r.boots = slices.Delete(r.boots, 0, maxBoots/2)
			}
		}
		lines, at = lines[i+1:], at+int64(i)+1
	}
}

// noteHardware keeps the machine's name, of x86's "DMI: " line or powerpc's
// "Hardware name: ". Complaints have such lines too.
func (r *reader) noteHardware(lines []byte) {
	if len(r.boots) == 0 || r.boots[len(r.boots)-1].hardware != "" {
		return
	}
	for _, key := range []string{"] DMI: ", "Hardware name: "} {
		if i := bytes.Index(lines, []byte(key)); i >= 0 {
			r.boots[len(r.boots)-1].hardware = upToEnd(lines[i+len(key):])
			return
		}
	}
}

// upToEnd returns the line that the bytes begin with.
func upToEnd(b []byte) string {
	b = b[:min(len(b), maxBanner)]
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = b[:i]
	}
	return string(bytes.TrimRight(b, "\r \t"))
}

// collect takes what the scanner has found.
func (r *reader) collect() {
	for {
		f, ok := r.scanner.Next()
		if !ok {
			break
		}
		if !r.wanted(f.Identity) {
			r.dropped++
			continue
		}
		if f.Type == splat.TypeHang && r.hang < 0 {
			r.hang = f.Start
		}
		r.found = append(r.found, r.surround(f))
	}
}

// wanted reports whether a finding is kept. That one complaint comes again and
// again must not hide another one.
func (r *reader) wanted(identity string) bool {
	fresh := !r.seen[identity]
	if fresh && len(r.seen) < maxFindings {
		r.seen[identity] = true
	}
	return len(r.found) < maxFindings || fresh && len(r.found) < 2*maxFindings
}

// surround adds what the text says around a finding.
func (r *reader) surround(f splat.Finding) Finding {
	out := Finding{Finding: f}
	if f.Start >= r.base && r.room > 0 {
		out.Lines = splat.Excerpt(r.window[f.Start-r.base : f.End-r.base])
		for _, line := range out.Lines {
			r.room -= len(line)
		}
	}
	for _, b := range slices.Backward(r.boots) {
		if b.start < f.Start {
			out.Kernel, out.Hardware = b.banner, b.hardware
			break
		}
	}
	out.Kernel = cmp.Or(out.Kernel, release(out.Lines))
	out.Hardware = cmp.Or(hardware(out.Lines), out.Hardware)
	return out
}

// forget drops what of the window isn't needed any more.
func (r *reader) forget() {
	if r.hang >= 0 && r.end()-r.hang > r.hangFor {
		r.explain()
	}
	keep := r.end() - r.behind
	if r.hang >= 0 {
		keep = min(keep, r.hang)
	}
	if drop := keep - r.base; drop > r.behind { // not for every few bytes
		r.window = append(r.window[:0], r.window[drop:]...)
		r.base = keep
	}
}
