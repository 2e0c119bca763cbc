// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAvailable(t *testing.T) {
	const meminfo = "MemTotal:       24683964 kB\nMemFree:        19775000 kB\nMemAvailable:   1000 kB\n"
	const limit, usage, stat = "memory.max", "memory.current", "memory.stat"
	for _, tt := range []struct {
		name    string
		meminfo string
		cgroup  map[string]string
		want    int64
	}{
		{"a host", meminfo, nil, 1000 << 10},
		{"no limit", meminfo, map[string]string{limit: "max\n", usage: "5\n"}, 1000 << 10},
		{"a limit", meminfo, map[string]string{limit: "10000\n", usage: "4000\n"}, 6000},
		{"a limit, with page cache", meminfo, map[string]string{limit: "10000\n", usage: "4000\n", stat: "anon 5\ninactive_file 500\nactive_file 9\n"}, 6500},
		{"a limit above what the host has", meminfo, map[string]string{limit: "100000000\n", usage: "0\n"}, 1000 << 10},
		{"a limit that is reached", meminfo, map[string]string{limit: "10000\n", usage: "10001\n"}, 1},
		{"half of it", meminfo, map[string]string{limit: "10000\n"}, 1000 << 10},
		{"an old kernel", "MemTotal: 5 kB\nMemFree: 4 kB\n", map[string]string{limit: "10000\n", usage: "0\n"}, 0},
		{"nonsense", "MemAvailable: -4 kB\n", nil, 0},
		{"no kB", "MemAvailable: 4\n", nil, 0},
		{"nothing", "", nil, 0},
	} {
		dir := t.TempDir()
		write := func(name, text string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write("meminfo", tt.meminfo)
		for name, text := range tt.cgroup {
			write(name, text)
		}
		if got := available(filepath.Join(dir, "meminfo"), dir); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
	if got := available("/nowhere", "/nowhere"); got != 0 {
		t.Errorf("nothing says %d", got)
	}
	if h := ThisHost(); h.Cores < 1 || h.Available() < 1<<20 {
		t.Errorf("this host has %d cores and %d bytes", h.Cores, h.Available())
	}
}

func TestFit(t *testing.T) {
	for _, tt := range []struct {
		cores int
		left  int64
		need  int64
		want  int
	}{
		{1, 100 * gib, gib, 1},
		{2, 100 * gib, gib, 1},
		{4, 100 * gib, gib, 2},
		{16, 100 * gib, gib, 8},
		{16, 3*gib + spare, gib, 3},
		{16, 3*gib + spare - 1, gib, 2},
		{16, gib / 2, gib, 1}, // one guest always runs
		{16, 0, gib, 1},       // unknown
		{0, 0, 0, 1},
	} {
		h := Host{Cores: tt.cores, Available: func() int64 { return tt.left }}
		if got := h.Fit(tt.need); got != tt.want {
			t.Errorf("%d cores and %d MiB for guests of %d MiB: %d guests, want %d", tt.cores, tt.left>>20, tt.need>>20, got, tt.want)
		}
	}
}
