// SPDX-License-Identifier: Apache-2.0

package verdict_test

import (
	"os"
	"strings"
	"testing"

	"plugstorm/harness/history"
	"plugstorm/harness/splat"
	"plugstorm/harness/verdict"
)

// TestBooks: a report becomes what the kernel left behind, nothing, or a fault.
func TestBooks(t *testing.T) {
	for name, tt := range map[string]struct {
		file, text string
		status     verdict.Status
		identity   string
	}{
		"as it should be": {file: "pseries-smoke", status: verdict.Clean},
		"a stale link":    {file: "x86_64-b15", status: verdict.Found, identity: "books: lost-links: nodeN/cpuN"},
		"not quiet":       {text: `{"quiet":false,"samples":[{"guest":{"zones":"Node 0, zone Normal\n"}}]}`, status: verdict.Clean},
		"damaged":         {text: "{", status: verdict.Unknown},
		"no sample":       {text: `{"quiet":true}`, status: verdict.Unknown},
	} {
		text := []byte(tt.text)
		if tt.file != "" {
			var err error
			if text, err = os.ReadFile("../books/testdata/" + tt.file + ".json"); err != nil {
				t.Fatal(err)
			}
		}
		v := clean().at(58, history.Event{Type: history.Books, Guest: 1, Text: string(text)}).judge()
		if v.Status != tt.status {
			t.Errorf("%s: %s because of %q", name, v.Status, v.Why)
		}
		if tt.identity == "" {
			continue
		}
		f := v.Findings[0]
		if f.Identity != tt.identity || f.Type != splat.TypeBooks || f.Detector != "books" || !strings.Contains(f.Text, "node0/cpu") || f.CPU != -1 || f.Start != -1 || f.Stack == nil {
			t.Errorf("%s: %+v", name, f)
		}
	}
}
