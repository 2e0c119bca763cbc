// SPDX-License-Identifier: Apache-2.0

package images

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The feature debuginfo asks for lines and inlined functions, and nothing that
// takes room beyond them. Other kernels go without.
func TestDebugInfoWishes(t *testing.T) {
	for _, arch := range Archs.All() {
		all, err := wishes(arch, []string{"debuginfo"})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, w := range all {
			got[w.Option] = w.Value
		}
		for option, want := range map[string]string{
			"CONFIG_DEBUG_INFO_DWARF5": "y", "CONFIG_DEBUG_INFO_REDUCED": "y", "CONFIG_DEBUG_INFO_SPLIT": "n",
		} {
			if got[option] != want {
				t.Errorf("%s: %s=%q", arch.Name, option, got[option])
			}
		}
		plain, err := wishes(arch, nil)
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(plain, func(w wish) bool { return w.Option == "CONFIG_DEBUG_INFO_DWARF5" }) {
			t.Errorf("%s has debug information without asking", arch.Name)
		}
	}
}

// A kernel with debug information keeps what explains its stacks beside the
// image: vmlinux and the modules as they were built, under paths that the
// manifest has relative to itself.
func TestDebugInfoKept(t *testing.T) {
	b := newBench(t)
	k, err := b.Build(t.Context(), X8664, Source{Tree: b.tree}, Options{Features: []string{"debuginfo"}})
	if err != nil {
		t.Fatal(err)
	}
	dir := b.path("kernels", k.Key)
	if k.Vmlinux != filepath.Join(dir, "vmlinux") || k.ModulesDir() != filepath.Join(dir, "modules") {
		t.Errorf("vmlinux %s, modules %s", k.Vmlinux, k.ModulesDir())
	}
	built := readTree(t, b.path("build"))
	kept := readTree(t, dir)
	for name, from := range map[string]string{"vmlinux": "vmlinux", "modules/test_hmm.ko": "lib/test-hmm.ko"} {
		var originals []string
		for file, text := range built {
			if ok, err := filepath.Match("*/tree/"+objDir+"/"+from, file); ok && err == nil {
				originals = append(originals, text)
			}
		}
		if len(originals) != 1 || kept[name] == "" || kept[name] != originals[0] {
			t.Errorf("%s isn't what was built: %q, %q", name, kept[name], originals)
		}
	}
	var m struct{ Kernel Kernel }
	data, err := os.ReadFile(filepath.Join(dir, "meta.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"vmlinux", "modules"}, []string{m.Kernel.Vmlinux, m.Kernel.ModulesDir()}); diff != "" {
		t.Error(diff)
	}
	if none := new(Kernel).ModulesDir(); none != "" {
		t.Errorf("a kernel without modules has them in %q", none)
	}
}
