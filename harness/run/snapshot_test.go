// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"plugstorm/guests"
	"plugstorm/harness/agent"
	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/rules"
	"plugstorm/harness/schedule"
	"plugstorm/harness/vm"
	"plugstorm/harness/vm/vmtest"
)

// A shelf keeps snapshots in a directory. It holds one at a time.
type shelf struct {
	dir      string
	identity []string
	kept     bool
	inUse    int
	drops    int
	err      error // why it can't be used
}

func newShelf(t *testing.T) *shelf { return &shelf{dir: filepath.Join(t.TempDir(), "shelf")} }

func (s *shelf) Find(identity []string) (string, func(), error) {
	if s.err != nil {
		return "", nil, s.err
	}
	if !s.kept || !slices.Equal(identity, s.identity) {
		return "", func() {}, nil
	}
	s.inUse++
	return s.dir, func() { s.inUse-- }, nil
}

func (s *shelf) Keep(identity []string, fill func(string) error) (bool, error) {
	if err := errors.Join(os.RemoveAll(s.dir), os.Mkdir(s.dir, 0o755)); err != nil {
		return false, err
	}
	if err := fill(s.dir); err != nil {
		return false, err
	}
	s.identity, s.kept = identity, true
	return true, nil
}

func (s *shelf) Drop([]string) error {
	s.kept = false
	s.drops++
	return os.RemoveAll(s.dir)
}

// spoil changes a file of the snapshot.
func (s *shelf) spoil(t *testing.T, name string, change func([]byte) []byte) {
	t.Helper()
	file := filepath.Join(s.dir, name)
	data, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, change(data), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

const bootText = "[    0.1][    T1] Booting Linux\r\n"

// boots is what the first guest of a play says while it boots.
func boots(text string) func(int, *vmtest.Guest) {
	return func(n int, g *vmtest.Guest) {
		if n == 1 {
			g.Print(text)
		}
	}
}

// save performs a run that leaves a snapshot on the shelf.
func save(t *testing.T, s *shelf, m *vm.Machine) *record {
	t.Helper()
	r := play{machine: m, accel: vm.TCG, saved: s, scene: boots(bootText)}.perform(t)
	if r.err != nil || !s.kept {
		t.Fatalf("nothing was saved: %v\n%s", r.err, strings.Join(r.outline(), "\n"))
	}
	return r
}

func TestSnapshotIsSavedAndUsed(t *testing.T) {
	for _, m := range []*vm.Machine{guests.X8664, guests.PSeries} {
		t.Run(m.Name, func(t *testing.T) {
			s := newShelf(t)
			first := save(t, s, m)
			first.expect(t, lines(runStart, up(1), "1 snapshot  saved in ", timeUp(1), runEnd)...)
			if first.Restored() {
				t.Error("the first guest booted")
			}
			second := play{machine: m, accel: vm.TCG, saved: s}.perform(t)
			second.expect(t, lines(runStart, "1 guest-start  "+s.dir, "1 agent-up", timeUp(1), runEnd)...)
			if !second.Restored() || second.specs[0].Incoming == "" || len(second.specs) != 1 {
				t.Errorf("the guest was not restored: %+v", second.specs)
			}
			third := play{machine: m, accel: vm.TCG, saved: s}.perform(t)
			if a, b := second.guests[0].Entropy(), third.guests[0].Entropy(); len(a) != 1 || len(b) != 1 || bytes.Equal(a[0], b[0]) {
				t.Errorf("two guests go on with random numbers %x and %x", a, b)
			}
			text, err := os.ReadFile(filepath.Join(third.dir, "guest-1", vm.BootLog))
			if err != nil || string(text) != bootText {
				t.Errorf("the boot's console is %q, %v", text, err)
			}
			if s.drops != 0 || s.inUse != 0 {
				t.Errorf("%d snapshots dropped, %d still in use", s.drops, s.inUse)
			}
		})
	}
}

// TestFreshGuestIsRestored: the guest after a report comes from the snapshot
// that the first one left.
func TestFreshGuestIsRestored(t *testing.T) {
	report := console(t, "lockdep")
	r := play{saved: newShelf(t), scene: func(n int, g *vmtest.Guest) {
		if n == 1 {
			time.AfterFunc(20*time.Second, func() { g.Print(report) })
		}
	}}.perform(t)
	r.expect(t, lines(runStart, up(1), "1 snapshot  saved in ", "1 complaint", "1 blind", "1 workload", "1 guest-end  retired: blind",
		up(2), timeUp(2), runEnd)...)
	if len(r.specs) != 2 || r.specs[0].Incoming != "" || r.specs[1].Incoming == "" {
		t.Errorf("specs: %+v", r.specs)
	}
	checkContinuity(t, r)
}

// TestBrokenSnapshot: what is no good is thrown away, the guest boots, and a
// new snapshot is saved.
func TestBrokenSnapshot(t *testing.T) {
	half := func(b []byte) []byte { return b[:len(b)/2] }
	for name, tt := range map[string]struct {
		spoil     func(*testing.T, *shelf)
		character vmtest.Character // of the guest that is restored
		why       string
	}{
		"truncated":           {spoil: func(t *testing.T, s *shelf) { s.spoil(t, "state", half) }, why: "it is not what was saved"},
		"not to QEMU's taste": {spoil: func(t *testing.T, s *shelf) { s.spoil(t, "state", bytes.ToUpper) }, why: "QEMU ended"},
		"not described":       {spoil: func(t *testing.T, s *shelf) { s.spoil(t, vm.SnapshotFile, half) }, why: ""},
		"without its boot":    {spoil: func(t *testing.T, s *shelf) { s.spoil(t, vm.BootLog, half) }, why: "it is not what was saved"},
		"silent agent":        {character: vmtest.Character{NoAgent: true}, why: "the guest's agent never said hello"},
		"dead timers": {character: vmtest.Character{Methods: map[string]vmtest.Handler{
			agent.MethodWake: func(*vmtest.Guest, json.RawMessage) (any, error) { return nil, vmtest.ErrNoAnswer },
		}}, why: "it can't go on where it was"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t)
			save(t, s, guests.X8664)
			if tt.spoil != nil {
				tt.spoil(t, s)
			}
			r := play{accel: vm.TCG, saved: s, character: func(n int) vmtest.Character {
				if n == 1 && tt.spoil == nil {
					return tt.character
				}
				return vmtest.Character{}
			}}.perform(t)
			r.expect(t, lines(runStart, "1 guest-start  "+s.dir, "1 snapshot  thrown away: ", up(1), "1 snapshot  saved in ", timeUp(1), runEnd)...)
			if note := r.steps(history.Snapshot, 1)[0].Text; !strings.Contains(note, tt.why) {
				t.Errorf("it says %q, want %q", note, tt.why)
			}
			if s.drops != 1 || !s.kept || s.inUse != 0 || r.Restored() {
				t.Errorf("shelf %+v, restored %v", s, r.Restored())
			}
		})
	}
}

// TestDeafGuestBoots: a restored guest that introduces itself and hears nothing
// after that costs its run some time, and nothing else.
func TestDeafGuestBoots(t *testing.T) {
	s := newShelf(t)
	save(t, s, guests.PSeries)
	deaf := func(*vmtest.Guest, json.RawMessage) (any, error) { return nil, vmtest.ErrNoAnswer }
	r := play{machine: guests.PSeries, accel: vm.TCG, saved: s, character: func(n int) vmtest.Character {
		if n > 1 {
			return vmtest.Character{}
		}
		return vmtest.Character{Methods: map[string]vmtest.Handler{agent.MethodWake: deaf, agent.MethodCPUs: deaf, agent.MethodSetCPU: deaf}}
	}}.perform(t)
	r.expect(t, lines(runStart, "1 guest-start  "+s.dir, "1 snapshot  thrown away: it can't go on where it was: ", up(1), "1 snapshot  saved in ", timeUp(1), runEnd)...)
	if r.err != nil || r.Restored() || len(r.steps(history.Fault, 0)) != 0 || s.drops != 1 || !s.kept {
		t.Errorf("%v; restored %v, shelf %+v", r.err, r.Restored(), s)
	}
}

// TestDamagedSnapshot: a guest may live although what it went on from is
// damaged. It is disowned, and there is a fault: its run can't be clean.
func TestDamagedSnapshot(t *testing.T) {
	s := newShelf(t)
	save(t, s, guests.X8664)
	s.spoil(t, vm.SnapshotFile, func(b []byte) []byte { return bytes.Replace(b, []byte(`"sha256": "`), []byte(`"sha256": "f`), 1) })
	report := console(t, "lockdep")
	r := play{accel: vm.TCG, saved: s, scene: func(n int, g *vmtest.Guest) {
		if n == 1 {
			g.Print(report)
		}
	}}.perform(t)
	notes := r.steps(history.Snapshot, 1)
	if len(notes) < 2 || !notes[0].Disowned || len(r.steps(history.Fault, 1)) == 0 || s.drops != 1 || s.inUse != 0 {
		t.Errorf("shelf %+v\n%s", s, strings.Join(r.outline(), "\n"))
	}
	if !s.kept || r.specs[len(r.specs)-1].Incoming != "" {
		t.Error("no guest has booted and been saved in its stead")
	}
}

// TestRulesAreSaved: a guest that goes on from one that had its rules has them,
// and one with delays of its own is given all anew.
func TestRulesAreSaved(t *testing.T) {
	s := newShelf(t)
	var written []agent.FileParams
	given := func(scenario *schedule.Scenario) (restored bool, rulesWritten int) {
		written = nil
		r := play{accel: vm.TCG, saved: s, scenario: scenario, seed: 1, rules: someRules(), character: func(int) vmtest.Character { return checking(&written) }}.perform(t)
		events := r.steps(history.Rules, 1)
		if len(events) != 2 || events[0].Rules.Why != "" || events[1].Rules.Status == nil {
			t.Errorf("%+v", events)
		}
		for _, p := range written {
			if p.Path == rules.RulesFile {
				rulesWritten++
			}
		}
		return r.Restored(), rulesWritten
	}
	wide := calm()
	wide.Widen = []schedule.Widening{{Func: "kernfs_drain", Max: time.Millisecond}, {Func: "online_pages", Max: time.Millisecond}}
	if len(wide.Widenings(1, 1)) == 0 {
		t.Fatal("the seed draws no delay")
	}
	for i, tt := range []struct {
		scenario *schedule.Scenario
		restored bool
		written  int
	}{
		{calm(), false, 1}, {calm(), true, 0}, // its rules came along
		{wide, false, 1}, {wide, true, 1}, // they did not: it has its own
	} {
		if restored, n := given(tt.scenario); restored != tt.restored || n != tt.written {
			t.Errorf("run %d: restored %v, rules given %d times; want %v, %d", i+1, restored, n, tt.restored, tt.written)
		}
	}
}

// TestHopelessSnapshots: a run doesn't go on for ever with what never works.
func TestHopelessSnapshots(t *testing.T) {
	s := newShelf(t)
	save(t, s, guests.X8664)
	report := console(t, "lockdep")
	r := play{accel: vm.TCG, saved: s, duration: 5 * time.Minute,
		character: func(n int) vmtest.Character { return vmtest.Character{NoAgent: n == 1 || n == 3} },
		scene: func(n int, g *vmtest.Guest) {
			if n == 2 || n == 4 {
				time.AfterFunc(20*time.Second, func() { g.Print(report) })
			}
		},
	}.perform(t)
	if s.drops != 2 || len(r.specs) != 5 || r.specs[4].Incoming != "" || r.specs[4].Savable {
		t.Errorf("%d snapshots were dropped\n%s", s.drops, strings.Join(r.outline(), "\n"))
	}
}

// TestComplainingBoot: a guest that goes on from a boot would not repeat its
// complaint.
func TestComplainingBoot(t *testing.T) {
	s := newShelf(t)
	r := play{
		saved: s, scene: boots(console(t, "warning")),
		character: func(int) vmtest.Character { return vmtest.Character{Boot: 5 * time.Second} },
	}.perform(t)
	r.expect(t, lines(runStart, "1 guest-start", "1 complaint", "1 agent-up", "1 snapshot  not saved: the kernel complains while it boots: ", timeUp(1), runEnd)...)
	if s.kept {
		t.Error("it was saved")
	}
}

// TestWithoutSnapshots: a run that can't use any says why, and boots.
func TestWithoutSnapshots(t *testing.T) {
	s := newShelf(t)
	s.err = vm.CanSnapshot(guests.X8664, vm.TCG, vm.Floor)
	if s.err == nil {
		t.Fatal("the oldest QEMU can't save into a file")
	}
	r := play{saved: s}.perform(t)
	r.expect(t, lines(runStart, "1 snapshot  not used: QEMU 7.2.0 can't save", up(1), timeUp(1), runEnd)...)
	if r.err != nil {
		t.Error(r.err)
	}
}

// TestSaveFails: the guest whose state could not be saved goes on.
func TestSaveFails(t *testing.T) {
	s := newShelf(t)
	r := play{saved: s, scene: boots(bootText), character: func(int) vmtest.Character {
		return vmtest.Character{Commands: map[string]vmtest.Handler{
			"migrate": func(g *vmtest.Guest, _ json.RawMessage) (any, error) {
				g.Emit("MIGRATION", map[string]string{"status": "failed"})
				return struct{}{}, nil
			},
		}}
	}}.perform(t)
	r.expect(t, lines(runStart, up(1), "1 snapshot  not saved: QEMU could not save the guest", timeUp(1), runEnd)...)
	if log := r.guests[0].Log(); !slices.Contains(log, "cont") {
		t.Errorf("the guest was left stopped: %v", log)
	}
}

// TestRestoreInterrupted: the user's Ctrl-C says nothing about a snapshot.
func TestRestoreInterrupted(t *testing.T) {
	s := newShelf(t)
	save(t, s, guests.X8664)
	r := play{
		accel: vm.TCG, saved: s, character: func(int) vmtest.Character { return vmtest.Character{NoAgent: true} },
		during: func(cancel context.CancelCauseFunc) {
			time.AfterFunc(time.Second, func() { cancel(errors.New("Ctrl-C")) })
		},
	}.perform(t)
	if r.err == nil || s.drops != 0 || s.inUse != 0 || len(r.steps(history.Snapshot, 0)) != 0 {
		t.Errorf("%v; %d snapshots were dropped\n%s", r.err, s.drops, strings.Join(r.outline(), "\n"))
	}
}

// TestRestoredGuestNeverLives: the silence of a guest whose timers did not
// survive is not its kernel's.
func TestRestoredGuestNeverLives(t *testing.T) {
	s := newShelf(t)
	save(t, s, guests.X8664)
	r := play{accel: vm.TCG, saved: s, duration: 5 * time.Minute, scene: func(n int, g *vmtest.Guest) {
		if n == 1 {
			time.AfterFunc(time.Millisecond, g.Mute) // it has answered, and has not beaten yet
		}
	}}.perform(t)
	if len(r.steps(history.Silent, 0)) != 0 || s.drops != 1 || len(r.steps(history.Fault, 1)) != 1 {
		t.Errorf("%d snapshots were dropped\n%s", s.drops, strings.Join(r.outline(), "\n"))
	}
}

// TestAllCPUsComeOnline: a guest that waits with its CPUs for its snapshot has
// all of them afterwards, saved and restored, whether its snapshot names them or
// not.
func TestAllCPUsComeOnline(t *testing.T) {
	s := newShelf(t)
	for i, restored := range []bool{false, true, true} {
		if i == 2 {
			s.spoil(t, vm.SnapshotFile, func(b []byte) []byte { return bytes.Replace(b, []byte(`"waiting"`), []byte(`"forgotten"`), 1) })
		}
		r := play{
			machine: guests.PSeries, accel: vm.TCG, saved: s,
			scenario: only(schedule.Lane{DIMMs: 3, MaxUnits: 2, Gap: time.Second}, op.DIMMAdd),
		}.perform(t)
		cpus := slices.Collect(maps.Values(r.guests[0].CPUs()))
		if r.Restored() != restored || len(cpus) != guests.PSeries.VCPU.Boot || slices.Contains(cpus, false) {
			t.Errorf("run %d: CPUs %v, restored %v", i+1, r.guests[0].CPUs(), r.Restored())
		}
		asked := slices.Contains(r.guests[0].Log(), agent.MethodCPUs)
		if asked == (i == 1) {
			t.Errorf("run %d: asked for the CPUs: %v", i+1, asked)
		}
	}
}
