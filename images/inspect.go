// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"

	"plugstorm/harness/blame"
)

// inspect makes sure that a file is a kernel that QEMU can boot on an
// architecture, and returns its version ("6.12.117 (user@host) #1 ..."), "" if
// the file doesn't say.
func inspect(arch *Arch, file string) (string, error) {
	next := "name a vmlinux for " + arch.Name
	if arch.BzImage {
		next = "name a bzImage for " + arch.Name
	}
	f, err := os.Open(file)
	if err != nil {
		return "", blame.On(blame.User, err, next)
	}
	defer f.Close()
	version, reason, err := inspectKernel(arch, f)
	if err != nil {
		return "", blame.On(blame.User, fmt.Errorf("reading kernel %s: %w", file, err), next)
	}
	if reason != "" {
		return "", blame.Errorf(blame.User, next, "%s is no kernel for %s: %s", file, arch.Name, reason)
	}
	return version, nil
}

// inspectKernel is inspect for bytes. reason says why it is no kernel for us.
func inspectKernel(arch *Arch, r io.ReaderAt) (version, reason string, err error) {
	head := make([]byte, 0x268) // the x86 setup header ends here
	if _, err := r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return "", "", err
	}
	switch {
	case bytes.HasPrefix(head, []byte(elf.ELFMAG)):
		return inspectELF(arch, r)
	case arch.BzImage && string(head[0x202:0x206]) == "HdrS":
		return inspectBzImage(head, r)
	case string(head[0x202:0x206]) == "HdrS":
		return "", "it is an x86 bzImage", nil
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return "", "it is compressed with gzip; unpack it first", nil
	}
	return "", "it is neither ELF nor a bzImage", nil
}

// inspectBzImage reads the setup header (Documentation/arch/x86/boot.rst).
func inspectBzImage(head []byte, r io.ReaderAt) (version, reason string, err error) {
	const (
		bootProtocol = 0x206
		kernelName   = 0x20e // offset of the version string, less 0x200
		xloadflags   = 0x236 // since protocol 2.12
		kernel64     = 1 << 0
	)
	if binary.LittleEndian.Uint16(head[bootProtocol:]) < 0x020c || binary.LittleEndian.Uint16(head[xloadflags:])&kernel64 == 0 {
		return "", "it is no 64-bit kernel", nil
	}
	text := make([]byte, 256)
	n, err := r.ReadAt(text, int64(binary.LittleEndian.Uint16(head[kernelName:]))+0x200)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", "", err
	}
	name, _, _ := bytes.Cut(text[:n], []byte{0})
	return string(name), "", nil
}

// inspectELF looks at a vmlinux.
func inspectELF(arch *Arch, r io.ReaderAt) (version, reason string, err error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return "", "it is a broken ELF file: " + err.Error(), nil
	}
	if f.Machine != arch.Machine || f.Data != arch.Data || f.Class != elf.ELFCLASS64 {
		return "", fmt.Sprintf("it is an ELF file for %v, %v, %v", f.Machine, f.Class, f.Data), nil
	}
	if f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return "", fmt.Sprintf("it is an ELF file of type %v", f.Type), nil
	}
	version, err = bannerOf(f)
	if err != nil || version == "" {
		return "", "there is no Linux banner in it", err
	}
	if arch.BzImage && !hasPVH(f) {
		return "", "it is a vmlinux without CONFIG_PVH, which QEMU can't boot", nil
	}
	return version, "", nil
}

var banner = regexp.MustCompile(`Linux version ([0-9][\x20-\x7e]{0,400})\n`)

// bannerOf finds linux_banner (init/version.c) in the loaded segments.
func bannerOf(f *elf.File) (string, error) {
	const overlap = 512
	for _, p := range f.Progs {
		if p.Type != elf.PT_LOAD {
			continue
		}
		r, buf, kept := p.Open(), make([]byte, 1<<20), 0
		for {
			n, err := io.ReadFull(r, buf[kept:])
			if m := banner.FindSubmatch(buf[:kept+n]); m != nil {
				return string(m[1]), nil
			}
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				break
			}
			if err != nil {
				return "", err
			}
			kept = copy(buf, buf[kept+n-overlap:kept+n])
		}
	}
	return "", nil
}

// hasPVH looks for the note XEN_ELFNOTE_PHYS32_ENTRY (include/xen/interface/
// elfnote.h), by which QEMU finds the entry of a vmlinux.
func hasPVH(f *elf.File) bool {
	const phys32Entry = 18
	note := append(binary.LittleEndian.AppendUint32(nil, phys32Entry), "Xen\x00"...)
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE || p.Filesz > 1<<20 {
			continue
		}
		data := make([]byte, p.Filesz)
		if _, err := p.ReadAt(data, 0); err == nil && bytes.Contains(data, note) {
			return true
		}
	}
	return false
}
