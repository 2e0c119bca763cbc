// SPDX-License-Identifier: Apache-2.0

package images

import (
	"debug/elf"
	"runtime"

	"plugstorm/harness/catalog"
)

// An Arch is everything that differs between the kernels we build: data, no
// switches.
type Arch struct {
	Name, Doc string

	KernelARCH   string   // make's ARCH
	CrossCompile string   // make's CROSS_COMPILE; not used on a host of the same GOARCH
	Fragment     string   // fragments/NAME.config, on top of the common ones
	Targets      []string // make targets, modules apart
	Image        string   // what QEMU boots, relative to the object directory
	GOARCH       string   // the agent's
	DebArch      string   // Debian's name
	GCCPackage   string   // the Debian package of the compiler
	StockPackage string   // Debian's meta package of the stock kernel; "" where there is none

	// What a kernel file of this architecture looks like.
	Machine elf.Machine
	Data    elf.Data
	BzImage bool // boots a bzImage; a plain vmlinux then needs a PVH entry
}

// Archs is the catalog of all kernel architectures.
var Archs = catalog.New("kernel architecture", func(a *Arch) (string, string) { return a.Name, a.Doc })

// The architectures.
var (
	X8664 = Archs.Register(&Arch{
		Name: "x86_64", Doc: "QEMU q35",
		KernelARCH: "x86_64", CrossCompile: "x86_64-linux-gnu-", Fragment: "x86_64",
		Targets: []string{"bzImage"}, Image: "arch/x86/boot/bzImage",
		GOARCH: "amd64", DebArch: "amd64", GCCPackage: "gcc-x86-64-linux-gnu", StockPackage: "linux-image-amd64",
		Machine: elf.EM_X86_64, Data: elf.ELFDATA2LSB, BzImage: true,
	})
	PPC64LE = Archs.Register(&Arch{
		Name: "ppc64le", Doc: "QEMU pseries, little-endian",
		KernelARCH: "powerpc", CrossCompile: "powerpc64le-linux-gnu-", Fragment: "ppc64le",
		Targets: []string{"vmlinux"}, Image: "vmlinux",
		GOARCH: "ppc64le", DebArch: "ppc64el", GCCPackage: "gcc-powerpc64le-linux-gnu", StockPackage: "linux-image-powerpc64le",
		Machine: elf.EM_PPC64, Data: elf.ELFDATA2LSB,
	})
	PPC64 = Archs.Register(&Arch{
		Name: "ppc64", Doc: "QEMU pseries, big-endian",
		KernelARCH: "powerpc", CrossCompile: "powerpc64-linux-gnu-", Fragment: "ppc64",
		Targets: []string{"vmlinux"}, Image: "vmlinux",
		GOARCH: "ppc64", DebArch: "ppc64", GCCPackage: "gcc-powerpc64-linux-gnu",
		Machine: elf.EM_PPC64, Data: elf.ELFDATA2MSB,
	})
)

// cross returns the compiler prefix to use on this host.
func (a *Arch) cross() string {
	if a.GOARCH == runtime.GOARCH {
		return ""
	}
	return a.CrossCompile
}

// compilerPackage is the Debian package that holds cross()+"gcc".
func (a *Arch) compilerPackage() string {
	if a.GOARCH == runtime.GOARCH {
		return "gcc"
	}
	return a.GCCPackage
}
