// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// TestTaskMempolicy: whatever a host allows, no round is an error, and the weights are
// given back what they were.
func TestTaskMempolicy(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	const weight = "sys/kernel/mm/mempolicy/weighted_interleave/node0"
	writeFile(t, tree, weight, "before")
	writeFile(t, tree, "sys/devices/system/node/has_memory", "0\n")
	if _, err := runFor(t, 40, agent.Params{}, taskMempolicy{tree: tree}.run); err != nil {
		t.Fatal(err)
	}
	if text, err := tree.Text(weight); err != nil || text[:6] != "before" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestSomeNodes: there is always one, and none that has no memory.
func TestSomeNodes(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	writeFile(t, tree, "sys/devices/system/node/has_memory", "0,2\n")
	rng := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		nodes, err := (taskMempolicy{tree: tree}).someNodes(rng)
		if err != nil || nodes.Count() == 0 || nodes.IsSet(1) {
			t.Fatalf("%v, %v", nodes, err)
		}
	}
	for _, mode := range mempolicies {
		if mode == unix.MPOL_BIND {
			t.Error("who is bound to a node is killed when it goes")
		}
	}
}
