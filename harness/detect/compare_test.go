// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"testing"

	"plugstorm/harness/verdict"
)

// TestCompare: a peer that misses most counts with its budget, a negative
// control and a row that isn't complete don't count.
func TestCompare(t *testing.T) {
	p := &Plan{
		Seeds: 1, Budget: 100 * second, Peers: map[string]Peer{"slow": {Behind: "+slow"}},
		Subjects: []Subject{
			{Name: "a", Suite: "storm", Machines: []string{"x86_64"}, Silent: []string{"pseries"}},
			{Name: "b", Suite: "storm", Machines: []string{"x86_64"}}, {Name: "c", Suite: "storm", Machines: []string{"x86_64"}},
			{Name: "d", Suite: "storm", Machines: []string{"x86_64"}},
		},
	}
	var all []Result
	add := func(subject, machine, by string, status verdict.Status, found ...verdict.Finding) {
		r := result(0, status, found...)
		r.Subject, r.Machine, r.By, r.Budget = subject, machine, by, p.Budget
		if by != ours {
			r.Suite += "+slow"
		}
		all = append(all, r)
	}
	add("a", "x86_64", ours, verdict.Found, finding("f", 2*second))
	add("a", "x86_64", "slow", verdict.Found, finding("f", 6*second))
	add("a", "pseries", ours, verdict.Clean)
	add("a", "pseries", "slow", verdict.Clean)
	add("b", "x86_64", ours, verdict.Found, finding("f", 4*second))
	add("b", "x86_64", "slow", verdict.Clean)
	add("c", "x86_64", ours, verdict.Found, finding("f", 4*second))
	add("c", "x86_64", "slow", verdict.Unknown)
	add("d", "x86_64", ours, verdict.Clean)
	add("d", "x86_64", "slow", verdict.Found, finding("f", second))
	got := NewTable(p, all).Compare()
	const want = "slow / plugstorm, median times from QEMU's start: 3.0 (3.0 to 25.0, 2 plants and machines), at least: 1 of them are what its budget says, for it missed most"
	if len(got) != 1 || got[0].String() != want {
		t.Errorf("%+v\nwant %s", got, want)
	}
}
