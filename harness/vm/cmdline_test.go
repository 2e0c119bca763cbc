// SPDX-License-Identifier: Apache-2.0

package vm_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	_ "plugstorm/guests"
	"plugstorm/harness/vm"
)

var update = flag.Bool("update", false, "rewrite golden files")

// golden compares text with testdata/name, or writes it there.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s written: look at the difference", path)
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("%s (-want +got; go test -update if it is meant to change):\n%s", path, diff)
	}
}

func TestArgs(t *testing.T) {
	for _, m := range vm.Machines.All() {
		for _, accel := range []vm.Accel{vm.TCG, vm.KVM} {
			t.Run(m.Name+"-"+string(accel), func(t *testing.T) {
				args := vm.Args(&vm.Spec{
					Machine: m, Accel: accel, Kernel: "/cache/kernel", Initramfs: "/cache/initramfs", KernelArgs: []string{"slab_nomerge"},
					HoldEnd: true,
				})
				golden(t, filepath.Join("args", m.Name+"-"+string(accel)+".txt"), lines(args))
			})
		}
	}
}

// lines writes arguments as a person reads them: an option a line.
func lines(args []string) string {
	var b strings.Builder
	for i, arg := range args {
		switch {
		case i == 0:
		case strings.HasPrefix(arg, "-"):
			b.WriteByte('\n')
		default:
			b.WriteByte(' ')
		}
		b.WriteString(vm.Shell(arg))
	}
	return b.String() + "\n"
}

// TestColdDIMMs: they go to the DIMMs' node, fit into the machine's memory, and
// are no other devices' namesakes.
func TestColdDIMMs(t *testing.T) {
	for _, m := range vm.Machines.All() {
		with := lines(vm.Args(&vm.Spec{Machine: m, Accel: vm.TCG, ColdDIMMs: 2}))
		without := lines(vm.Args(&vm.Spec{Machine: m, Accel: vm.TCG}))
		var added []string
		for line := range strings.Lines(with) {
			if !strings.Contains(without, line) {
				added = append(added, strings.TrimSpace(line))
			}
		}
		mib, node := 2*m.DIMM.UnitMiB, m.DIMM.Node
		want := []string{
			fmt.Sprintf("-object memory-backend-ram,id=cold-mem0,size=%dM", mib), fmt.Sprintf("-device pc-dimm,id=cold0,memdev=cold-mem0,node=%d", node),
			fmt.Sprintf("-object memory-backend-ram,id=cold-mem1,size=%dM", mib), fmt.Sprintf("-device pc-dimm,id=cold1,memdev=cold-mem1,node=%d", node),
		}
		if diff := cmp.Diff(want, added); diff != "" {
			t.Errorf("%s: %s", m.Name, diff)
		}
		if m.MemMiB+2*mib > m.MaxMemMiB {
			t.Errorf("%s: no room for them", m.Name)
		}
	}
}

// TestArgsAreFresh: what one guest's arguments are changed to is no other's.
func TestArgsAreFresh(t *testing.T) {
	for _, m := range vm.Machines.All() {
		s := &vm.Spec{Machine: m, Accel: vm.TCG, KernelArgs: make([]string, 0, 8)}
		first := lines(vm.Args(s))
		changed := append(vm.KernelArgs(s), "x")
		for i := range changed {
			changed[i] = "spoilt"
		}
		for i, args := 0, vm.Args(s); i < len(args); i++ {
			args[i] = "spoilt"
		}
		if lines(vm.Args(s)) != first {
			t.Errorf("%s: its arguments were spoilt", m.Name)
		}
	}
}

func TestShell(t *testing.T) {
	for _, tt := range []struct {
		words []string
		want  string
	}{
		{nil, ""},
		{[]string{""}, "''"},
		{[]string{"qemu", "-m", "1024M,slots=32", "/a/b-c_d.e:f@g%h+i"}, "qemu -m 1024M,slots=32 /a/b-c_d.e:f@g%h+i"},
		{[]string{"a b"}, "'a b'"},
		{[]string{"it's"}, `'it'\''s'`},
		{[]string{"$HOME", "`x`", `"`, `\`, "*", "~", "a;b", "#"}, "'$HOME' '`x`' '\"' '\\' '*' '~' 'a;b' '#'"},
	} {
		if got := vm.Shell(tt.words...); got != tt.want {
			t.Errorf("%q is quoted as %s, want %s", tt.words, got, tt.want)
		}
	}
}

// TestShellReadsItBack asks a shell.
func TestShellReadsItBack(t *testing.T) {
	var words []string
	word := rapid.StringMatching(`[^\x00]{0,12}`)
	for i := range 500 {
		words = append(words, word.Example(i))
	}
	words = append(words, "", "'", "''", "\n", "a\nb", "-n", "é")
	out, err := exec.Command("/bin/sh", "-c", "printf '%s\\0' "+vm.Shell(words...)).Output()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(words, strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")); diff != "" {
		t.Errorf("-quoted +read:\n%s", diff)
	}
}
