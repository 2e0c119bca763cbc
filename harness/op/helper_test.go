// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"plugstorm/guests"
	"plugstorm/harness/agent"
	"plugstorm/harness/blame"
	"plugstorm/harness/qmp"
	"plugstorm/harness/vm"
	"plugstorm/harness/vm/vmtest"
)

var machines = []*vm.Machine{guests.X8664, guests.PSeries}

// spec is a guest of a machine under an accelerator without defects.
func spec(m *vm.Machine) vm.Spec {
	return vm.Spec{Machine: m, Accel: vm.KVM, Version: vm.Version{Major: 10}, AutoOnline: true}
}

// withGuest runs f with a fake guest that is up, in a bubble where waiting
// costs nothing.
func withGuest(t *testing.T, s vm.Spec, f func(*testing.T, *vmtest.Guest)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g, err := vmtest.Start(t.Context(), s, vmtest.Character{})
		if err != nil {
			t.Fatal(err)
		}
		defer g.VM.Close()
		if _, err := g.VM.WaitAgent(t.Context()); err != nil {
			t.Fatal(err)
		}
		f(t, g)
	})
}

// try does an op as a run does it.
func try(ctx context.Context, kind *Kind, o Op, v *vm.VM) (Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, v.Deadline(kind.Deadline))
	defer cancel()
	err := o.Inject(ctx, v)
	if err == nil {
		err = o.Confirm(ctx, v)
	}
	return OutcomeOf(err, context.Cause(ctx)), err
}

// An attempt is one op on a guest that has a history.
type attempt struct {
	name    string
	machine *vm.Machine
	change  func(*vm.Spec)   // may be nil
	before  []Spec           // done to a healthy guest
	then    vmtest.Character // what it is afterwards
	op      Spec
	want    Outcome
	is      error                           // that the op's error wraps; may be nil
	party   blame.Party                     // whom it is blamed on; not checked if empty
	after   func(*testing.T, *vmtest.Guest) // may be nil
}

func (a attempt) run(t *testing.T) {
	s := spec(a.machine)
	if a.change != nil {
		a.change(&s)
	}
	withGuest(t, s, func(t *testing.T, g *vmtest.Guest) {
		for _, before := range a.before {
			attempt{op: before, want: Done}.check(t, g)
		}
		g.Become(a.then)
		a.check(t, g)
	})
}

// check does the op itself.
func (a attempt) check(t *testing.T, g *vmtest.Guest) {
	t.Helper()
	outcome, err := try(t.Context(), a.op.Kind, a.op.Op, g.VM)
	if outcome != a.want {
		t.Errorf("%s is %q, want %q: %v", a.op.Kind.Name, outcome, a.want, err)
	}
	if a.is != nil && !errors.Is(err, a.is) {
		t.Errorf("error is %v, want %v", err, a.is)
	}
	if a.party != "" && blame.Of(err) != a.party {
		t.Errorf("%v is blamed on %q, want %q", err, blame.Of(err), a.party)
	}
	if a.after != nil {
		a.after(t, g)
	}
}

func runAttempts(t *testing.T, attempts []attempt) {
	t.Helper()
	for _, a := range attempts {
		t.Run(a.machine.Name+"/"+a.name, a.run)
	}
}

// Answers of a fake guest.
var (
	silent   = func(*vmtest.Guest, json.RawMessage) (any, error) { return nil, vmtest.ErrNoAnswer }
	ignore   = func(*vmtest.Guest, string) {}
	die      = func(g *vmtest.Guest, _ string) { g.Die("signal: aborted", "assertion failed") }
	dieAsked = func(g *vmtest.Guest, _ json.RawMessage) (any, error) {
		g.Die("signal: aborted", "assertion failed")
		return nil, vmtest.ErrNoAnswer
	}
	hangUpAgent = func(g *vmtest.Guest, _ json.RawMessage) (any, error) {
		g.HangUpAgent()
		return nil, vmtest.ErrNoAnswer
	}
	refuseCommand = func(*vmtest.Guest, json.RawMessage) (any, error) {
		return nil, &qmp.Error{Class: "GenericError", Desc: "no"}
	}
)

func errno(name string) vmtest.Handler {
	return func(*vmtest.Guest, json.RawMessage) (any, error) {
		return nil, &agent.Error{Message: "write: " + name, Errno: name}
	}
}

func ost(source, status int64) func(*vmtest.Guest, string) {
	return func(g *vmtest.Guest, device string) { g.OST(device, source, status) }
}

func command(name string, h vmtest.Handler) vmtest.Character {
	return vmtest.Character{Commands: map[string]vmtest.Handler{name: h}}
}

func method(name string, h vmtest.Handler) vmtest.Character {
	return vmtest.Character{Methods: map[string]vmtest.Handler{name: h}}
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }
