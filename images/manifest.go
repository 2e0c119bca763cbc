// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

// A manifest lists the content of a tree: path -> "MODE HASH", MODE being
// x (executable file), f (file) or l (link, with the hash of its target).
type manifest map[string]string

// write saves a manifest, one file a line, in the order of paths.
func (m manifest) write(file string) error {
	var b bytes.Buffer
	for _, path := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "%s %s\n", m[path], strconv.Quote(path))
	}
	return writeFile(file, b.Bytes())
}

// readManifest reads a manifest; a missing file is an empty one.
func readManifest(file string) (manifest, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return manifest{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m := manifest{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		i := strings.IndexByte(lines.Text(), '"')
		if i < 1 {
			return nil, fmt.Errorf("%s: bad line %q", file, lines.Text())
		}
		path, err := strconv.Unquote(lines.Text()[i:])
		if err != nil {
			return nil, fmt.Errorf("%s: bad line %q", file, lines.Text())
		}
		m[path] = lines.Text()[:i-1]
	}
	return m, lines.Err()
}

// key is the manifest's cache key.
func (m manifest) key() string {
	parts := []string{"tree"}
	for _, path := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, path, m[path])
	}
	return key(parts...)
}

// overlaid is m with the changes of an overlay: path -> content, "" for
// deleted.
func (m manifest) overlaid(changes map[string]string) manifest {
	n := maps.Clone(m)
	if n == nil {
		n = manifest{}
	}
	for path, content := range changes {
		n[path] = content
	}
	return n
}

// diff lists the paths that differ between two trees.
func (m manifest) diff(o manifest) []string {
	var paths []string
	for path, content := range m {
		if o[path] != content {
			paths = append(paths, path)
		}
	}
	for path := range o {
		if _, ok := m[path]; !ok && o[path] != "" {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}
