// SPDX-License-Identifier: Apache-2.0

package images

import (
	"encoding/json"
	"os"
	"path/filepath"

	"plugstorm/harness/blame"
)

// Saved guests lie beside the kernels. What is in one is the caller's matter,
// except for the file that marks it as whole and says its name.
var guestKind = kind{"snapshot", "guests", "snapshot.json", "guest-"}

// guestBudget bounds what saved guests take of the disk, in bytes: a guest has
// about 60 MiB. The least recently used go first.
const guestBudget = 8 << 30

// FindGuest returns the directory of the saved guest of that identity, "" if
// there is none. Nobody removes it before release is called.
func (s *Store) FindGuest(identity ...string) (dir string, release func(), err error) {
	k := key(identity...)
	dir = s.path(guestKind.dir, k)
	mark := filepath.Join(dir, guestKind.mark)
	if !exists(mark) {
		return "", func() {}, nil
	}
	held, err := s.tryLock(guestKind.lock+k, "", shared)
	if err != nil || held == nil { // somebody is removing it
		return "", func() {}, err
	}
	if !exists(mark) {
		held.unlock()
		return "", func() {}, nil
	}
	s.touch(mark)
	return dir, held.unlock, nil
}

// KeepGuest has fill save a guest into a directory, which has to write the
// mark, and keeps it if there is no error. It returns false when another
// process has done so or is doing it.
func (s *Store) KeepGuest(fill func(dir string) error, identity ...string) (bool, error) {
	if err := s.prepare(); err != nil {
		return false, err
	}
	k := key(identity...)
	held, err := s.tryLock(guestKind.lock+k, "saving a guest", exclusive)
	if err != nil || held == nil {
		return false, err
	}
	defer held.unlock()
	dir := s.path(guestKind.dir, k)
	if exists(filepath.Join(dir, guestKind.mark)) {
		return false, nil
	}
	if err := replace(dir, fill); err != nil {
		return false, s.blameDisk(err)
	}
	_, err = s.pruneGuests()
	return true, err
}

// DropGuest removes a saved guest that is no good. While others use it, it
// stays for them to find out as well.
func (s *Store) DropGuest(identity ...string) error {
	k := key(identity...)
	_, err := s.remove(Entry{path: s.path(guestKind.dir, k), lock: guestKind.lock + k})
	return blame.On(blame.Host, err, "make the cache directory writable")
}

// pruneGuests keeps the saved guests within their budget. It returns the bytes
// freed.
func (s *Store) pruneGuests() (freed int64, err error) {
	entries, err := s.list(guestKind)
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, e := range entries { // the most recently used first
		if sum += e.Bytes; sum <= s.guestBudget() {
			continue
		}
		gone, err := s.remove(e)
		if err != nil {
			return freed, err
		}
		if gone {
			freed += e.Bytes
		}
	}
	return freed, nil
}

func (s *Store) guestBudget() int64 {
	if s.GuestBytes > 0 {
		return s.GuestBytes
	}
	return guestBudget
}

// guestName is what a saved guest is called, for people.
func guestName(dir string) string {
	var mark struct{ Name string }
	data, err := os.ReadFile(filepath.Join(dir, guestKind.mark))
	if err != nil || json.Unmarshal(data, &mark) != nil || mark.Name == "" {
		return filepath.Base(dir)
	}
	return mark.Name
}
