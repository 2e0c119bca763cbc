// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plugstorm/guests"
	"plugstorm/harness/focus"
	"plugstorm/harness/history"
	"plugstorm/images"
)

var changedPlaces = []focus.Place{{File: "mm/slub.c", Func: "new_slab"}, {File: "mm/slub.c", Func: "inlined"}, {File: "mm/Makefile"}, {File: "mm/slub.c", Func: "half"}}

func TestCountChanged(t *testing.T) {
	text := &history.RuleText{Name: "default", Text: "f: a(w)\n"}
	got, err := countChanged(text, changedPlaces)
	if err != nil || got.Text != "f: a(w)\n\nwatch new_slab upto=10000\nwatch inlined upto=10000\nwatch half upto=10000\n" || got.Name != text.Name {
		t.Errorf("%+v, %v", got, err)
	}
	if text.Text != "f: a(w)\n" {
		t.Error("the rules themselves have changed")
	}
	if again, err := countChanged(got, changedPlaces); err != nil || strings.TrimSpace(again.Text) != strings.TrimSpace(got.Text) {
		t.Errorf("a replay's rules: %+v, %v", again, err)
	}
	for _, plain := range []*history.RuleText{nil, text} {
		if got, err := countChanged(plain, changedPlaces[2:3]); err != nil || got != plain {
			t.Errorf("without a function: %+v, %v", got, err)
		}
	}
	if got, err := countChanged(nil, changedPlaces); err != nil || got != nil {
		t.Errorf("without rules: %+v, %v", got, err)
	}
}

func TestSayAbsent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "System.map")
	const symbols = "ffffffff81000000 T _text\nffffffff81000010 t new_slab.isra.0\nffffffff81000020 t half.cold\nffffffff81000030 d inlined\n"
	if err := os.WriteFile(file, []byte(symbols), 0o600); err != nil {
		t.Fatal(err)
	}
	a, _, stderr := testApp("")
	if err := a.sayAbsent(guests.X8664, &images.Kernel{SystemMap: file}, changedPlaces); err != nil {
		t.Fatal(err)
	}
	if want := "not compiled or inlined: mm/slub.c:inlined, mm/slub.c:half\n"; !strings.HasSuffix(stderr.String(), want) {
		t.Errorf("%q, want %q", stderr, want)
	}
	for _, kernel := range []*images.Kernel{{}, {SystemMap: file}} {
		a, _, stderr := testApp("")
		if err := a.sayAbsent(guests.X8664, kernel, changedPlaces[:1]); err != nil || stderr.Len() > 0 {
			t.Errorf("%q, %v", stderr, err)
		}
	}
}
