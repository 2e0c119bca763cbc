// SPDX-License-Identifier: Apache-2.0

package images

import (
	"flag"
	"strings"
	"testing"

	"plugstorm/harness/blame"
	"plugstorm/images/internal/patch"
)

var kernelTree = flag.String("kernel-tree", "", "an unpacked linux-source-6.12, to try all plants on")

// Every plant applies to Debian's 6.12, with and without the baseline. Needs
// -kernel-tree, for a source is too large for an ordinary test.
func TestPlantsApply(t *testing.T) {
	if *kernelTree == "" {
		t.Skip("no -kernel-tree")
	}
	version, err := checkTree(*kernelTree)
	if err != nil {
		t.Fatal(err)
	}
	for _, baseline := range []bool{true, false} {
		for _, plant := range Plants() {
			src := Source{Plants: []string{plant.ID}, Baseline: &baseline}
			j := &job{arch: X8664, source: &tree{name: *kernelTree, version: version}}
			if j.patches, err = src.patches(); err != nil {
				t.Fatal(err)
			}
			if err := j.parse(); err != nil {
				t.Fatal(err)
			}
			o, err := j.overlay(*kernelTree)
			if err != nil {
				t.Errorf("baseline %v: %v", baseline, err)
				continue
			}
			if len(o.Changes) == 0 {
				t.Errorf("%s changes nothing", plant.Name)
			}
		}
	}
}

// Every plant says what it is, is found by its ID and can be read as a patch.
func TestPlants(t *testing.T) {
	if len(Plants()) == 0 || len(Baseline()) == 0 {
		t.Fatal("nothing is embedded")
	}
	for _, p := range Plants() {
		if found, err := FindPlant(p.ID); err != nil || found.Name != p.Name {
			t.Errorf("plant %s: FindPlant gives %v, %v", p.ID, found, err)
		}
		if p.Title == "" || !strings.HasPrefix(p.Header, "plant: "+p.ID+" ") {
			t.Errorf("plant %s has the header %q", p.Name, p.Header)
		}
	}
	for _, p := range append(Plants(), Baseline()...) {
		if _, err := patch.Parse(p.Name, p.Patch); err != nil {
			t.Error(err)
		}
	}
}

func TestFindPlant(t *testing.T) {
	for name, want := range map[string]string{"s0a": "s0a", "s0a-memhp": "s0a", "s4d-kmem-cache-destroy-lock-order": "s4d", "c1": "", "": "", "s9": ""} {
		p, err := FindPlant(name)
		switch {
		case want == "" && (blame.Of(err) != blame.User || blame.Next(err) == ""):
			t.Errorf("%q: %v, %v", name, p, err)
		case want != "" && (err != nil || p.ID != want):
			t.Errorf("%q: %v, %v; want %s", name, p, err, want)
		}
	}
}

// Plants imply the baseline; either can be had without the other.
func TestBaseline(t *testing.T) {
	yes, no := true, false
	for _, tc := range []struct {
		src  Source
		want int
	}{
		{Source{}, 0},
		{Source{Baseline: &yes}, len(Baseline())},
		{Source{Plants: []string{"s0a"}}, len(Baseline()) + 1},
		{Source{Plants: []string{"s0a"}, Baseline: &no}, 1},
	} {
		all, err := tc.src.patches()
		if err != nil || len(all) != tc.want {
			t.Errorf("%+v: %d patches, %v; want %d", tc.src, len(all), err, tc.want)
		}
		if n := len(all); n > 0 && len(tc.src.Plants) > 0 && all[n-1].Label != "s0a" {
			t.Errorf("%+v: the last patch is %q", tc.src, all[n-1].Name)
		}
	}
}
