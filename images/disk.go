// SPDX-License-Identifier: Apache-2.0

package images

import (
	"fmt"
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"

	"plugstorm/harness/blame"
)

// What builds need on disk, measured with 6.12 and rounded up.
const (
	sourceSpace = 1900 << 20 // an unpacked source: 1.7 GiB
	treeSpace   = 600 << 20  // a work tree with its objects: 300 MB, links and directories included
)

// freeSpace is what an ordinary user may still write below dir, in bytes.
func freeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("statfs %s: %w", dir, err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// reserve fails if there are fewer than need bytes free for the cache. It
// reserves nothing; it spares the user a build that can't end well.
func (s *Store) reserve(need int64) error {
	free, err := freeSpace(s.Dir)
	if err != nil {
		return blame.On(blame.Host, err, "")
	}
	if free < need {
		return s.noSpace(fmt.Errorf("%d MiB are free below %s, and %d MiB are needed", free>>20, s.Dir, need>>20))
	}
	return nil
}

func (s *Store) noSpace(err error) error {
	return blame.On(blame.Host, fmt.Errorf("no disk space: %w", err), "free some, or run: plugstorm images gc")
}

// blameDisk marks err as the host's if it is due to a full disk.
func (s *Store) blameDisk(err error) error {
	if err != nil && blame.Of(err) == blame.Harness && full(s.Dir, err) {
		return s.noSpace(err)
	}
	return err
}

// blocks is what a file takes on disk; a file with other links counts nothing,
// since removing it frees nothing.
func blocks(info fs.FileInfo) int64 {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() && st.Nlink > 1 {
		return 0
	}
	return st.Blocks * 512
}
