// SPDX-License-Identifier: Apache-2.0

package known

import (
	"os"
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
