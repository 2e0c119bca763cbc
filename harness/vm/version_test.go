// SPDX-License-Identifier: Apache-2.0

package vm_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plugstorm/guests"
	"plugstorm/harness/blame"
	"plugstorm/harness/vm"
)

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]vm.Version{
		"QEMU emulator version 7.2.19 (Debian 1:7.2+dfsg-7+deb12u15)\nCopyright (c) 2003-2022 Fabrice Bellard": {7, 2, 19},
		"QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2~bpo12+1)\n":                                        {10, 0, 2},
		"QEMU emulator version 9.1.50 (v9.1.0-1234-gabcdef)":                                                   {9, 1, 50},
		"warning: x\nQEMU emulator version 8.0.0":                                                              {8, 0, 0},
	} {
		if got, err := vm.ParseVersion(text); err != nil || got != want {
			t.Errorf("%q is %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "7.2.19", "QEMU emulator version ten", "version 7.2", strings.Repeat("x", 1000)} {
		_, err := vm.ParseVersion(text)
		if err == nil || blame.Of(err) != blame.Host || blame.Next(err) == "" || len(err.Error()) > 200 {
			t.Errorf("%q: error is %v, of %q", text, err, blame.Of(err))
		}
	}
}

func TestVersionOrder(t *testing.T) {
	ascending := []vm.Version{{}, {0, 0, 1}, {7, 2, 0}, {7, 2, 19}, {7, 10, 0}, {8, 0, 0}, {10, 0, 2}}
	for i, a := range ascending {
		for j, b := range ascending {
			if a.Less(b) != (i < j) {
				t.Errorf("%s < %s is %v", a, b, a.Less(b))
			}
		}
	}
	if got := (vm.Version{Major: 10, Micro: 2}).String(); got != "10.0.2" {
		t.Errorf("version reads %q", got)
	}
}

func TestEmulator(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	for name, script := range map[string]string{
		"fine":    "echo 'QEMU emulator version 7.2.0 (Debian)'",
		"old":     "echo 'QEMU emulator version 7.1.9'",
		"broken":  "echo 'error while loading shared libraries: libfdt.so.1' >&2; exit 127",
		"strange": "echo hello",
	} {
		if err := os.WriteFile(filepath.Join(dir, "qemu-"+name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	path, v, err := vm.Emulator(t.Context(), &vm.Machine{QEMU: "qemu-fine"})
	if err != nil || path != filepath.Join(dir, "qemu-fine") || v != vm.Floor {
		t.Errorf("%s %s, %v", path, v, err)
	}
	for name, text := range map[string]string{
		"missing": "qemu-missing is not installed",
		"old":     "is version 7.1.9, plugstorm needs 7.2.0",
		"broken":  "exit status 127",
		"strange": `QEMU names no version in "hello\n"`,
	} {
		_, _, err := vm.Emulator(t.Context(), &vm.Machine{QEMU: "qemu-" + name, Package: "qemu-system-x86"})
		if err == nil || !strings.Contains(err.Error(), text) || blame.Of(err) != blame.Host {
			t.Errorf("%s: error is %v, of %q", name, err, blame.Of(err))
		}
		if next := blame.Next(err); next != "apt-get install qemu-system-x86" && next != "reinstall QEMU" {
			t.Errorf("%s: the next step is %q", name, next)
		}
	}
}

func TestDefectApplies(t *testing.T) {
	below8 := vm.Version{Major: 8}
	for _, tt := range []struct {
		defect vm.Defect
		accel  vm.Accel
		v      vm.Version
		want   bool
	}{
		{vm.Defect{}, vm.KVM, vm.Version{10, 0, 2}, true},
		{vm.Defect{Accel: vm.TCG}, vm.TCG, vm.Version{10, 0, 2}, true},
		{vm.Defect{Accel: vm.TCG}, vm.KVM, vm.Version{10, 0, 2}, false},
		{vm.Defect{Below: below8}, vm.KVM, vm.Version{7, 2, 19}, true},
		{vm.Defect{Below: below8}, vm.KVM, vm.Version{8, 0, 0}, false},
		{vm.Defect{Accel: vm.TCG, Below: below8}, vm.KVM, vm.Version{7, 2, 0}, false},
		{vm.Defect{Accel: vm.TCG, Below: below8}, vm.TCG, vm.Version{7, 2, 0}, true},
	} {
		if got := tt.defect.Applies(tt.accel, tt.v); got != tt.want {
			t.Errorf("%+v in %s %s: %v", tt.defect, tt.accel, tt.v, got)
		}
	}
}

// TestBudget: defects add up, and only those of this QEMU count.
func TestBudget(t *testing.T) {
	cold := vm.VCPUModel{Boot: 2, Plug: 3, Max: 16, ColdPlugged: true}
	warm := vm.VCPUModel{Boot: 2, Plug: 3, Max: 16}
	remove := vm.Defect{NoVCPURemove: true}
	contexts := vm.Defect{VCPUAddsMax: true}
	for _, tt := range []struct {
		name    string
		model   vm.VCPUModel
		defects []vm.Defect
		want    vm.Budget
	}{
		{"no defect", cold, nil, vm.Budget{VCPURemove: true, VCPUAdds: -1}},
		{"no removal", cold, []vm.Defect{remove}, vm.Budget{VCPUAdds: -1}},
		{"QEMU counts cold-plugged ones", cold, []vm.Defect{contexts}, vm.Budget{VCPURemove: true, VCPUAdds: 11}},
		{"nothing was cold-plugged", warm, []vm.Defect{contexts}, vm.Budget{VCPURemove: true, VCPUAdds: 14}},
		{"few re-adds", cold, []vm.Defect{{VCPUReAdds: 4}}, vm.Budget{VCPURemove: true, VCPUAdds: 4}},
		{"the narrowest counts", cold, []vm.Defect{{VCPUReAdds: 4}, contexts, remove, {VCPUReAdds: 9}}, vm.Budget{VCPUAdds: 4}},
		{"the narrowest counts, too", cold, []vm.Defect{{VCPUReAdds: 12}, contexts}, vm.Budget{VCPURemove: true, VCPUAdds: 11}},
		{"of another accelerator", cold, []vm.Defect{{Accel: vm.KVM, NoVCPURemove: true}}, vm.Budget{VCPURemove: true, VCPUAdds: -1}},
		{"mended", cold, []vm.Defect{{Below: vm.Version{Major: 8}, NoVCPURemove: true}}, vm.Budget{VCPURemove: true, VCPUAdds: -1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &vm.Machine{VCPU: tt.model, Defects: tt.defects}
			v := vm.VM{Spec: vm.Spec{Machine: m, Accel: vm.TCG, Version: vm.Version{Major: 10}}}
			if got := v.Budget(); got != tt.want {
				t.Errorf("budget is %+v, want %+v", got, tt.want)
			}
		})
	}
}

// TestBudgetsOfMachines: what was seen to break QEMU is never done to it.
func TestBudgetsOfMachines(t *testing.T) {
	bookworm, backports := vm.Version{7, 2, 19}, vm.Version{10, 0, 2}
	for _, tt := range []struct {
		m       *vm.Machine
		a       vm.Accel
		v       vm.Version
		removes bool
	}{
		{guests.X8664, vm.TCG, backports, true},
		{guests.X8664, vm.TCG, bookworm, false},
		{guests.PSeries, vm.TCG, backports, false},
		{guests.PSeries, vm.TCG, bookworm, false},
		{guests.PSeriesBE, vm.TCG, backports, false},
		{guests.X8664, vm.KVM, bookworm, true},
		{guests.PSeries, vm.KVM, backports, true},
	} {
		b := vm.BudgetOf(tt.m, tt.a, tt.v)
		if b.VCPURemove != tt.removes {
			t.Errorf("%s, %s %s: removal of vCPUs is %v", tt.m.Name, tt.a, tt.v, b.VCPURemove)
		}
		present := tt.m.VCPU.Boot
		if tt.m.VCPU.ColdPlugged {
			present += tt.m.VCPU.Plug
		}
		if tt.a == vm.TCG && (b.VCPUAdds < 0 || present+b.VCPUAdds > tt.m.VCPU.Max) {
			t.Errorf("%s: %d vCPUs at boot and %d adds are more than %d", tt.m.Name, present, b.VCPUAdds, tt.m.VCPU.Max)
		}
		if tt.a == vm.KVM && b.VCPUAdds != -1 {
			t.Errorf("%s under KVM is limited to %d adds", tt.m.Name, b.VCPUAdds)
		}
	}
}
