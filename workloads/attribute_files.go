// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// fileLevels bounds how far below a directory randomFile looks: the deepest that
// there is, node/nodeN/hugepages/hugepages-NkB/nr_hugepages, is four below its class.
const fileLevels = 6

// randomFile draws a file below dir that is wanted; errIdle if there is none. At
// each level the files that lie there, all together, are as likely as each of the
// directories: what is deep (cpuN/cache/indexM/shared_cpu_map) has its turn among
// the many at the top, a tree isn't drawn more often for its many files, and no more
// directories are read than lie on the way. Links aren't followed, since they lead to
// other devices, but for dir itself.
func randomFile(rng *rand.Rand, dir string, wanted func(path string, mode os.FileMode) bool) (string, error) {
	if path := descend(rng, dir, fileLevels, wanted); path != "" {
		return path, nil
	}
	return "", errIdle
}

// descend is one level of randomFile. It goes back from directories where nothing
// is wanted.
func descend(rng *rand.Rand, dir string, levels int, wanted func(path string, mode os.FileMode) bool) string {
	entries, err := os.ReadDir(dir + "/") // of the link's target
	if err != nil || levels == 0 {
		return "" // it has left
	}
	rng.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
	dirs := slices.DeleteFunc(slices.Clone(entries), func(e os.DirEntry) bool { return !e.IsDir() })
	filesFirst := rng.IntN(1+len(dirs)) == 0
	slices.SortStableFunc(entries, func(a, b os.DirEntry) int {
		switch {
		case a.IsDir() == b.IsDir():
			return 0
		case a.IsDir() == filesFirst:
			return 1
		}
		return -1
	})
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.IsDir() {
			if found := descend(rng, path, levels-1, wanted); found != "" {
				return found
			}
			continue
		}
		if info, err := e.Info(); err == nil && e.Type().IsRegular() && wanted(path, info.Mode()) {
			return path
		}
	}
	return ""
}
