// SPDX-License-Identifier: Apache-2.0

package splat_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"plugstorm/harness/splat"
)

// TestDeadlock: what the kernel says when it is asked proves the same cycles as
// khungtaskd's reports, as long as all of their tasks are known to stand still.
func TestDeadlock(t *testing.T) {
	files, err := filepath.Glob("testdata/hung_task/real-*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	proven := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		log, _, _ := strings.Cut(string(text), "======== expected")
		i := slices.IndexFunc(splat.Find([]byte(log)), func(f splat.Finding) bool { return f.Waits != nil && len(f.Waits.Cycle) > 0 })
		var everyone []int
		for pid := range 1000 {
			everyone = append(everyone, pid)
		}
		got, ok := splat.Deadlock([]byte(log), everyone)
		if i < 0 {
			if ok {
				t.Errorf("%s: %s, where khungtaskd's report proves nothing", file, got.Explain)
			}
			continue
		}
		want := splat.Find([]byte(log))[i]
		if !ok { // inferred: enough to explain a hang, not to claim one
			if !strings.Contains(want.Explain, "(inferred)") {
				t.Errorf("%s: no deadlock, but %s", file, want.Explain)
			}
			continue
		}
		proven++
		if got.Identity != want.Identity || got.Explain != want.Explain || got.Type != splat.TypeHang || !strings.HasPrefix(got.Title, "INFO: task hung in ") || len(got.Stack) == 0 {
			t.Errorf("%s: %+v, want the identity %q", file, got, want.Identity)
		}
		for _, i := range got.Waits.Cycle {
			task := got.Waits.Waits[i].Task
			pid, err := strconv.Atoi(task[strings.LastIndexByte(task, '/')+1:])
			if err != nil {
				t.Fatal(err)
			}
			others := slices.DeleteFunc(slices.Clone(everyone), func(p int) bool { return p == pid })
			if f, ok := splat.Deadlock([]byte(log), others); ok {
				t.Errorf("%s: %q, although %s may run", file, f.Identity, task)
			}
		}
	}
	if proven < 6 { // abba, kernfs-drain and rwsem-drain on both machines
		t.Errorf("only %d of %d consoles prove a deadlock", proven, len(files))
	}
}
