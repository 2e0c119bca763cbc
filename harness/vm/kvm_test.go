// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// kvmSpec is a guest that this host could run under KVM.
func kvmSpec(t *testing.T, mode string) Spec {
	t.Helper()
	s, _ := fakeSpec(t, mode)
	m := *testMachine
	m.KVMOn = runtime.GOARCH
	s.Machine, s.Version = &m, Version{10, 0, 2}
	t.Setenv("TMPDIR", t.TempDir())
	t.Cleanup(func() {
		if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
			t.Errorf("the probe left %v (%v)", left, err)
		}
	})
	return s
}

func TestBootUnderKVM(t *testing.T) {
	t.Run("boots", func(t *testing.T) {
		got, err := bootUnderKVM(t.Context(), kvmSpec(t, "well"), patience)
		if err != nil || !got.OK || got.Why != "" {
			t.Errorf("answer is %+v, %v", got, err)
		}
	})
	t.Run("spins for ever", func(t *testing.T) {
		got, err := bootUnderKVM(t.Context(), kvmSpec(t, "mute"), 2*time.Second)
		if err != nil || got.OK || got.Why != "a guest did not boot within 2s" {
			t.Errorf("answer is %+v, %v", got, err)
		}
	})
	t.Run("QEMU refuses", func(t *testing.T) {
		got, err := bootUnderKVM(t.Context(), kvmSpec(t, "exits"), patience)
		if err != nil || got.OK || !strings.Contains(got.Why, "unsupported machine type") {
			t.Errorf("answer is %+v, %v", got, err)
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		if _, err := bootUnderKVM(ctx, kvmSpec(t, "mute"), patience); !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v", err)
		}
	})
}

func TestProbeKVM(t *testing.T) {
	cache := filepath.Join(t.TempDir(), "kvm.json")
	s := kvmSpec(t, "well")
	s.Machine.KVMOn = "s390x"
	if got, err := ProbeKVM(t.Context(), s, cache, patience); err != nil || got.OK || got.Why != "a "+runtime.GOARCH+" host can't run it" {
		t.Errorf("on a foreign host the answer is %+v, %v", got, err)
	}
	s.Machine.KVMOn = runtime.GOARCH
	got, err := ProbeKVM(t.Context(), s, cache, patience)
	if access := unix.Access("/dev/kvm", unix.R_OK|unix.W_OK); access != nil {
		if err != nil || got.OK || got.Why != "/dev/kvm: "+access.Error() {
			t.Errorf("without /dev/kvm the answer is %+v, %v", got, err)
		}
		return
	}
	if err != nil || !got.OK {
		t.Errorf("the answer is %+v, %v", got, err)
	}
	s.Emulator = "/nonexistent" // it isn't asked again
	if again, err := ProbeKVM(t.Context(), s, cache, patience); err != nil || again != got {
		t.Errorf("the second answer is %+v, %v", again, err)
	}
	if known, ok := KnownKVM(s, cache); !ok || known != got {
		t.Errorf("what is known is %+v, %v", known, ok)
	}
}

// TestInterruptedProbe: what the user cut short is no answer to keep.
func TestInterruptedProbe(t *testing.T) {
	if unix.Access("/dev/kvm", unix.R_OK|unix.W_OK) != nil {
		t.Skip("this host has no /dev/kvm")
	}
	cache := filepath.Join(t.TempDir(), "kvm.json")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	s := kvmSpec(t, "mute")
	if _, err := ProbeKVM(ctx, s, cache, patience); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	if known, ok := KnownKVM(s, cache); ok {
		t.Errorf("kept: %+v", known)
	}
}

func TestKVMCache(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kvm.json")
	s := Spec{Machine: testMachine, Version: Version{10, 0, 2}}
	if _, ok := KnownKVM(s, file); ok {
		t.Error("something is known without a cache")
	}
	want := map[string]Usable{probeKey(s): {OK: true}, "another": {Why: "it spins"}}
	if err := writeAnswers(file, want); err != nil {
		t.Fatal(err)
	}
	if got := readAnswers(file); !reflect.DeepEqual(got, want) {
		t.Errorf("cache is %v, want %v", got, want)
	}
	if known, ok := KnownKVM(s, file); !ok || !known.OK {
		t.Errorf("known is %+v, %v", known, ok)
	}
	other := *testMachine
	other.Name = "other"
	for name, different := range map[string]Spec{
		"machine": {Machine: &other, Version: s.Version},
		"QEMU":    {Machine: testMachine, Version: Version{7, 2, 0}},
	} {
		if _, ok := KnownKVM(different, file); ok {
			t.Errorf("another %s has the same answer", name)
		}
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*.part")); err != nil || left != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := os.WriteFile(file, []byte(`{"cut of`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, ok := KnownKVM(s, file); ok {
		t.Error("a spoilt cache is believed")
	}
	if err := writeAnswers(filepath.Join(file, "below-a-file"), want); err == nil {
		t.Error("a cache that can't be written is no error")
	}
}
