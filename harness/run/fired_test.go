// SPDX-License-Identifier: Apache-2.0

package run

import (
	"testing"
	"time"

	"plugstorm/harness/calls"
	"plugstorm/harness/op"
)

// TestFiredCall: a step that hangs is no finding if a call failed since it began;
// one that never failed, or before, explains nothing.
func TestFiredCall(t *testing.T) {
	g := &guest{}
	began := time.Now()
	g.noteFired([]calls.Report{{Call: calls.Call{Func: "f"}}})
	if g.fired.Load().explains(op.Hung, began) {
		t.Error("a call that wasn't made explains a hung step")
	}
	g.noteFired([]calls.Report{{Call: calls.Call{Func: "f"}, Fired: true}, {Call: calls.Call{Func: "g"}}})
	if g.ownFired.Load() {
		t.Error("a call of our lists counts as the suite's own")
	}
	g.noteFired([]calls.Report{{Call: calls.Call{Func: "f<<g"}}})
	if g.ownFired.Load() {
		t.Error("a call that wasn't made counts")
	}
	fired := g.fired.Load()
	if !fired.explains(op.Hung, began.Add(-time.Second)) || fired.call != "f" {
		t.Errorf("%+v doesn't explain a hung step", fired)
	}
	g.noteFired([]calls.Report{{Call: calls.Call{Func: "f<<g"}, Fired: true}})
	if !g.ownFired.Load() {
		t.Error("the suite's own call doesn't count")
	}
	if fired.explains(op.Hung, fired.at.Add(time.Second)) || fired.explains(op.Broken, began.Add(-time.Second)) {
		t.Error("it explains what it shouldn't")
	}
}
