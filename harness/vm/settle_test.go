// SPDX-License-Identifier: Apache-2.0

package vm_test

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"plugstorm/guests"
	"plugstorm/harness/console"
	"plugstorm/harness/qmp"
	"plugstorm/harness/vm"
	"plugstorm/harness/vm/vmtest"
)

// pic is what QEMU says of a guest whose boot CPU's presenter is like that.
func pic(presenter string) string {
	return "CPU 0 " + presenter + "\r\nCPU 1 XIRR=00000000 ((nil)) PP=ff MFRR=ff\r\nICS 1000..1fff 0x56290d86cd00\r\n  1000 MSI 05 00\r\n"
}

const (
	idle      = "XIRR=ff000000 ((nil)) PP=ff MFRR=ff"
	arriving  = "XIRR=ff001301 (0x5650b0275440) PP=05 MFRR=ff"
	taken     = "XIRR=05000000 ((nil)) PP=ff MFRR=ff"
	takenMore = "XIRR=05001000 (0x5650b0275440) PP=04 MFRR=ff"
	takenIPI  = "XIRR=05000000 ((nil)) PP=ff MFRR=04"
	atReset   = "XIRR=00000000 ((nil)) PP=ff MFRR=ff"
)

// savePSeries has a pseries guest saved of which QEMU says one after the other of
// pics, and then the last one for ever. It returns what QEMU was told to do.
func savePSeries(t *testing.T, version vm.Version, pics ...string) (commands []string, err error) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		g, e := vmtest.Start(t.Context(), vm.Spec{
			Machine: guests.PSeries, Accel: vm.TCG, Version: version, Savable: true, Dir: t.TempDir(),
			Console: func(console.Chunk) error { return nil },
		}, vmtest.Character{Commands: map[string]vmtest.Handler{
			"human-monitor-command": func(*vmtest.Guest, json.RawMessage) (any, error) {
				asked++
				if text := pics[min(asked, len(pics))-1]; text != "" {
					return pic(text), nil
				}
				return nil, &qmp.Error{Class: "GenericError", Desc: "no"}
			},
		}})
		if e != nil {
			t.Fatal(e)
		}
		defer g.VM.Close()
		if _, e := g.VM.WaitAgent(t.Context()); e != nil {
			t.Fatal(e)
		}
		err = g.VM.Save(t.Context(), &vm.Snapshot{Dir: t.TempDir()}, func([]byte) error { return nil })
		commands = slices.DeleteFunc(g.Log(), func(s string) bool { return s != "stop" && s != "cont" && s != "migrate" })
	})
	return commands, err
}

// TestSaveWhile: a pseries guest is saved when its boot CPU has taken an external
// interrupt, and neither another nor an IPI is on its way.
func TestSaveWhile(t *testing.T) {
	commands, err := savePSeries(t, vm.Version{10, 0, 2}, idle, arriving, takenMore, takenIPI, atReset, taken)
	want := strings.Repeat("stop cont ", 5) + "stop migrate cont"
	if got := strings.Join(commands, " "); err != nil || got != want {
		t.Errorf("%v; QEMU was told\n%s, want\n%s", err, got, want)
	}
}

// TestNoMomentToSave: a guest that is never caught is not saved, and runs.
func TestNoMomentToSave(t *testing.T) {
	for name, last := range map[string]string{"idle for ever": idle, "QEMU doesn't say": ""} {
		commands, err := savePSeries(t, vm.Version{10, 0, 2}, idle, last)
		var refused *qmp.Error
		if err == nil || errors.As(err, &refused) != (last == "") || slices.Contains(commands, "migrate") || commands[len(commands)-1] != "cont" {
			t.Errorf("%s: %v; QEMU was told %d times, at last %q", name, err, len(commands), commands[len(commands)-1])
		}
	}
}

// TestSaveWhileIdentity: a guest that was saved at any moment is not one that was
// saved at the right one.
func TestSaveWhileIdentity(t *testing.T) {
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	careless := *guests.PSeries
	careless.Defects = slices.Clone(careless.Defects)
	for i := range careless.Defects {
		careless.Defects[i].SaveWhile = nil
	}
	of := func(m *vm.Machine) []string {
		identity, err := vm.Identity(vm.Spec{Machine: m, Accel: vm.TCG, Emulator: file, Kernel: file, Version: vm.Version{10, 0, 2}})
		if err != nil {
			t.Fatal(err)
		}
		return identity
	}
	if slices.Equal(of(guests.PSeries), of(&careless)) {
		t.Error("they have one identity")
	}
}
