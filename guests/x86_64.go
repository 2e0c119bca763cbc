// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"time"

	"plugstorm/harness/vm"
)

// X8664 is QEMU's q35 PC: ACPI hotplug, DIMMs in memory blocks of 128 MiB.
var X8664 = vm.Machines.Register(&vm.Machine{
	Name:    "x86_64",
	Doc:     "q35 PC with ACPI hotplug of DIMMs (128 MiB blocks) and vCPUs",
	QEMU:    "qemu-system-x86_64",
	Package: "qemu-system-x86",
	Type:    "q35",
	CPU:     map[vm.Accel]string{vm.TCG: "max", vm.KVM: "host"},
	KVMOn:   "amd64",
	Devices: []string{
		"-device", "isa-serial,index=0,chardev=console",
		"-device", "isa-serial,index=1,chardev=spare",
	},
	Console:    "ttyS0",
	Spare:      "ttyS1",
	VirtioPort: "virtio-serial-pci",
	// On a busy host the emulated timer can be late for the kernel's test of it,
	// which then panics ("IO-APIC + timer doesn't work",
	// arch/x86/kernel/apic/io_apic.c check_timer): seen at a load of 10 on 2 CPUs.
	KernelArgs: append(commonArgs(), "edd=off", "no_timer_check"),
	// TCG's CPUs all read the host's counter, so they are in step (QEMU
	// system/cpu-timers.c cpu_get_ticks), which the kernel doesn't believe of several
	// sockets (arch/x86/kernel/tsc.c unsynchronized_tsc). Without it every look at the
	// clock is an exit to the emulated HPET under QEMU's big lock: 17 % of what a guest
	// did in a loop of DIMMs.
	ArgsOn:    map[vm.Accel][]string{vm.TCG: {"tsc=reliable"}},
	Arch:      "x86_64",
	GOARCH:    "amd64",
	MemMiB:    1024,
	MaxMemMiB: 16384,
	DIMM:      vm.DIMMGeometry{UnitMiB: 128, Slots: 32, QEMUMax: 256, Node: 1, AddEvent: "ACPI_DEVICE_OST"},
	VCPU: vm.VCPUModel{
		Driver: "%s-x86_64-cpu", Key: "socket-id", Props: "socket-id=%d,core-id=0,thread-id=0",
		SMP:  "1,sockets=%[1]d,cores=1,threads=1,maxcpus=%[1]d",
		Boot: 2, Plug: 2, Max: 64,
		ColdPlugged: true, GuestOnlines: true,
	},
	BootReference: 6 * time.Second,
	Defects: []vm.Defect{
		{
			ID: "tcg-vcpu-contexts", Accel: vm.TCG, VCPUAddsMax: true,
			Doc: "under TCG every vCPU ever added keeps its translation context; add number maxcpus+1 aborts QEMU (tcg_register_thread). We count the adds and stop before it.",
		},
		{
			ID: "tcg-vcpu-readd-state", Accel: vm.TCG, VCPUReAdds: 12,
			Doc: "QEMU 10.0.2 under TCG: after some 25 re-adds of vCPUs all guest processes fault at once at addresses in the middle of instructions (translation state mixed up). A guest is retired after 12.",
		},
		{
			ID: "tcg-vcpu-remove-heap", Accel: vm.TCG, Below: vm.Version{Major: 8}, NoVCPURemove: true,
			Doc: "QEMU 7.2 corrupts its heap soon after a vCPU is removed under TCG. We don't remove vCPUs there.",
		},
	},
})
