// SPDX-License-Identifier: Apache-2.0

package bare_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"plugstorm/guests"
	"plugstorm/harness/bare"
	"plugstorm/harness/qmp"
	"plugstorm/harness/vm"
	"plugstorm/harness/vm/vmtest"
)

// with runs f with a fake guest of each machine that has booted, in a bubble
// where waiting costs nothing.
func with(t *testing.T, c vmtest.Character, f func(*testing.T, *vmtest.Guest, *bare.Loop)) {
	for _, m := range []*vm.Machine{guests.X8664, guests.PSeries} {
		t.Run(m.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var g *vmtest.Guest
				backend := &vm.Backend{Start: func(ctx context.Context, s vm.Spec) (*vm.VM, error) {
					var err error
					if g, err = vmtest.Start(ctx, s, c); err != nil {
						return nil, err
					}
					return g.VM, nil
				}}
				v, took, err := bare.Boot(t.Context(), backend, vm.Spec{Machine: m, Accel: vm.KVM, AutoOnline: true})
				if err != nil {
					t.Fatal(err)
				}
				defer v.Close()
				if took != c.Boot {
					t.Errorf("it took %s to boot, want %s", took, c.Boot)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				f(t, g, bare.NewLoop(ctx, v))
			})
		})
	}
}

func TestLoop(t *testing.T) {
	with(t, vmtest.Character{Boot: 3 * time.Second}, func(t *testing.T, g *vmtest.Guest, l *bare.Loop) {
		for _, id := range []string{"a", "b"} {
			if err := l.Add(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			if err := l.Cycle(t.Context(), "c"); err != nil {
				t.Fatal(err)
			}
		}
		left, err := qmp.QueryMemoryDevices(t.Context(), g.VM.Monitor)
		if err != nil || len(left) != 2 {
			t.Errorf("%d DIMMs are left, %v", len(left), err)
		}
		if n := strings.Count(strings.Join(g.Log(), " "), "device_del"); n != 3 {
			t.Errorf("%d removals", n)
		}
	})
}

// TestRefusal: what isn't done ends the loop, and nothing is waited for for ever.
func TestRefusal(t *testing.T) {
	refusing := vmtest.Character{Commands: map[string]vmtest.Handler{
		"device_add": func(*vmtest.Guest, json.RawMessage) (any, error) {
			return nil, &qmp.Error{Class: "GenericError", Desc: "no"}
		},
	}}
	with(t, refusing, func(t *testing.T, _ *vmtest.Guest, l *bare.Loop) {
		if err := l.Cycle(t.Context(), "a"); err == nil {
			t.Error("a DIMM that was refused went in and out")
		}
	})
	keeping := vmtest.Character{Unplug: func(*vmtest.Guest, string) {}}
	with(t, keeping, func(t *testing.T, _ *vmtest.Guest, l *bare.Loop) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Cycle(ctx, "a"); err == nil {
			t.Error("a DIMM that was kept went out")
		}
	})
}
