// SPDX-License-Identifier: Apache-2.0

package main

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"plugstorm/harness/history"
)

// program is a "kernel" of three functions; the last one closes the size of the
// one before it, as a kernel's symbols do.
const program = `void trap(void) { __builtin_trap(); }

void memory_subsys_offline(void) {
	trap();
	trap();
}
void last(void) { memory_subsys_offline(); }
`

// TestTriageVMLinux: --vmlinux puts the lines of source into every format.
func TestTriageVMLinux(t *testing.T) {
	dir := t.TempDir()
	source, vmlinux, log := filepath.Join(dir, "prog.c"), filepath.Join(dir, "vmlinux"), filepath.Join(dir, "console.log")
	if err := os.WriteFile(source, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	gcc := exec.Command("gcc", "-g", "-O0", "-fno-pie", "-no-pie", "-nostdlib", "-static", "-Wl,-e,last", "-o", vmlinux, source)
	if out, err := gcc.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ref := fmt.Sprintf("memory_subsys_offline+0x1/%#x", distance(t, vmlinux, "memory_subsys_offline"))
	text := "[    9.100001][   T41] WARNING: CPU: 0 PID: 41 at prog.c:3 " + ref + "\n" +
		"[    9.100003][   T41] RIP: 0010:" + ref + "\n[    9.100004][   T41] Call Trace:\n[    9.100006][   T41]  device_offline+0xd0/0x110\n"
	if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		flags []string
		want  []string
	}{
		{nil, []string{"memory_subsys_offline at ", "prog.c:3", "symbols "}},
		{[]string{"--lkml"}, []string{"RIP: 0010:" + ref + " (", "prog.c:3)"}},
		{[]string{"--json"}, []string{`"places":{"` + ref + `":[{"func":"memory_subsys_offline","file":"`, `prog.c","line":3}]}`, `"unlocated":["`}},
	} {
		a, stdout, stderr := testApp("")
		code := execute(t.Context(), a, slices.Concat([]string{"triage", "--vmlinux", vmlinux}, tt.flags, []string{log}))
		if code != 1 {
			t.Errorf("%q: exit code %d: %s", tt.flags, code, stderr)
		}
		for _, want := range tt.want {
			if !strings.Contains(stdout.String(), want) {
				t.Errorf("%q: no %q in %s", tt.flags, want, stdout)
			}
		}
	}
	t.Run("of the run's own kernel", func(t *testing.T) {
		run := filepath.Join(dir, "run", "x86_64", "guest-1")
		if err := os.MkdirAll(run, 0o700); err != nil {
			t.Fatal(err)
		}
		record := history.Case{Kernel: history.Kernel{Image: filepath.Join(dir, "bzImage")}}
		if err := history.WriteJSON(filepath.Join(run, "..", history.CaseFile), record); err != nil {
			t.Fatal(err)
		}
		own := filepath.Join(run, "console.log")
		if err := os.WriteFile(own, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for file, want := range map[string]bool{own: true, log: false} {
			a, stdout, stderr := testApp("")
			execute(t.Context(), a, []string{"triage", "--lkml", file})
			if strings.Contains(stdout.String(), "prog.c:3)") != want {
				t.Errorf("%s: %s%s", file, stdout, stderr)
			}
		}
	})
}

// distance is how far a symbol is from the next one.
func distance(t *testing.T, file, name string) uint64 {
	t.Helper()
	f, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(symbols, func(a, b elf.Symbol) int { return int(int64(a.Value) - int64(b.Value)) })
	for i, s := range symbols[:len(symbols)-1] {
		if s.Name == name {
			return symbols[i+1].Value - s.Value
		}
	}
	t.Fatalf("%s has no symbol %s with one behind it", file, name)
	return 0
}
