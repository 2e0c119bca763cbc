// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"math/rand/v2"
	"regexp"
	"testing"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

func TestDLPAR(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	d := dlpar{tree: tree}
	rng := rand.New(rand.NewPCG(1, 1))
	writeFile(t, tree, "sys/devices/system/memory/memory4/node1/x", "")
	if _, err := d.draw(rng, 1, 2); !errors.Is(err, errIdle) {
		t.Errorf("without the file: %v", err)
	}
	writeFile(t, tree, dlparFile, "memory,cpu\n")
	if _, err := d.draw(rng, 0, 2); !errors.Is(err, errIdle) {
		t.Errorf("without a block: %v", err)
	}
	words := regexp.MustCompile(`^(count [12]|index 0x80000004)$`)
	for range 50 {
		if what, err := d.draw(rng, 1, 2); err != nil || !words.MatchString(what) {
			t.Fatalf("%q, %v", what, err)
		}
	}
	c, err := runFor(t, 3, agent.Params{}, d.run)
	if err != nil || c.done.Load() < 3 {
		t.Errorf("done %d, %v", c.done.Load(), err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	writeFile(t, tree, dlparFile, "")
	_ = d.cycle(ctx, "count 1") // the removal may or may not be interrupted
	if text, _ := tree.Text(dlparFile); text == "memory remove count 1" {
		t.Error("what was removed wasn't added again")
	}
}
