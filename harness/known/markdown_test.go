// SPDX-License-Identifier: Apache-2.0

package known

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"testing"
)

// TestDocs: the page that people read says what the file says.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/known-issues.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != Default().Markdown() {
		t.Error("docs/known-issues.md is not up to date: run make docs")
	}
}

// TestFormat: the page describes the keys that there are.
func TestFormat(t *testing.T) {
	var keys []string
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Issue]()) {
		if key := field.Tag.Get("toml"); key != "" {
			keys = append(keys, key)
		}
	}
	var described []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|").FindAllStringSubmatch(format, -1) {
		described = append(described, m[1])
	}
	slices.Sort(keys)
	slices.Sort(described)
	if !slices.Equal(keys, described) {
		t.Errorf("described are %q, there are %q", described, keys)
	}
}
