// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"os"
	"testing"
)

func TestParsePrivate(t *testing.T) {
	const head = "55d0a8a00000-7fff2b5fe000 ---p 00000000 00:00 0 [rollup]\nRss: 300 kB\nPss: 250 kB\nShared_Clean: 50 kB\n"
	for _, tt := range []struct {
		name, text string
		want       int64
	}{
		{"both", head + "Private_Clean:      8 kB\nPrivate_Dirty:    240 kB\nPrivate_Hugetlb: 7 kB\n", 248 << 10},
		{"none", head, 0},
		{"empty", "", 0},
		{"negative", "Private_Dirty: -1 kB\n", 0},
		{"too much", "Private_Dirty: 9223372036854775807 kB\n", 0},
		{"no number", "Private_Clean: 4 kB\nPrivate_Dirty: lots kB\n", 0},
		{"cut off", "Private_Clean: 4 kB\nPrivate_Dir", 4 << 10},
	} {
		if got := parsePrivate(tt.text); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
	// What this host's kernel says is understood.
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		t.Skip(err)
	}
	if got := parsePrivate(string(text)); got < 1<<20 || got > 1<<34 {
		t.Errorf("this test has %d bytes for itself:\n%s", got, text)
	}
}
