// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// toolVersion is the first line of what a program of a toolchain says of its
// version. It asks again only when the program's file has changed: an answer is
// a process, for which each run with a kernel that is built already would wait.
func (s *Store) toolVersion(ctx context.Context, name string) (string, error) {
	file, err := s.lookPath(name)
	if err != nil {
		return "", err
	}
	file, st := toolFile(file)
	cacheFile := s.path("stat", key("tool", file)+".json")
	cache := readStatCache(cacheFile)
	if e, ok := cache.Files[file]; ok && st != (stamp{}) && e.Stamp == st {
		return e.Content, nil
	}
	out, err := s.output(ctx, name, "--version")
	if err != nil {
		return "", err
	}
	first, _, _ := strings.Cut(string(out), "\n")
	if !st.settled(time.Now().UnixNano()) {
		return first, nil
	}
	cache.Files = map[string]statEntry{file: {st, first}}
	return first, cache.write(cacheFile)
}

// toolFile is the file that a program's name leads to, and its stamp: none
// unless the file is the program itself. What a script or a program of another
// name (ccache) starts in its stead can change behind an unchanged file.
func toolFile(path string) (string, stamp) {
	file, err := filepath.EvalSymlinks(path)
	if err != nil || !strings.Contains(filepath.Base(file), filepath.Base(path)) {
		return path, stamp{}
	}
	f, err := os.Open(file)
	if err != nil {
		return path, stamp{}
	}
	defer f.Close()
	magic := make([]byte, 4)
	info, err := f.Stat()
	if _, short := io.ReadFull(f, magic); short != nil || err != nil || !bytes.Equal(magic, []byte("\x7fELF")) {
		return path, stamp{}
	}
	return file, stampOf(info)
}
