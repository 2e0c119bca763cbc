// SPDX-License-Identifier: Apache-2.0

package page_test

import (
	"strings"
	"testing"

	"plugstorm/harness/page"
)

const text = `before
<!-- bench speed: start -->
old
<!-- end -->
between
<!-- bench detect: table -->
theirs
<!-- end -->
<!-- bench speed: cycles -->
kept
<!-- end -->
`

func TestRewrite(t *testing.T) {
	got, n := page.Rewrite(text, "speed", map[string]string{"start": "new $1\n", "table": "wrong\n"})
	if want := strings.Replace(text, "old\n", "new $1\n", 1); got != want || n != 2 {
		t.Errorf("%d pairs, %s", n, got)
	}
	twice, _ := page.Rewrite(text, "speed", map[string]string{"start": "a <!-- end --> b\n"})
	twice, n = page.Rewrite(twice, "speed", map[string]string{"start": "new $1\n"})
	if twice != got || n != 2 {
		t.Errorf("a text with a marker in it spoils the page: %s", twice)
	}
	if _, n := page.Rewrite("no markers", "speed", nil); n != 0 {
		t.Errorf("%d pairs in a page without", n)
	}
}

func TestRow(t *testing.T) {
	var b strings.Builder
	page.Head(&b, "a", "b")
	page.Row(&b, "x|y", "esc\x1b")
	if want := "| a | b |\n|---|---|\n"; !strings.HasPrefix(b.String(), want) || strings.Contains(b.String(), "\x1b") || !strings.Contains(b.String(), `x\|y`) {
		t.Errorf("%q", b.String())
	}
}
