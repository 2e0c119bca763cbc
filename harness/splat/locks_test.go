// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLockModels compares what is read of every lock complaint in the corpus
// with testdata/locks/corpus.txt: identity, sentence and drawing. The whole
// models are in the golden files of package lockdep and of the detectors.
func TestLockModels(t *testing.T) {
	var b bytes.Buffer
	for _, s := range corpus(t) {
		for _, f := range Find(s.log) {
			if f.Locks == nil {
				continue
			}
			fmt.Fprintf(&b, "######## %s: %s\n%s\n%s\n", s.name, f.Title, f.Identity, f.Locks.Sentence())
			if d := f.Locks.Draw(); d != "" {
				b.WriteString("\n" + d)
			}
			b.WriteString("\n")
		}
	}
	const file = "testdata/locks/corpus.txt"
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("models differ (-want +got; -update rewrites):\n%s", diff)
	}
}

// TestLockIdentity: what different runs saw of one bug has one identity, and
// different bugs have different ones. The samples are of our own runs.
func TestLockIdentity(t *testing.T) {
	owner := map[string]string{}
	for bug, names := range map[string][]string{
		"memory blocks removed inside mem_hotplug_lock": {"real-x86-kernfs-mem-hotplug", "real-x86-kernfs-mem-hotplug-detour", "real-pseries-kernfs-mem-hotplug"},
		"CPU removed inside cpu_hotplug_lock":           {"real-x86-kernfs-cpu-hotplug"},
		"slab_mutex outside cpu_hotplug_lock":           {"real-x86-slab-mutex", "real-x86-slab-mutex-other-side", "pseries-slab-mutex"},
		"drain_all_pages takes cpu_hotplug_lock":        {"x86-recursive"},
	} {
		var identity string
		for _, name := range names {
			data, err := os.ReadFile(filepath.Join("testdata", LockdepDeadlock.Name, name+".txt"))
			if err != nil {
				t.Fatal(err)
			}
			input, _, _ := bytes.Cut(data, []byte(expectation))
			found := Find(input)
			if len(found) == 0 {
				t.Fatalf("%s: found nothing", name)
			}
			if identity == "" {
				identity = found[0].Identity
			}
			if found[0].Identity != identity {
				t.Errorf("%s is %q, but %s is %q", name, found[0].Identity, names[0], identity)
			}
		}
		if other, taken := owner[identity]; taken {
			t.Errorf("%q and %q are both %q", bug, other, identity)
		}
		owner[identity] = bug
	}
}

// TestLostSightIsNoSequel: lockdep's echo of an earlier end is no finding.
func TestLostSightIsNoSequel(t *testing.T) {
	const echo = "[   27.557472][   T65] INFO: lockdep is turned off.\n"
	if found := Find([]byte(echo)); len(found) != 0 {
		t.Errorf("alone: %+v", found)
	}
	data, err := os.ReadFile("testdata/lock_key/corpus-118.txt")
	if err != nil {
		t.Fatal(err)
	}
	input, _, _ := bytes.Cut(data, []byte(expectation))
	for _, f := range Find(append(input, echo...)) {
		if f.Type == TypeLostSight {
			t.Errorf("%q after a report", f.Title)
		}
	}
	const table = "[   15.000000][   T70] BUG: MAX_LOCKDEP_KEYS too low!\n[   15.000131][   T70] turning off the locking correctness validator.\n"
	if found := Find([]byte(table)); len(found) != 1 || found[0].Type != TypeLostSight || found[0].Title != "BUG: MAX_LOCKDEP_KEYS too low!" {
		t.Errorf("a full table: %+v", found)
	}
}

// TestPreludeTakenOver: a warning that follows its condition is read as a
// warning, even when the log ends with its first line.
func TestPreludeTakenOver(t *testing.T) {
	const log = "[    1.000001][   T84] DEBUG_LOCKS_WARN_ON(lock->magic != lock)\n" +
		"[    1.000002][   T84] WARNING: CPU: 1 PID: 84 at kernel/locking/mutex.c:564 __mutex_lock+0x9a/0x3e3\n"
	found := Find([]byte(log))
	if len(found) != 1 || found[0].Detector != Warning.Name || !found[0].Blinds || found[0].End != int64(len(log)) {
		t.Errorf("%+v", found)
	}
}
