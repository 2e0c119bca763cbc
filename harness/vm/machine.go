// SPDX-License-Identifier: Apache-2.0

// Package vm starts, watches and ends a virtual machine. What differs between
// machines is data in Machine; what differs between ways to run one is a
// Backend.
package vm

import (
	"regexp"
	"time"

	"plugstorm/harness/catalog"
)

// An Accel is a QEMU accelerator.
type Accel string

// The accelerators we know.
const (
	TCG Accel = "tcg"
	KVM Accel = "kvm"
)

// A Machine is everything that differs between x86_64 and pseries: data, no
// switches. Machines live in package guests, a file each.
type Machine struct {
	Name, Doc string

	QEMU       string             // the emulator's binary, found in $PATH
	Package    string             // the Debian package that holds it
	Type       string             // value of -machine, accelerator apart
	TypeOn     map[Accel]string   // what it says more on an accelerator, behind a comma
	CPU        map[Accel]string   // value of -cpu
	KVMOn      string             // host GOARCH that can run it under KVM
	Devices    []string           // further arguments: consoles' devices, in pairs as QEMU takes them
	Console    string             // the kernel's name of the console ("ttyS0")
	Spare      string             // the kernel's name of the spare serial line
	VirtioPort string             // the bus-specific virtio-serial controller ("virtio-serial-pci")
	KernelArgs []string           // kernel command line, console apart
	ArgsOn     map[Accel][]string // what it says more on an accelerator
	BreakSysRq []byte             // typed on the console before a SysRq letter; nil means a serial BREAK

	Arch   string // the kernel's row in images ("x86_64", "ppc64le")
	GOARCH string // the agent's

	MemMiB    int // boot memory, on node 0
	MaxMemMiB int
	DIMM      DIMMGeometry
	VCPU      VCPUModel

	// BootReference is the time from QEMU's start to the agent's hello on the
	// reference host (2 cores, TCG, idle). The guest's own boot time over this
	// is its slowness, and every deadline is stretched by it.
	BootReference time.Duration

	// Unsettled matches what QEMU says of its interrupt controllers ("info pic")
	// while the guest must not be saved; nil for never.
	Unsettled *regexp.Regexp

	Defects []Defect
}

// DIMMGeometry says what DIMMs a machine takes.
type DIMMGeometry struct {
	UnitMiB int // sizes are multiples of this: the memory block (x86_64) or LMB (pseries)
	Slots   int
	QEMUMax int // slots that QEMU gives the machine at most
	Node    int // the NUMA node DIMMs go to; it has no memory of its own

	// AddEvent is the QMP event that completes an add, or "": the guest must
	// confirm (pseries has none).
	AddEvent string

	// RemoveRequest is what a guest that has given up a DIMM's removal, and didn't
	// tell QEMU, writes to /sys/kernel/dlpar to try again; its fmt verbs are for
	// the number of units and the first one's. "" if QEMU may be asked again.
	RemoveRequest string
}

// VCPUModel says how vCPUs come and go.
type VCPUModel struct {
	Driver string // QEMU's device for cold-plugging, fmt verb %s is the CPU model: "%s-x86_64-cpu", "%s-spapr-cpu-core"
	Key    string // the property that counts vCPUs: "socket-id", "core-id"
	Props  string // all properties, fmt verb %d is the vCPU's number
	SMP    string // value of -smp, fmt verb %[1]d is Max

	Boot int // vCPUs that are always there: 0 … Boot-1
	Plug int // vCPUs that come and go: Boot … Boot+Plug-1
	Max  int // maxcpus; larger than Boot+Plug buys re-adds, see Defects

	// ColdPlugged says that the pluggable vCPUs are present at boot: an x86_64
	// kernel that sees no known hypervisor ignores disabled MADT entries since
	// 6.9 (arch/x86/kernel/acpi/boot.c acpi_parse_x2apic), so a vCPU that was
	// never there can't be added.
	ColdPlugged bool

	GuestOnlines bool // a re-added vCPU must be brought online by the guest

	// AddRequest is what a guest that has given up a plugged vCPU writes to
	// /sys/kernel/dlpar to try again, its fmt verb is for the vCPU's number; "" if it can't.
	AddRequest string
}

// Fresh lists those of the n last pluggable vCPUs that are there at boot.
func (m VCPUModel) Fresh(n int) []int {
	var all []int
	for i := m.Boot + m.Plug - n; m.ColdPlugged && i < m.Boot+m.Plug; i++ {
		all = append(all, i)
	}
	return all
}

// A Defect is a known defect of some QEMU versions that we steer around. A
// zero field doesn't restrict.
type Defect struct {
	ID, Doc string // Doc: what breaks, how we avoid it
	Accel   Accel
	Below   Version // fixed in; zero means not fixed yet

	NoVCPURemove bool // never remove a vCPU
	VCPUAddsMax  bool // vCPUs may be added at most VCPU.Max times in all, cold-plugged ones included
	VCPUReAdds   int  // vCPUs may be added at most so often after boot; 0 for no limit
	RestoresOne  bool // of a restored guest, only the CPU lives that it booted on
	NoSnapshot   bool // guests are neither saved nor restored

	// SaveWhile is what "info pic" has to say of a guest at the moment at which it
	// is saved, for those who go on from it to hear interrupts; nil for anything.
	SaveWhile *regexp.Regexp
}

// Machines is the catalog of all machines.
var Machines = catalog.New("machine", func(m *Machine) (string, string) { return m.Name, m.Doc })

// Applies reports whether the defect is in a QEMU of version v under accel a.
func (d Defect) Applies(a Accel, v Version) bool {
	if d.Accel != "" && d.Accel != a {
		return false
	}
	return d.Below == Version{} || v.Less(d.Below)
}
