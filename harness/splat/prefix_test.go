// SPDX-License-Identifier: Apache-2.0

package splat

import "testing"

// TestLex: lines as they are found in the wild.
func TestLex(t *testing.T) {
	for _, c := range []struct {
		line, message, caller string
		stamped               bool
	}{
		{"[   12.345678][   T12] foo: bar", "foo: bar", "T12", true},
		{"[   12.345678][T12@1] foo: bar", "foo: bar", "T12", true},
		{"login: [   12.345678] foo: bar\r", "foo: bar", "", true},
		{"kern  :warn  : [   12.345678] [T12]  f+0x1/0x2", " f+0x1/0x2", "T12", true},
		{"> >> <4>[   12.345678][    C0]  f+0x1/0x2", " f+0x1/0x2", "C0", true},
		{"[   12.345678 <    0.000001>] foo", "foo", "", true},
		{"[Sun Nov 22 01:43:39 2026]  f+0x1/0x2", " f+0x1/0x2", "", true},
		{"[Nov22 01:43] foo", "foo", "", true},
		{"[  +0.000123] foo", "foo", "", true},
		{"[<    0.000123>] foo", "foo", "", true},
		{"2026-11-22T01:43:39,123456+00:00 foo", "foo", "", true},
		{"2026-11-22T01:43:39.123456+00:00 host kernel: [   12.345678][   T12] foo", "foo", "T12", true},
		{"2026-11-22T01:43:39+0000 host kernel: foo", "foo", "", true},
		{"Nov  2 01:43:39 host kernel:  f+0x1/0x2", " f+0x1/0x2", "", true},
		{"Sun 2026-11-22 01:43:39 UTC host kernel: foo", "foo", "", true},
		{"1795311819.123456 host kernel: foo", "foo", "", true},
		{"[   12.345678] host kernel: foo", "foo", "", true},
		{"4,1234,12345678,-,caller=T12;foo; bar", "foo; bar", "T12", true},
		{">ffff888012345600: fb fb fb fb", ">ffff888012345600: fb fb fb fb", "", false},
		{"> WARNING: foo", "WARNING: foo", "", false},

		// Other programs of the same journal, and text that only looks similar.
		{"Nov 22 01:43:39 host systemd[1]: BUG: foo", "Nov 22 01:43:39 host systemd[1]: BUG: foo", "", false},
		{"kern: warn: foo", "kern: warn: foo", "", false},
		{"page: info : foo", "page: info : foo", "", false},
		{"1,2,3;4", "1,2,3;4", "", false},
		{"<IRQ>", "<IRQ>", "", false},
		{"[drm] foo 1.5", "[drm] foo 1.5", "", false},
		{"[<ffffffff81234567>] f+0x1/0x2", "[<ffffffff81234567>] f+0x1/0x2", "", false},
		{" 2026-11-22T01:43:39 host kernel: foo", " 2026-11-22T01:43:39 host kernel: foo", "", false},
	} {
		l := lex([]byte(c.line))
		if l.Message != c.message || l.Caller != c.caller || l.Stamped != c.stamped {
			t.Errorf("%q: message %q, caller %q, stamped %v", c.line, l.Message, l.Caller, l.Stamped)
		}
	}
}

// TestDates: a later date has a later stamp, in each form.
func TestDates(t *testing.T) {
	for _, c := range [][2]string{
		{"Nov  2 01:43:39 host kernel: x", "Nov 22 01:43:38 host kernel: x"},
		{"2026-11-22T01:43:39.123456+00:00 host kernel: x", "2026-11-22T01:43:39.2+00:00 host kernel: x"},
		{"[Sun Nov 22 01:43:39 2026] x", "[Tue Dec  1 01:43:38 2026] x"},
		{"1795311819.123456 host kernel: x", "1795311819.123457 host kernel: x"},
	} {
		if a, b := lex([]byte(c[0])), lex([]byte(c[1])); a.Stamp <= 0 || a.Stamp >= b.Stamp {
			t.Errorf("%q is %d, %q is %d", c[0], a.Stamp, c[1], b.Stamp)
		}
	}
}
