// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bufio"
	"bytes"
	"slices"
	"strings"
)

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
		for _, f := range Features() {
			if !slices.Contains(needed, f.Name) && slices.ContainsFunc(f.Compiles, func(c string) bool { return name == c || strings.HasSuffix(c, "/") && strings.HasPrefix(name, c) }) {
				needed = append(needed, f.Name)
			}
		}
	}
	slices.Sort(needed)
	return needed
}
