// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"embed"
	"io/fs"
	"strings"
)

//go:embed rules/*.rules
var ruleFiles embed.FS

// Rules is the text of our rules about locks: all of rules/*.rules, in the
// order of their names.
func Rules() string {
	names, err := fs.Glob(ruleFiles, "rules/*.rules")
	if err != nil {
		panic(err) // the pattern is ours
	}
	var b strings.Builder
	for _, name := range names {
		text, err := ruleFiles.ReadFile(name)
		if err != nil {
			panic(err) // the embed pattern guarantees it
		}
		b.Write(text)
		b.WriteByte('\n')
	}
	return b.String()
}
