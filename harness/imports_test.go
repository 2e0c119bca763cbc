// SPDX-License-Identifier: Apache-2.0

// Package harness_test keeps the module's packages in their places.
package harness_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "plugstorm"

// A room says what the code of a package and those below it may import of
// ours. Arrows can be followed: who may import vm may import what vm may
// import. Its own subpackages are a package's own business.
type room struct {
	name   string // path below the module's root
	arrows string // names of rooms
	why    string
}

// rooms is the design. To change it, change docs/architecture.md with it.
var rooms = []room{
	{"harness/blame", "", "everything returns its errors, so it can know nobody"},
	{"harness/catalog", "harness/blame", "everything registers in it, so it can know nothing that does"},

	{"harness/qmp", base, "a protocol: it speaks to QEMU without knowing machines"},
	{"harness/console", base, "bytes to lines: it doesn't know what the lines mean"},
	{"harness/agent", base, "host and guest share it, so it may hold neither's side"},
	{"harness/frame", "", "what the kernel prints of functions: every reader of its text needs it, so it needs none"},
	{"harness/lockdep", base + " harness/frame", "the kernel's lock order as data, of use without a VM or a console"},
	{"harness/symbols", base + " harness/console harness/frame", "places in the source, from ELF files and text, of use without a run"},

	{"harness/fields", "", "what our modules say, word by word: every reader of that needs it, so it needs none"},
	{"harness/pool", base, "it shares a host out among guests, and knows nothing of what these are"},
	{"harness/rules", base + " harness/fields", "rules about locks and what the checker saw, as data, of use without a VM"},
	{"harness/waitgraph", base + " harness/fields", "which waits add up to a deadlock, as data, of use without a VM or a console"},
	{"harness/waitfor", base + " harness/lockdep", "who waits for whom, as data, of use without a VM or a console"},

	{"harness/focus", base, "places in the kernel's source, and how near something comes to them: whoever touches some only names them"},
	{"harness/calls", base + " harness/fields", "calls that may fail and what came of them, as data, of use without a VM"},

	{"harness/vm", base + " harness/qmp harness/console harness/agent", "it runs a machine; what is done to it is the ops' matter"},
	{"harness/op", "harness/vm harness/calls", "it does something to a machine; when, the schedule says"},
	{"harness/schedule", "harness/op harness/rules harness/focus", "pure: a seed becomes steps, which are ops, and delays"},

	{"harness/splat", base + " harness/lockdep harness/waitfor harness/waitgraph harness/console", "pure: it judges text, of whatever origin"},
	{"harness/logs", base, "bytes to texts: it doesn't know what they say"},
	{"harness/triage", "harness/splat harness/logs harness/symbols", "pure: it reads logs of whatever origin, and knows no run"},
	{"harness/known", "harness/splat", "signatures match findings, not runs"},
	{"harness/history", base + " harness/console harness/focus harness/op harness/rules harness/schedule", "it records the steps of a schedule with their outcomes, and judges nothing"},
	{"harness/overlap", "harness/history", "pure: it counts what a record says was under way at the same time"},
	{"harness/zones", base + " harness/agent", "pure: it judges what a guest's kernel says of its zones"},
	{"harness/books", base + " harness/agent", "pure: it judges what a guest's kernel says in several places at once"},
	{"harness/verdict", "harness/history harness/overlap harness/splat harness/known harness/zones harness/books", "pure: it judges a record, never a VM, so that an old run can be judged again"},
	{"harness/report", "harness/verdict harness/triage", "it formats a verdict, or what a log holds"},
	{"harness/page", "harness/console", "pure: it puts tables into pages, whatever they say"},
	{"harness/detect", "harness/verdict harness/page", "pure: it counts results that are recorded, and runs nothing"},
	{"harness/run", "harness/schedule harness/history harness/splat harness/zones harness/books harness/pool", "the one loop: it records and doesn't judge, hence no verdict"},

	{"harness/speed", "harness/history harness/page", "pure: it counts what was measured, and measures nothing"},
	{"harness/bare", "harness/vm", "what a run is compared with: QEMU and QMP alone, hence no op"},

	{"guests", "harness/vm", "machines as data"},
	{"workloads", "harness/agent", "they run inside the guest, where nothing of the host's exists"},
	{"guests/agent", "harness/agent workloads", "PID 1 of the guest: nothing of the host's belongs into its binary"},
	{"images", base, "kernels and initramfs are built without knowing who boots them"},
	{"suites", "harness/run guests workloads", "scenarios put everything together, so nothing that they use may know them"},
	{"harness/cmd/plugstorm", "suites images harness/report harness/detect harness/speed harness/bare", "the program"},
}

const base = "harness/blame harness/catalog"

// testOnly is what production code never imports. Fakes may use fakes.
var testOnly = map[string]string{
	"testing":                                    "a helper for tests belongs into a _test.go file or a package of its own",
	"plugstorm/harness/qmp/qmptest":              "it is a fake",
	"plugstorm/harness/vm/vmtest":                "it is a fake",
	"github.com/onsi/ginkgo/v2":                  "it is for the suites' tests",
	"github.com/onsi/gomega":                     "it is for the suites' tests",
	"github.com/google/go-cmp/cmp":               "it panics where it shouldn't look; it is made for tests",
	"pgregory.net/rapid":                         "it is for tests",
	"github.com/rogpeppe/go-internal/testscript": "it is for tests",
}

// A source is one Go file and what it imports.
type source struct {
	file    string // path below the module's root
	imports []string
}

func (s source) test() bool  { return strings.HasSuffix(s.file, "_test.go") }
func (s source) pkg() string { return path.Dir(s.file) }

// sources parses every Go file of the module, whatever its build constraints.
func sources(t *testing.T) []source {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	var all []source
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != root && (strings.ContainsRune("._", rune(d.Name()[0])) || d.Name() == "testdata"):
			return fs.SkipDir // as the go command does
		case d.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		s := source{file: filepath.ToSlash(rel)}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return fmt.Errorf("%s: %w", rel, err)
			}
			s.imports = append(s.imports, imported)
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// roomOf finds the room of a package: the one with the longest matching name.
func roomOf(pkg string) (room, bool) {
	var found room
	for _, r := range rooms {
		if below(pkg, r.name) && len(r.name) > len(found.name) {
			found = r
		}
	}
	return found, found.name != ""
}

func below(pkg, name string) bool { return pkg == name || strings.HasPrefix(pkg, name+"/") }

// reach returns the names of all rooms that the arrows of r lead to.
func reach(r room) map[string]bool {
	reached := map[string]bool{}
	for queue := strings.Fields(r.arrows); len(queue) > 0; queue = queue[1:] {
		if name := queue[0]; !reached[name] {
			reached[name] = true
			next, _ := roomOf(name)
			queue = append(queue, strings.Fields(next.arrows)...)
		}
	}
	return reached
}

// complaint says what is wrong with an import of ours, or "".
func complaint(s source, imported string) string {
	own, ok := roomOf(s.pkg())
	if !ok {
		return fmt.Sprintf("%s: package %s has no row in the table of %s: add one, with its reason", s.file, s.pkg(), "harness/imports_test.go")
	}
	target, _ := roomOf(strings.TrimPrefix(imported, module+"/"))
	allowed := reach(own)
	if target.name == own.name || allowed[target.name] {
		return ""
	}
	if s.test() && target.name != "suites" && target.name != "harness/cmd/plugstorm" {
		return "" // tests may build their world from anything below the suites
	}
	return fmt.Sprintf("%s imports %s, which %s must not know (%s); it may know %s. "+
		"Take the value as a parameter, or move the code to where both are known; if the design is to change, "+
		"change this table and docs/architecture.md together",
		s.file, imported, own.name, own.why, strings.Join(slices.Sorted(maps.Keys(allowed)), ", "))
}

func TestArrows(t *testing.T) {
	all := sources(t)
	for _, s := range all {
		for _, imported := range s.imports {
			if !below(imported, module) {
				continue
			}
			if c := complaint(s, imported); c != "" {
				t.Error(c)
			}
		}
	}
	if len(all) < len(rooms) {
		t.Errorf("only %d Go files found; does this test still look at the module's root?", len(all))
	}
}

func TestRoomsExist(t *testing.T) {
	used := map[string]bool{}
	for _, s := range sources(t) {
		r, _ := roomOf(s.pkg())
		used[r.name] = true
	}
	for _, r := range rooms {
		if !used[r.name] {
			t.Errorf("%s has a row in the table but no Go file: remove the row", r.name)
		}
		if r.why == "" {
			t.Errorf("the row of %s gives no reason", r.name)
		}
		for _, arrow := range strings.Fields(r.arrows) {
			if to, _ := roomOf(arrow); to.name != arrow {
				t.Errorf("an arrow of %s leads to %s, which has no row", r.name, arrow)
			}
		}
		if reach(r)[r.name] {
			t.Errorf("the arrows of %s lead back to it", r.name)
		}
	}
}

// TestComplaints sees to it that TestArrows can fail.
func TestComplaints(t *testing.T) {
	for _, tt := range []struct {
		file, imported string
		bad            bool
	}{
		{"harness/op/dimm_add.go", "plugstorm/harness/vm", false},
		{"harness/op/dimm_add.go", "plugstorm/harness/qmp", false}, // through vm
		{"harness/op/dimm_add.go", "plugstorm/harness/run", true},
		{"harness/qmp/conn.go", "plugstorm/harness/vm", true},
		{"harness/qmp/qmptest/server.go", "plugstorm/harness/qmp", false},
		{"harness/splat/oops.go", "plugstorm/harness/vm", true},
		{"harness/verdict/judge.go", "plugstorm/harness/run", true},
		{"harness/run/run.go", "plugstorm/suites", true},
		{"harness/run/run_test.go", "plugstorm/suites", true},
		{"harness/run/run_test.go", "plugstorm/guests", false},
		{"harness/run/run.go", "plugstorm/guests", true},
		{"guests/agent/main.go", "plugstorm/workloads/sysfs", false},
		{"guests/agent/main.go", "plugstorm/harness/vm", true},
		{"images/build.go", "plugstorm/guests", true},
		{"images/internal/patch/patch.go", "plugstorm/harness/blame", false},
		{"harness/cmd/plugstorm/main.go", "plugstorm/suites", false},
		{"harness/new/new.go", "plugstorm/harness/blame", true},
	} {
		if got := complaint(source{file: tt.file}, tt.imported); (got != "") != tt.bad {
			t.Errorf("%s importing %s: %q", tt.file, tt.imported, got)
		}
	}
}

func TestProductionCodeImportsNoTestHelpers(t *testing.T) {
	for _, s := range sources(t) {
		for _, imported := range s.imports {
			_, fake := testOnly[path.Join(module, s.pkg())]
			if why, ok := testOnly[imported]; ok && !s.test() && !fake {
				t.Errorf("%s imports %s: %s", s.file, imported, why)
			}
		}
	}
}

func TestDependenciesAreDocumented(t *testing.T) {
	const doc = "../docs/dependencies.md"
	text, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, line := range strings.Split(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ := strings.Cut(rest, "`")
			documented = append(documented, name)
		}
	}
	for _, s := range sources(t) {
		for _, imported := range s.imports {
			host, _, _ := strings.Cut(imported, "/")
			if !strings.Contains(host, ".") {
				continue // the standard library or ours
			}
			if !slices.ContainsFunc(documented, func(m string) bool { return below(imported, m) }) {
				t.Errorf("%s imports %s, whose module isn't in %s: add a row (what for, why this one, licence)", s.file, imported, doc)
			}
		}
	}
}
