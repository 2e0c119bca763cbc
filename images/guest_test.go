// SPDX-License-Identifier: Apache-2.0

package images

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// saveGuest fills the directory of a saved guest.
func saveGuest(bytes int) func(string) error {
	return func(dir string) error {
		if err := os.WriteFile(filepath.Join(dir, "state"), make([]byte, bytes), 0o644); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "snapshot.json"), []byte(`{"name": "a guest"}`), 0o644)
	}
}

func (s *Store) mustFind(t *testing.T, want bool, identity ...string) (dir string, release func()) {
	t.Helper()
	dir, release, err := s.FindGuest(identity...)
	if err != nil || (dir != "") != want {
		t.Fatalf("found %q, %v; want one: %v", dir, err, want)
	}
	return dir, release
}

func TestGuests(t *testing.T) {
	s := &Store{Dir: t.TempDir()}
	s.mustFind(t, false, "a", "b")
	failed := errors.New("disk full")
	if kept, err := s.KeepGuest(func(string) error { return failed }, "a", "b"); kept || !errors.Is(err, failed) {
		t.Errorf("a guest that could not be saved: %v, %v", kept, err)
	}
	s.mustFind(t, false, "a", "b")
	if kept, err := s.KeepGuest(saveGuest(1), "a", "b"); !kept || err != nil {
		t.Fatalf("not kept: %v", err)
	}
	s.mustFind(t, false, "ab") // another list of words
	dir, release := s.mustFind(t, true, "a", "b")
	if kept, err := s.KeepGuest(saveGuest(1), "a", "b"); kept || err != nil {
		t.Errorf("kept twice: %v", err)
	}
	entries, err := s.List()
	if err != nil || len(entries) != 1 || entries[0].Kind != "snapshot" || entries[0].Name != "a guest" {
		t.Errorf("entries %+v, %v", entries, err)
	}
	if err := s.DropGuest("a", "b"); err != nil || !exists(dir) {
		t.Errorf("a guest in use was removed: %v", err)
	}
	if _, err := s.GC(t.Context(), GCPolicy{}); err != nil || !exists(dir) {
		t.Errorf("a guest in use was removed: %v", err)
	}
	release()
	if err := s.DropGuest("a", "b"); err != nil || exists(dir) {
		t.Errorf("it is still there: %v", err)
	}
	if err := s.DropGuest("a", "b"); err != nil {
		t.Errorf("dropping nothing: %v", err)
	}
}

// TestGuestBeingSaved: nobody waits for another one's guest.
func TestGuestBeingSaved(t *testing.T) {
	s := &Store{Dir: t.TempDir()}
	kept, err := s.KeepGuest(func(dir string) error {
		s.mustFind(t, false, "a")
		if kept, err := (&Store{Dir: s.Dir}).KeepGuest(saveGuest(1), "a"); kept || err != nil {
			t.Errorf("saved by two at once: %v", err)
		}
		return saveGuest(1)(dir)
	}, "a")
	if !kept || err != nil {
		t.Errorf("not kept: %v", err)
	}
}

func TestGuestBudget(t *testing.T) {
	s := &Store{Dir: t.TempDir(), GuestBytes: 100 << 10}
	for i, name := range []string{"a", "b", "c"} {
		if kept, err := s.KeepGuest(saveGuest(40<<10), name); !kept || err != nil {
			t.Fatalf("not kept: %v", err)
		}
		mark := s.path("guests", key(name), "snapshot.json")
		at := time.Now().Add(time.Duration(i-10) * time.Hour)
		if err := os.Chtimes(mark, at, at); err != nil {
			t.Fatal(err)
		}
	}
	s.mustFind(t, false, "a")
	for _, name := range []string{"b", "c"} {
		_, release := s.mustFind(t, true, name)
		release()
	}
}
