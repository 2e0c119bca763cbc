// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

func deadlockSource(t *testing.T) string {
	t.Helper()
	text, err := fs.ReadFile(Modules, deadlockModule+".c")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// words returns what the expression's group matches in text.
func words(expression, text string) []string {
	var found []string
	for _, m := range regexp.MustCompile(expression).FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	return found
}

// TestDeadlocksAreTheModules holds our list of kinds against the module's own,
// and the parameters we pass against those that it takes.
func TestDeadlocksAreTheModules(t *testing.T) {
	source := deadlockSource(t)
	if got := words(`\.name = "([^"]+)"`, source); !slices.Equal(got, Deadlocks) {
		t.Errorf("the module makes %q", got)
	}
	described := words(`MODULE_PARM_DESC\(kind, "[^:]+: ([^"]+)"`, source)
	if want := []string{strings.Join(Deadlocks, ", ")}; !slices.Equal(described, want) {
		t.Errorf("the module describes %q", described)
	}
	takes := words(`module_param\((\w+),`, source)
	for kind := range Deadlocks {
		params, err := deadlockParams(agent.Params{Options: map[string]int64{"kind": int64(kind), "validate": 1}})
		if err != nil || !strings.Contains(params, "="+Deadlocks[kind]+" ") || !strings.HasSuffix(params, " validate=1") {
			t.Errorf("kind %d: %q, %v", kind, params, err)
		}
		for word := range strings.FieldsSeq(params) {
			if name, _, _ := strings.Cut(word, "="); !slices.Contains(takes, name) {
				t.Errorf("the module has no parameter %s", name)
			}
		}
	}
}

// TestDeadlockCantBeUnloaded: what hangs would run in freed memory.
func TestDeadlockCantBeUnloaded(t *testing.T) {
	if strings.Contains(deadlockSource(t), "module_exit(") {
		t.Error("the module has an exit function")
	}
}

// aDeadlock is one whose module is loaded by load, in a tree of the test's own.
func aDeadlock(t *testing.T, load func(dir, name, params string) error) deadlock {
	t.Helper()
	tree := sysfs.Tree(t.TempDir())
	writeFile(t, tree, "proc/sys/kernel/hung_task_timeout_secs", "120")
	return deadlock{tree: tree, load: load}
}

func TestDeadlockStaysUntilItIsStopped(t *testing.T) {
	var loaded []string
	d := aDeadlock(t, func(dir, name, params string) error {
		loaded = append(loaded, dir, name, params)
		return nil
	})
	c, err := runFor(t, 1, agent.Params{Options: map[string]int64{"kind": 1, "seconds": 7}}, d.run)
	if err != nil || c.done.Load() != 1 {
		t.Errorf("done %d, %v", c.done.Load(), err)
	}
	if want := []string{ModuleDir, deadlockModule, "kind=kthread-stop validate=0"}; !slices.Equal(loaded, want) {
		t.Errorf("loaded %q", loaded)
	}
	if got, err := d.tree.Text("proc/sys/kernel/hung_task_timeout_secs"); err != nil || got != "7" {
		t.Errorf("the hung-task timeout is %q, %v", got, err)
	}
}

// TestDeadlockSaysWhatKeptItFromHanging: a workload that hangs nothing must
// not look like one that does.
func TestDeadlockSaysWhatKeptItFromHanging(t *testing.T) {
	refused := errors.New("refused")
	loads := func(dir, name, params string) error { return nil }
	for _, tt := range []struct {
		name    string
		options map[string]int64
		load    func(dir, name, params string) error
		spoil   func(d deadlock) error
		want    string
	}{
		{"no such kind", map[string]int64{"kind": int64(len(Deadlocks))}, loads, nil, "no deadlock of kind"},
		{"a negative kind", map[string]int64{"kind": -1}, loads, nil, "no deadlock of kind"},
		{"a module that doesn't load", nil, func(dir, name, params string) error { return refused }, nil, "refused"},
		{"a kernel without hung-task detection", nil, loads, func(d deadlock) error {
			return os.RemoveAll(d.tree.Path("proc/sys/kernel"))
		}, "nobody would notice"},
		{"a reader that comes back", nil, loads, func(d deadlock) error {
			dir := d.tree.Path("sys/kernel", deadlockModule)
			return errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(dir+"/state", []byte("free\n"), 0o644))
		}, `got "free"`},
	} {
		d := aDeadlock(t, tt.load)
		if tt.spoil != nil {
			if err := tt.spoil(d); err != nil {
				t.Fatal(err)
			}
		}
		err := d.run(context.Background(), agent.Params{Options: tt.options}, &counter{})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
