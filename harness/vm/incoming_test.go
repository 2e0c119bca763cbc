// SPDX-License-Identifier: Apache-2.0

package vm_test

import (
	"slices"
	"strings"
	"testing"

	"plugstorm/guests"
	"plugstorm/harness/vm"
)

// TestIncoming: a restored guest's command line is that of the one that was
// saved, and the file at its end.
func TestIncoming(t *testing.T) {
	for _, m := range guests.Default() {
		booted := vm.Spec{Machine: m, Accel: vm.TCG, Version: vm.Version{Major: 10}, Kernel: "/k", Initramfs: "/i", Savable: true}
		restored := booted
		restored.Incoming = "/cache/guests/x/state"
		want := append(vm.Args(&booted), "-incoming", "file:/cache/guests/x/state")
		if got := vm.Args(&restored); !slices.Equal(got, want) {
			t.Errorf("%s: arguments\n%q, want\n%q", m.Name, got, want)
		}
	}
}

// TestFreshVCPUs: those of the machines that have all vCPUs at boot leave the last ones
// alone then.
func TestFreshVCPUs(t *testing.T) {
	for m, want := range map[*vm.Machine]string{guests.X8664: "maxcpus=3", guests.PSeries: ""} {
		s := vm.Spec{Machine: m, Accel: vm.KVM, Version: vm.Version{Major: 10}, FreshVCPUs: 1}
		args := vm.KernelArgs(&s)
		i := slices.IndexFunc(args, func(a string) bool { return strings.HasPrefix(a, "maxcpus=") })
		if i < 0 && want != "" || i >= 0 && args[i] != want {
			t.Errorf("%s: %q, want %q", m.Name, args, want)
		}
		s.FreshVCPUs = 0
		if slices.Contains(vm.KernelArgs(&s), want) {
			t.Errorf("%s: %s although no vCPU is to be fresh", m.Name, want)
		}
	}
}

// TestBootsOnOneCPU: a pseries guest waits with its other CPUs where QEMU would
// restore them deaf, and nowhere else.
func TestBootsOnOneCPU(t *testing.T) {
	for _, tt := range []struct {
		machine *vm.Machine
		accel   vm.Accel
		savable bool
		want    bool
	}{
		{guests.PSeries, vm.TCG, true, true},
		{guests.PSeries, vm.TCG, false, false},
		{guests.PSeries, vm.KVM, true, false},
		{guests.X8664, vm.TCG, true, false},
	} {
		s := vm.Spec{Machine: tt.machine, Accel: tt.accel, Version: vm.Version{Major: 10}, Savable: tt.savable}
		if got := slices.Contains(vm.KernelArgs(&s), "maxcpus=1"); got != tt.want {
			t.Errorf("%s under %s, savable %v: maxcpus=1 is there: %v", tt.machine.Name, tt.accel, tt.savable, got)
		}
	}
}
