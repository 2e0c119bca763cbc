// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var runDir = flag.String("run-dir", "", "a run directory whose consoles BenchmarkRun reads, with their real pace")

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

// BenchmarkAdversaries reads what is meant to be expensive.
func BenchmarkAdversaries(b *testing.B) {
	for _, a := range adversaries {
		b.Run(a.name, func(b *testing.B) { benchmark(b, a.log(1<<20), -1) })
	}
}

// BenchmarkHuge reads 100 MB each of what an attacker would send first.
func BenchmarkHuge(b *testing.B) {
	for _, a := range adversaries {
		switch a.name {
		case "headings of stacks", "one line of anchors", "callers' frames":
			b.Run(a.name, func(b *testing.B) { benchmark(b, a.log(100<<20), -1) })
		}
	}
}

// BenchmarkRun reads a run's consoles (-run-dir) in the small pieces in which
// a run gets them, and says which part of a core that takes at their pace.
func BenchmarkRun(b *testing.B) {
	files, err := filepath.Glob(filepath.Join(*runDir, "*", "console.log"))
	if err != nil || *runDir == "" || len(files) == 0 {
		b.Skip("-run-dir names no run directory")
	}
	for _, file := range files {
		log, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(filepath.Base(filepath.Dir(file)), func(b *testing.B) {
			before := usage(b)
			for b.Loop() {
				scan(pieces(log, 200), true)
			}
			spent := time.Duration(usage(b)-before) * time.Microsecond / time.Duration(b.N)
			b.ReportMetric(100*spent.Seconds()/uptime(log).Seconds(), "%core")
		})
	}
}

// uptime returns the time of the last stamped line.
func uptime(log []byte) time.Duration {
	last := time.Microsecond
	for line := range bytes.Lines(log) {
		l := lex(bytes.TrimRight(line[:min(len(line), maxLine)], "\n"))
		last = max(last, time.Duration(l.Stamp)*time.Microsecond)
	}
	return last
}

func pieces(log []byte, n int) [][]byte {
	var all [][]byte
	for len(log) > 0 {
		n = min(n, len(log))
		all, log = append(all, log[:n]), log[n:]
	}
	return all
}

// benchmark reports the rate per second of CPU time too: other load on the
// host doesn't enter into that.
func benchmark(b *testing.B, log []byte, want int) {
	b.SetBytes(int64(len(log)))
	b.ReportAllocs()
	before := usage(b)
	for b.Loop() {
		s := NewScanner()
		for _, p := range pieces(log, 64<<10) {
			s.Write(p)
		}
		s.Flush()
		if want >= 0 && len(s.ready) != want {
			b.Fatalf("%d findings, want %d", len(s.ready), want)
		}
	}
	spent := usage(b) - before
	b.ReportMetric(float64(len(log))*float64(b.N)/float64(max(spent, 1)), "MB/cpu-s")
}
