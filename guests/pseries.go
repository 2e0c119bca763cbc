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

// What "info pic" says of an interrupt presenter (QEMU hw/intc/xics.c
// icp_pic_print_info): the first two digits of XIRR are the priority that an
// interrupt must beat (the lower, the more urgent), the others name the source of
// one that the CPU has not taken yet; PP and MFRR are the priorities of that one
// and of an IPI on its way, ff if there is none.
var (
	// interrupted matches a CPU with an interrupt that it has not taken yet. No
	// QEMU raises it anew in a restored guest.
	interrupted = regexp.MustCompile(`XIRR=[0-9a-f]{2}0*[1-9a-f]`)
	// inService matches a boot CPU between H_XIRR, which made the priority that of
	// an interrupt, and H_EOI, which says what it is from then on
	// (arch/powerpc/sysdev/xics/icp-hv.c icp_hv_eoi).
	inService = regexp.MustCompile(`(?m)^CPU 0 XIRR=(?:0[1-9a-f]|[1-9a-e][0-9a-f]|f[0-9a-e])000000 .* PP=ff MFRR=ff\b`)
)

func pseries(name, arch, goarch, doc string) *vm.Machine {
	return &vm.Machine{
		Name:    name,
		Doc:     doc,
		QEMU:    "qemu-system-ppc64",
		Package: "qemu-system-ppc",
		Type:    "pseries,resize-hpt=enabled,usb=off",
		// Without it no kernel has huge pages, neither hugetlb's nor transparent ones. KVM
		// gives them only with as large pages behind the guest's memory.
		TypeOn: map[vm.Accel]string{vm.TCG: "cap-hpt-max-page-size=16m"},
		CPU:    map[vm.Accel]string{vm.TCG: "power8", vm.KVM: "host"},
		KVMOn:  "ppc64le",
		Devices: []string{
			"-device", "spapr-vty,reg=0x30000000,chardev=console",
			"-device", "spapr-vty,reg=0x30001000,chardev=spare",
		},
		Console:    "hvc0",
		Spare:      "hvc1",
		VirtioPort: "virtio-serial-pci",
		// A huge page has 16 MiB: only who asks for one gets it, or the workloads' heaps would
		// fill the guest.
		KernelArgs: append(commonArgs(), "disable_radix", "transparent_hugepage=madvise"),
		BreakSysRq: []byte{0x0f}, // ^O, drivers/tty/hvc/hvc_console.c
		Arch:       arch,
		GOARCH:     goarch,
		MemMiB:     1024,
		MaxMemMiB:  16384,
		DIMM: vm.DIMMGeometry{
			UnitMiB: 256, Slots: 32, QEMUMax: 32, Node: 1,
			// An LMB's connector has its number below its type (QEMU hw/ppc/spapr_drc.c spapr_drc_index).
			RemoveRequest: "memory remove indexed-count %d 0x8%07x",
		},
		VCPU: vm.VCPUModel{
			Driver: "%s-spapr-cpu-core", Key: "core-id", Props: "core-id=%d",
			SMP:  "2,sockets=1,cores=%[1]d,threads=1,maxcpus=%[1]d",
			Boot: 2, Plug: 2, Max: 8,
			// With one thread a core, the index of its connector is the number with the
			// type above it (QEMU hw/ppc/spapr_drc.c spapr_drc_index).
			AddRequest: "cpu add index 0x1%07x",
		},
		BootReference: 8 * time.Second,
		Unsettled:     interrupted,
		Defects: []vm.Defect{
			{
				ID: "tcg-spapr-restore-cppr", Accel: vm.TCG, SaveWhile: inService,
				Doc: "QEMU (seen with 10.0.2; 9.2 up to where it got \"hw/intc/xics: Add missing call to register vmstate_icp_server\" in 2025) does not save the interrupt presenters of pseries: a restored CPU starts with priority 0 and is interrupted by no device. Guests are saved in the middle of an external interrupt, at whose end their kernel sets the priority anew.",
			},
			{
				ID: "tcg-spapr-restore-deaf", Accel: vm.TCG, RestoresOne: true,
				Doc: "QEMU (seen with 10.0.2; until \"target/ppc: Fix env->quiesced migration\" of 2026) forgets to save that a pseries CPU was started: all but the first one take no interrupts in a restored guest (CPUPPCState.quiesced, which only RTAS start-cpu clears). Guests boot on one CPU (maxcpus=1); the others come online after the guest was saved or restored.",
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
