// SPDX-License-Identifier: Apache-2.0

package images

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"plugstorm/harness/blame"
)

//go:embed plants
var plantFS embed.FS

// A Plant is a bug that we put into a kernel on purpose, as a patch. Its
// header says what it models, where it works and what must find it.
type Plant struct {
	ID     string // "s0a"
	Name   string // "s0a-memhp-begin-no-cpus-lock"
	Title  string // the first line of the header
	Header string // all of it
	Patch  []byte
	Expect Expectation
}

// Plants lists all plants by name.
func Plants() []*Plant { return readPlants("plants") }

// Baseline lists the patches that quiet what an unmodified 6.12 itself reports
// under a storm. Its first report switches lockdep off, and a plant behind it
// would never be seen.
func Baseline() []*Plant { return readPlants("plants/baseline") }

func readPlants(dir string) []*Plant {
	files, err := fs.Glob(plantFS, dir+"/*.patch")
	if err != nil {
		panic(err) // a bad pattern
	}
	var all []*Plant
	for _, file := range files {
		text, err := plantFS.ReadFile(file)
		if err != nil {
			panic(err) // embedded, so it is there
		}
		all = append(all, parsePlant(strings.TrimSuffix(path.Base(file), ".patch"), text))
	}
	return all
}

// headerEnd ends a plant's header.
const headerEnd = "\n---\n"

// parsePlant splits a plant's header, which ends at a line "---", from its
// diff.
func parsePlant(name string, text []byte) *Plant {
	header, _, _ := strings.Cut(string(text), headerEnd)
	first, _, _ := strings.Cut(header, "\n")
	id, _, _ := strings.Cut(name, "-")
	title := strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(first, "plant: "), id))
	return &Plant{ID: id, Name: name, Title: title, Header: header, Patch: text, Expect: parseExpectation(header)}
}

// FindPlant finds a plant by its name or by any prefix that only one has.
func FindPlant(name string) (*Plant, error) {
	var found []*Plant
	for _, p := range Plants() {
		if p.Name == name || p.ID == name {
			return p, nil
		}
		if name != "" && strings.HasPrefix(p.Name, name) {
			found = append(found, p)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	candidates, what := found, "ambiguous"
	if len(found) == 0 {
		candidates, what = Plants(), "unknown"
	}
	var ids []string
	for _, p := range candidates {
		ids = append(ids, p.ID)
	}
	return nil, blame.Errorf(blame.User, "choose one of: "+strings.Join(ids, ", "), "%s plant %q", what, name)
}

// What the names of patches begin with.
const (
	userPatch     = "patch "
	baselinePatch = "baseline patch "
)

// A patchText is a patch before it is parsed.
type patchText struct {
	Label string // for kernel names: "s0a", "fix.patch"; "" for baseline patches
	Name  string // for error messages
	Text  []byte
}

// patches reads all patches of a source in the order of application: baseline,
// plants, the user's own.
func (src *Source) patches() ([]patchText, error) {
	var all []patchText
	if src.baseline() {
		for _, p := range Baseline() {
			all = append(all, patchText{"", baselinePatch + p.Name, p.Patch})
		}
	}
	for _, name := range src.Plants {
		p, err := FindPlant(name)
		if err != nil {
			return nil, err
		}
		all = append(all, patchText{p.ID, "plant " + p.Name, withoutExpectation(p.Patch)})
	}
	for _, file := range src.Patches {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, blame.On(blame.User, fmt.Errorf("patch: %w", err), "name a readable patch file")
		}
		all = append(all, patchText{filepath.Base(file), userPatch + file, withoutExpectation(text)})
	}
	return all, nil
}

func (src *Source) baseline() bool {
	if src.Baseline != nil {
		return *src.Baseline
	}
	return len(src.Plants) > 0
}
