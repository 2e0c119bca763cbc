// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestSnapshotCheck(t *testing.T) {
	fresh := func() *Snapshot {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, stateFile), []byte("the state"), 0o600); err != nil {
			t.Fatal(err)
		}
		s := &Snapshot{Dir: dir, Name: "a guest", Console: 4, Pace: Pace{Boot: 1, Starved: 0.5, Work: 2}}
		if err := s.write(t.Context(), dir, []byte("boot")); err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := fresh()
	read, err := OpenSnapshot(s.Dir)
	if err != nil || !reflect.DeepEqual(read, s) || read.Check(t.Context()) != nil {
		t.Errorf("written %+v, read %+v, %v; %v", s, read, err, read.Check(t.Context()))
	}
	for file, text := range map[string]string{stateFile: "the stat", BootLog: "boo"} {
		s := fresh()
		if err := os.WriteFile(filepath.Join(s.Dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenSnapshot(s.Dir); !errors.Is(err, errDamaged) {
			t.Errorf("%s is too short: %v", file, err)
		}
	}
	s = fresh()
	if err := os.WriteFile(filepath.Join(s.Dir, stateFile), []byte("the stade"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); !errors.Is(err, errDamaged) {
		t.Errorf("a byte of the state has changed: %v", err)
	}
	if err := os.Remove(filepath.Join(s.Dir, stateFile)); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is no state: %v", err)
	}
	if _, err := OpenSnapshot(s.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is no state: %v", err)
	}
}

func TestCanSnapshot(t *testing.T) {
	if CanSnapshot(testMachine, TCG, Version{8, 1, 9}) == nil || CanSnapshot(testMachine, TCG, Version{8, 2, 0}) != nil || CanSnapshot(testMachine, TCG, Version{10, 0, 2}) != nil {
		t.Error("file migration came with QEMU 8.2")
	}
	unable := *testMachine
	unable.Defects = []Defect{{ID: "loses-all", Doc: "it loses all", Accel: TCG, Below: Version{10, 1, 0}, NoSnapshot: true}}
	if err := CanSnapshot(&unable, TCG, Version{10, 0, 2}); err == nil || !strings.Contains(err.Error(), "it loses all") {
		t.Errorf("a machine whose guests can't be restored: %v", err)
	}
	if CanSnapshot(&unable, KVM, Version{10, 0, 2}) != nil || CanSnapshot(&unable, TCG, Version{10, 1, 0}) != nil {
		t.Error("another accelerator, and a QEMU in which it is mended")
	}
}

// TestIdentity: whatever changes a guest changes its identity.
func TestIdentity(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	base := Spec{Machine: testMachine, Accel: TCG, Emulator: file("qemu", "1"), Version: Version{10, 0, 2}, Kernel: file("kernel", "1"), Initramfs: "/i"}
	of := func(s Spec) []string {
		identity, err := Identity(s)
		if err != nil {
			t.Fatal(err)
		}
		return identity
	}
	same := base
	same.Dir, same.Incoming = "/elsewhere", "/cache/state"
	if !slices.Equal(of(base), of(same)) {
		t.Errorf("a restored guest has another identity:\n%q\n%q", of(base), of(same))
	}
	seen := map[string]string{strings.Join(of(base), "\n"): "the base"}
	for name, change := range map[string]func(*Spec){
		"emulator":    func(s *Spec) { s.Emulator = file("qemu2", "1") },
		"version":     func(s *Spec) { s.Version.Micro++ },
		"kernel":      func(s *Spec) { s.Kernel = file("kernel2", "22") },
		"initramfs":   func(s *Spec) { s.Initramfs = "/j" },
		"arguments":   func(s *Spec) { s.KernelArgs = []string{"quiet"} },
		"accelerator": func(s *Spec) { s.Accel = KVM },
		"machine":     func(s *Spec) { m := *testMachine; m.MemMiB++; s.Machine = &m },
	} {
		s := base
		change(&s)
		key := strings.Join(of(s), "\n")
		if other, ok := seen[key]; ok {
			t.Errorf("another %s gives the identity of %s", name, other)
		}
		seen[key] = name
	}
	if _, err := Identity(Spec{Machine: testMachine, Accel: TCG, Emulator: "/nowhere", Kernel: base.Kernel}); err == nil {
		t.Error("an emulator that doesn't exist has an identity")
	}
}
