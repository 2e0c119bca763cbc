// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"plugstorm/harness/blame"
)

// A lock is an flock(2) on a file of its own. It ends with the last process
// that holds the descriptor: make inherits it (see runMake), so that a work
// tree stays locked as long as an orphaned make still writes to it.
type lock struct{ file *os.File }

// mode of a lock.
type mode int

const (
	shared    mode = unix.LOCK_SH
	exclusive mode = unix.LOCK_EX
)

// lock takes the lock called name, waiting for it. why is shown to others that
// wait meanwhile.
func (s *Store) lock(ctx context.Context, name, why string, m mode) (*lock, error) {
	l, err := s.tryLock(name, why, m)
	if err != nil || l != nil {
		return l, err
	}
	file, err := os.OpenFile(s.lockFile(name), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	owner, err := os.ReadFile(file.Name())
	if err != nil {
		file.Close()
		return nil, err
	}
	s.line("waiting for %s", strings.TrimSpace(string(owner)))

	// flock can't be interrupted by a context, so it waits aside. When the
	// context ends first, the goroutine stays until the lock is free, drops it
	// at once and ends.
	done := make(chan error, 1)
	go func() { done <- flock(file, m) }()
	select {
	case err := <-done:
		if err != nil {
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		return &lock{file}, sign(file, why, m)
	case <-ctx.Done():
		go func() {
			<-done //nolint:errcheck // the lock may come all the same; it goes with the file
			file.Close()
		}()
		return nil, ended(ctx)
	}
}

// tryLock is lock without waiting: nil, nil when somebody else has it.
func (s *Store) tryLock(name, why string, m mode) (*lock, error) {
	file, err := os.OpenFile(s.lockFile(name), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, blame.On(blame.Host, err, "make the cache directory writable")
	}
	switch err := flock(file, m|unix.LOCK_NB); {
	case err == nil:
		return &lock{file}, sign(file, why, m)
	case errors.Is(err, unix.EWOULDBLOCK):
		file.Close()
		return nil, nil
	default:
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
}

func (s *Store) lockFile(name string) string { return s.path("locks", name+".lock") }

// unlock gives the lock back. A nil lock is fine.
func (l *lock) unlock() {
	if l != nil {
		l.file.Close()
	}
}

func flock(file *os.File, m mode) error {
	for {
		if err := unix.Flock(int(file.Fd()), int(m)); err != unix.EINTR {
			return err
		}
	}
}

// sign says in the lock file who holds it and why. The text is for people.
func sign(file *os.File, why string, m mode) error {
	if m == shared {
		return nil // many holders, one file
	}
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt(fmt.Appendf(nil, "process %d, %s\n", os.Getpid(), why), 0)
	return err
}
