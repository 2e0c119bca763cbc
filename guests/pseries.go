// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"regexp"
	"time"

	"plugstorm/harness/vm"
)

// PSeries is the little-endian PAPR guest with a hash MMU (POWER8), where
// every DIMM that is added or removed may resize the hash page table:
// arch_add_memory -> resize_hpt_for_hotplug -> stop_machine_cpuslocked.
var PSeries = vm.Machines.Register(pseries("pseries", "ppc64le", "ppc64le",
	"PAPR guest (POWER8, hash MMU, HPT resizing, little-endian) with DLPAR hotplug of DIMMs (256 MiB LMBs) and cores"))

// PSeriesBE is the same guest in big-endian.
var PSeriesBE = vm.Machines.Register(pseries("pseries-be", "ppc64", "ppc64",
	"PAPR guest as pseries, big-endian; on demand only"))

// interrupted matches a CPU that an external interrupt is on its way to (XICS,
// "XIRR=ff001203": all but the first two digits name its source). A restored
// guest whose kernel lived and whose virtio channel was dead has been seen.
var interrupted = regexp.MustCompile(`XIRR=[0-9a-f]{2}0*[1-9a-f]`)

func pseries(name, arch, goarch, doc string) *vm.Machine {
	return &vm.Machine{
		Name:    name,
		Doc:     doc,
		QEMU:    "qemu-system-ppc64",
		Package: "qemu-system-ppc",
		Type:    "pseries,resize-hpt=enabled,usb=off",
		CPU:     map[vm.Accel]string{vm.TCG: "power8", vm.KVM: "host"},
		KVMOn:   "ppc64le",
		Devices: []string{
			"-device", "spapr-vty,reg=0x30000000,chardev=console",
			"-device", "spapr-vty,reg=0x30001000,chardev=spare",
		},
		Console:    "hvc0",
		Spare:      "hvc1",
		VirtioPort: "virtio-serial-pci",
		KernelArgs: append(commonArgs(), "disable_radix"),
		BreakSysRq: []byte{0x0f}, // ^O, drivers/tty/hvc/hvc_console.c
		Arch:       arch,
		GOARCH:     goarch,
		MemMiB:     1024,
		MaxMemMiB:  16384,
		DIMM:       vm.DIMMGeometry{UnitMiB: 256, Slots: 32, QEMUMax: 32, Node: 1},
		VCPU: vm.VCPUModel{
			Driver: "%s-spapr-cpu-core", Key: "core-id", Props: "core-id=%d",
			SMP:  "2,sockets=1,cores=%[1]d,threads=1,maxcpus=%[1]d",
			Boot: 2, Plug: 2, Max: 8,
		},
		BootReference: 8 * time.Second,
		Unsettled:     interrupted,
		Defects: []vm.Defect{
			{
				ID: "tcg-spapr-restore-channel", Accel: vm.TCG, NoSnapshot: true,
				Doc: "a pseries guest that QEMU (seen with 10.0.2) restores under TCG beats on its console, but most often does not hear its virtio-serial channel; the cause is not known. Its guests boot.",
			},
			{
				ID: "tcg-spapr-restore-deaf", Accel: vm.TCG, RestoresOne: true,
				Doc: "QEMU (seen with 10.0.2) forgets to save that a pseries CPU was started: all but the first one take no interrupts in a restored guest (CPUPPCState.quiesced, which only RTAS start-cpu clears). Guests boot on one CPU (maxcpus=1); the others come online after the guest was saved or restored.",
			},
			{
				ID: "tcg-vcpu-contexts", Accel: vm.TCG, VCPUAddsMax: true,
				Doc: "under TCG every vCPU ever added keeps its translation context; add number maxcpus+1 aborts QEMU (tcg_register_thread). We count the adds and stop before it.",
			},
			{
				ID: "tcg-spapr-vcpu-remove", Accel: vm.TCG, NoVCPURemove: true,
				Doc: "QEMU (seen up to 10.0.2) aborts about 0.5 s after the first removal of a pseries vCPU under TCG (qemu_mutex_lock_impl: mutex->initialized). We don't remove vCPUs there; CPUs still go offline and online.",
			},
		},
	}
}
