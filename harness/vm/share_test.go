// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestSumMemory: the hash is of what a guest sees, however the file lies on the
// disk, and of all of it.
func TestSumMemory(t *testing.T) {
	dir := t.TempDir()
	n := 0
	hash := func(t interface{ Fatal(...any) }, size int64, pages map[int64][]byte) string {
		n++
		file := filepath.Join(dir, string(rune('a'+n%20)))
		_ = os.Remove(file)
		if err := makeHole(file, size); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(file, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for at, text := range pages {
			if _, err := f.WriteAt(text, at); err != nil {
				t.Fatal(err)
			}
		}
		sum, err := sumMemory(context.Background(), file)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	const size = 3 << 20
	base := hash(t, size, map[int64][]byte{pageBytes: []byte("one"), 2 << 20: []byte("two")})
	for name, same := range map[string]map[int64][]byte{
		"again":           {pageBytes: []byte("one"), 2 << 20: []byte("two")},
		"a hole filled":   {pageBytes: []byte("one"), 2 << 20: []byte("two"), 5 * pageBytes: zeroPage[:]},
		"filled all over": {0: append(append(make([]byte, pageBytes), "one"...), make([]byte, 2<<20-pageBytes-3)...), 2 << 20: []byte("two")},
	} {
		if got := hash(t, size, same); got != base {
			t.Errorf("%s: another hash", name)
		}
	}
	for name, other := range map[string]map[int64][]byte{
		"another byte":  {pageBytes: []byte("onf"), 2 << 20: []byte("two")},
		"another place": {2 * pageBytes: []byte("one"), 2 << 20: []byte("two")},
		"one less":      {pageBytes: []byte("one")},
		"one more":      {pageBytes: []byte("one"), 2 << 20: []byte("two"), size - 1: {1}},
		"nothing":       nil,
	} {
		if got := hash(t, size, other); got == base {
			t.Errorf("%s: the same hash", name)
		}
	}
	if hash(t, size, nil) == hash(t, size+pageBytes, nil) {
		t.Error("the length doesn't count")
	}
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.Int64Range(0, size-1).Draw(t, "at")
		if hash(t, size, map[int64][]byte{pageBytes: []byte("one"), 2 << 20: []byte("two"), at: {0xa5}}) == base {
			t.Fatalf("byte %d doesn't count", at)
		}
	})
	if _, err := sumMemory(t.Context(), filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// TestCheckShared: either file of the second form, and the length of the first
// one, can tell that a snapshot is damaged.
func TestCheckShared(t *testing.T) {
	fresh := func() *Snapshot {
		s := &Snapshot{Dir: t.TempDir(), Console: 4, Shared: &Shared{}}
		for file, text := range map[string]string{stateFile: "the state", devicesFile: "devices", memoryFile: "some memory"} {
			if err := os.WriteFile(filepath.Join(s.Dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var err, err2 error
		s.Shared.Bytes, s.Shared.Devices, err = sum(t.Context(), filepath.Join(s.Dir, devicesFile))
		s.Shared.Memory, err2 = sumMemory(t.Context(), filepath.Join(s.Dir, memoryFile))
		if err := errors.Join(err, err2, s.write(t.Context(), s.Dir, []byte("boot"))); err != nil {
			t.Fatal(err)
		}
		read, err := OpenSnapshot(s.Dir)
		if err != nil || *read.Shared != *s.Shared {
			t.Fatalf("read %+v, %v", read, err)
		}
		return read
	}
	if err := fresh().Check(t.Context()); err != nil {
		t.Errorf("whole: %v", err)
	}
	for file, text := range map[string]string{stateFile: "the stat", devicesFile: "devicez", memoryFile: "some memora"} {
		s := fresh()
		if err := os.WriteFile(filepath.Join(s.Dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.Check(t.Context()); !errors.Is(err, errDamaged) {
			t.Errorf("%s is damaged: %v", file, err)
		}
		if err := os.Remove(filepath.Join(s.Dir, file)); err != nil {
			t.Fatal(err)
		}
		if s.Check(t.Context()) == nil {
			t.Errorf("%s is gone, and all is well", file)
		}
	}
}

// TestMappedArgs: a guest that maps its memory differs in where that lies and in
// nothing else, and may not write to the file.
func TestMappedArgs(t *testing.T) {
	s := &Snapshot{Dir: "/cache/a,b"}
	if s.mapped() != nil {
		t.Error("a snapshot of one form is mapped")
	}
	s.Shared = &Shared{}
	read := Spec{Machine: testMachine, Accel: TCG, Kernel: "/k", Initramfs: "/i", Incoming: "/cache/a,b/state"}
	mapping := read
	mapping.Mapped = s.mapped()
	want := Args(&read)
	for i, arg := range want {
		switch {
		case strings.HasPrefix(arg, "memory-backend-ram,id=ram0,"):
			want[i] = "memory-backend-file,id=ram0,size=64M,mem-path=/cache/a,,b/memory,share=off,readonly=on,rom=off"
		case arg == "file:/cache/a,b/state":
			want[i] = "defer"
		}
	}
	if got := Args(&mapping); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestMappedCommand: what is pasted reads the state: nobody would tell a QEMU
// that waits to be told.
func TestMappedCommand(t *testing.T) {
	s := Spec{
		Machine: testMachine, Accel: TCG, Emulator: "/qemu", Kernel: "/k", Initramfs: "/i", Incoming: "/cache/state",
		Mapped: &Mapped{Memory: "/cache/memory", Devices: "/cache/devices"}, Dir: t.TempDir(),
	}
	if err := prepareDir(&s); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(s.Dir, CommandFile))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte("-incoming file:/cache/state")) || bytes.Contains(text, []byte("defer")) || !bytes.Contains(text, []byte("# plugstorm mapped the snapshot's memory from /cache/memory")) {
		t.Errorf("%s", text)
	}
	if s.Mapped == nil {
		t.Error("the guest itself reads it now")
	}
}

// TestShareFails: a snapshot that could not be given its second form is as good
// as before, and its directory as it was.
func TestShareFails(t *testing.T) {
	for _, tt := range []struct {
		mode    string
		version Version
		want    string
	}{
		{"well", Version{9, 2, 0}, "too old"},
		{"exits", Version{10, 0, 2}, "unsupported machine type"},
		{"refuses", Version{10, 0, 2}, "QEMU refused migrate-incoming"},
		{"breaks", Version{10, 0, 2}, "QEMU could not read the guest"},
	} {
		spec, _ := fakeSpec(t, tt.mode)
		spec.Version = tt.version
		s := &Snapshot{Dir: t.TempDir(), Name: "a guest", Console: 4}
		if err := os.WriteFile(filepath.Join(s.Dir, stateFile), []byte("the state"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.write(t.Context(), s.Dir, []byte("boot")); err != nil {
			t.Fatal(err)
		}
		err := QEMU.Share(within(t, patience), s, spec)
		if !errors.Is(err, errNoShare) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.mode, err, tt.want)
		}
		read, err := OpenSnapshot(s.Dir)
		if err != nil || read.Shared != nil || s.Shared != nil || read.Check(t.Context()) != nil {
			t.Errorf("%s: %+v, %v", tt.mode, read, err)
		}
		entries, err := os.ReadDir(s.Dir)
		if err != nil || len(entries) != 3 {
			t.Errorf("%s leaves %v, %v", tt.mode, entries, err)
		}
	}
}

// TestShare: the fake QEMU goes through the whole of it.
func TestShare(t *testing.T) {
	spec, _ := fakeSpec(t, "shares")
	spec.Version = Version{10, 0, 2}
	s := &Snapshot{Dir: t.TempDir(), Name: "a guest", Console: 4}
	if err := os.WriteFile(filepath.Join(s.Dir, stateFile), []byte("the state"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.write(t.Context(), s.Dir, []byte("boot")); err != nil {
		t.Fatal(err)
	}
	if err := QEMU.Share(within(t, patience), s, spec); err != nil {
		t.Fatal(err)
	}
	read, err := OpenSnapshot(s.Dir)
	if err != nil || read.Shared == nil || read.Check(t.Context()) != nil {
		t.Fatalf("%+v, %v, %v", read, err, read.Check(t.Context()))
	}
	devices, err := os.ReadFile(filepath.Join(s.Dir, devicesFile))
	const want = "capability events\nincoming the state\ncapability x-ignore-shared\ncapability events\n"
	if err != nil || string(devices) != want {
		t.Errorf("QEMU was told %q, want %q; %v", devices, want, err)
	}
	info, err := os.Stat(filepath.Join(s.Dir, memoryFile))
	if err != nil || info.Size() != int64(testMachine.MemMiB)<<20 {
		t.Errorf("the memory: %v, %v", info, err)
	}
}
