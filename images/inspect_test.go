// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"plugstorm/harness/blame"
)

// bzImage makes the part of a bzImage that we look at.
func bzImage(protocol, xloadflags uint16) []byte {
	b := make([]byte, 0x1000)
	copy(b[0x202:], "HdrS")
	binary.LittleEndian.PutUint16(b[0x206:], protocol)
	binary.LittleEndian.PutUint16(b[0x20e:], 0x400)
	binary.LittleEndian.PutUint16(b[0x236:], xloadflags)
	copy(b[0x600:], "6.12.117-test (u@h) #1\x00")
	return b
}

// vmlinux makes an ELF file with one loaded segment and perhaps a note.
func vmlinux(order binary.ByteOrder, data elf.Data, machine elf.Machine, text, note string) []byte {
	const head, phdr = 64, 56
	ident := [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(data), 1}
	var b bytes.Buffer
	write := func(v any) {
		if err := binary.Write(&b, order, v); err != nil {
			panic(err) // fixed-size values into memory
		}
	}
	write(elf.Header64{
		Ident: ident, Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: 1,
		Phoff: head, Ehsize: head, Phentsize: phdr, Phnum: 2, Shentsize: 64,
	})
	write(elf.Prog64{Type: uint32(elf.PT_LOAD), Off: head + 2*phdr, Filesz: uint64(len(text)), Memsz: uint64(len(text))})
	write(elf.Prog64{Type: uint32(elf.PT_NOTE), Off: head + 2*phdr + uint64(len(text)), Filesz: uint64(len(note))})
	b.WriteString(text + note)
	return b.Bytes()
}

func TestInspect(t *testing.T) {
	const pvh = "\x04\x00\x00\x00\x08\x00\x00\x00\x12\x00\x00\x00Xen\x00\x00\x00\x00\x01\x00\x00\x00\x00"
	linux := strings.Repeat("\x00", 1<<20-20) + "Linux version 6.12.117-test (u@h) #1\n" // across a buffer's end
	le, be := binary.LittleEndian, binary.BigEndian
	for name, tc := range map[string]struct {
		arch   *Arch
		file   []byte
		refuse string // "" for a kernel
	}{
		"bzImage":              {X8664, bzImage(0x20f, 1), ""},
		"32-bit bzImage":       {X8664, bzImage(0x20f, 0), "no 64-bit"},
		"old bzImage":          {X8664, bzImage(0x200, 1), "no 64-bit"},
		"bzImage on pseries":   {PPC64LE, bzImage(0x20f, 1), "x86 bzImage"},
		"little-endian":        {PPC64LE, vmlinux(le, elf.ELFDATA2LSB, elf.EM_PPC64, linux, ""), ""},
		"big-endian":           {PPC64, vmlinux(be, elf.ELFDATA2MSB, elf.EM_PPC64, linux, ""), ""},
		"wrong endian":         {PPC64LE, vmlinux(be, elf.ELFDATA2MSB, elf.EM_PPC64, linux, ""), "EM_PPC64"},
		"wrong machine":        {PPC64LE, vmlinux(le, elf.ELFDATA2LSB, elf.EM_X86_64, linux, ""), "EM_X86_64"},
		"some program":         {PPC64LE, vmlinux(le, elf.ELFDATA2LSB, elf.EM_PPC64, "hello", ""), "banner"},
		"x86 vmlinux":          {X8664, vmlinux(le, elf.ELFDATA2LSB, elf.EM_X86_64, linux, ""), "PVH"},
		"x86 vmlinux with PVH": {X8664, vmlinux(le, elf.ELFDATA2LSB, elf.EM_X86_64, linux, pvh), ""},
		"gzip":                 {PPC64LE, []byte("\x1f\x8b\x08 and more"), "gzip"},
		"empty":                {X8664, nil, "neither"},
		"text":                 {X8664, []byte("#!/bin/sh\n"), "neither"},
		"cut off":              {PPC64LE, vmlinux(le, elf.ELFDATA2LSB, elf.EM_PPC64, linux, "")[:40], "broken"},
		"offset past the end":  {X8664, bzImage(0x20f, 1)[:0x300], ""},
	} {
		t.Run(name, func(t *testing.T) {
			version, reason, err := inspectKernel(tc.arch, bytes.NewReader(tc.file))
			if err != nil {
				t.Fatal(err)
			}
			if tc.refuse == "" && reason != "" || !strings.Contains(reason, tc.refuse) {
				t.Errorf("refused with %q, want %q", reason, tc.refuse)
			}
			if reason == "" && len(tc.file) > 0x300 && !strings.HasPrefix(version, "6.12.117-test") {
				t.Errorf("version %q", version)
			}
		})
	}
}

func TestPrebuilt(t *testing.T) {
	s := &Store{Dir: filepath.Join(t.TempDir(), "cache"), Modules: fstest.MapFS{"ours.c": {}}}
	file := filepath.Join(t.TempDir(), "my kernel")
	if err := os.WriteFile(file, bzImage(0x20f, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := s.Prebuilt(t.Context(), X8664, file)
	if err != nil {
		t.Fatal(err)
	}
	if !k.Prebuilt || k.Release != "6.12.117-test" || k.Name != "6.12.117-test (my kernel)" || !strings.Contains(k.Omitted[0], "ours") {
		t.Errorf("kernel %+v", k)
	}
	// The kernel of a run stays what it is when the user builds another one.
	if err := os.WriteFile(file, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(k.Image); err != nil || !bytes.Equal(data, bzImage(0x20f, 1)) {
		t.Errorf("the copy changed (%v)", err)
	}
	for _, bad := range []string{file, "/nonexistent", t.TempDir()} {
		if _, err := s.Prebuilt(t.Context(), X8664, bad); blame.Of(err) != blame.User || blame.Next(err) == "" {
			t.Errorf("%s: %v, next %q", bad, err, blame.Next(err))
		}
	}
}
