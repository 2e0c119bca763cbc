// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"bytes"
	"fmt"
	"os"
	"testing"
)

// bootLog makes an ordinary log of about n bytes without a complaint.
func bootLog(n int) []byte {
	messages := []string{
		"BIOS-e820: [mem 0x0000000000100000-0x000000007ffdefff] usable",
		"ACPI: SSDT 0x000000007FFE2320 000CA8 (v01 BOCHS  NVDIMM   00000001 BXPC 00000001)",
		"pci 0000:00:1f.2: BAR 5 [mem 0xfebd1000-0xfebd1fff]",
		"Built 2 zonelists, mobility grouping on.  Total pages: 524158",
		"rcu: Hierarchical RCU implementation.",
		"Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar",
		"Offlined Pages 32768",
		"smpboot: Booting Node 0 Processor 1 APIC 0x1",
		"page dumped because: migration failure",
		"EXT4-fs (vda1): mounted filesystem 5c1d9b4e-6d43-4d7c-8d1c-2f8f1f5a2e0b ro with ordered data mode.",
		"audit: type=1400 audit(1750305980.320:67): avc:  denied  { mount } for  pid=297 comm=\"agent\"",
	}
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "[%5d.%06d][%5s] %s\n", i/1000, i%1000*997, fmt.Sprintf("T%d", i%90), messages[i%len(messages)])
	}
	return b.Bytes()
}

func BenchmarkCleanLog(b *testing.B) { benchmark(b, bootLog(8<<20), 0) }

func BenchmarkComplaintAtEnd(b *testing.B) {
	data, err := os.ReadFile("testdata/lockdep_deadlock/x86-kernfs-mem-hotplug.txt")
	if err != nil {
		b.Fatal(err)
	}
	complaint, _, _ := bytes.Cut(data, []byte(expectation))
	benchmark(b, append(bootLog(8<<20), complaint...), 1)
}

// The adversarial inputs: nothing but frames inside an open report, one
// endless line, interleaved callers, a complaint in every line.
func BenchmarkFrames(b *testing.B) {
	benchmark(b, append([]byte("BUG: KASAN: x in f+0x1/0x2\n"), bytes.Repeat([]byte("Call Trace:\n f+0x1/0x2\n"), 1<<18)...), -1)
}

func BenchmarkEndlessLine(b *testing.B) {
	benchmark(b, bytes.Repeat([]byte("BUG: KASAN: "), 1<<19), -1)
}

func BenchmarkInterleaved(b *testing.B) {
	var log bytes.Buffer
	for i := 0; log.Len() < 4<<20; i++ {
		fmt.Fprintf(&log, "[   12.000000][T%d] WARNING: CPU: 1 PID: 1 at a.c:1 f%d+0x1/0x2\n[   12.000000][T%d] Call Trace:\n", i%97, i%13, i%89)
	}
	benchmark(b, log.Bytes(), -1)
}

func BenchmarkComplaints(b *testing.B) {
	benchmark(b, bytes.Repeat([]byte("WARNING: CPU: 1 PID: 1 at a.c:1 f+0x1/0x2\n"), 1<<17), -1)
}

func benchmark(b *testing.B, log []byte, want int) {
	b.SetBytes(int64(len(log)))
	b.ReportAllocs()
	for b.Loop() {
		s := NewScanner()
		for rest := log; len(rest) > 0; {
			n := min(len(rest), 64<<10)
			s.Write(rest[:n])
			rest = rest[n:]
		}
		s.Flush()
		if want >= 0 && len(s.ready) != want {
			b.Fatalf("%d findings, want %d", len(s.ready), want)
		}
	}
}
