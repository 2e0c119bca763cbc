// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bufio"
	"bytes"
	"slices"
	"strings"
)

// featureFiles are the files and directories of the kernel's that no kernel of
// ours compiles without a feature (the Makefiles of kernel, kernel/trace, mm,
// crypto).
var featureFiles = map[string][]string{
	"users": {
		"kernel/padata.c", "crypto/pcrypt.c", "mm/zswap.c", "mm/zsmalloc.c", "mm/zpool.c", "mm/swapfile.c", "mm/swap_slots.c", "mm/swap_state.c", "mm/page_io.c",
		"mm/kmemleak.c", "mm/page_owner.c", "mm/page_ext.c", "mm/memory-failure.c", "mm/hwpoison-inject.c", "kernel/trace/", "kernel/bpf/",
	},
}

// Features lists the features without which a patch's code may not be compiled,
// going by what its header names (FeaturesFor) and by the files that it changes.
func (p *Plant) Features() []string {
	needed := FeaturesFor(p.Header)
	lines := bufio.NewScanner(bytes.NewReader(p.Patch))
	lines.Buffer(nil, max(len(p.Patch), bufio.MaxScanTokenSize))
	for lines.Scan() {
		name, ok := strings.CutPrefix(lines.Text(), "+++ ")
		if !ok {
			continue
		}
		name, _, _ = strings.Cut(name, "\t")             // a time may follow
		if _, inside, ok := strings.Cut(name, "/"); ok { // a/ or b/, for patch -p1
			name = inside
		}
		for feature, files := range featureFiles {
			if !slices.Contains(needed, feature) && slices.ContainsFunc(files, func(f string) bool { return name == f || strings.HasSuffix(f, "/") && strings.HasPrefix(name, f) }) {
				needed = append(needed, feature)
			}
		}
	}
	slices.Sort(needed)
	return needed
}
