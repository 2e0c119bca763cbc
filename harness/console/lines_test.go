// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"plugstorm/harness/console"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(second int) time.Time { return epoch.Add(time.Duration(second) * time.Second) }

func TestLines(t *testing.T) {
	l := console.Lines{Max: 8}
	var got []console.Line
	offset := int64(100)
	for i, data := range []string{"one\r", "\ntw", "o\n\n", "12345678\n", "12345678", "9\r\n", "a\rb\r\r\nrest"} {
		got = append(got, l.Add(console.Chunk{At: at(i), Offset: offset, Data: []byte(data)})...)
		offset += int64(len(data))
	}
	want := []console.Line{
		{At: at(1), Offset: 100, Size: 5, Text: "one"},
		{At: at(2), Offset: 105, Size: 4, Text: "two"},
		{At: at(2), Offset: 109, Size: 1},
		{At: at(3), Offset: 110, Size: 9, Text: "12345678"},
		{At: at(5), Offset: 119, Size: 8, Text: "12345678", More: true},
		{At: at(5), Offset: 127, Size: 3, Text: "9"},
		{At: at(6), Offset: 130, Size: 6, Text: "a\rb"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for range 2 {
		rest, ok := l.Rest()
		if diff := cmp.Diff(console.Line{At: at(6), Offset: 136, Size: 4, Text: "rest"}, rest); !ok || diff != "" {
			t.Error(ok, diff)
		}
	}
	l.Add(console.Chunk{At: at(9), Offset: 140, Data: []byte("\n")})
	if rest, ok := l.Rest(); ok {
		t.Errorf("rest is %+v", rest)
	}
}

func TestLinesDefaultCap(t *testing.T) {
	var l console.Lines
	lines := l.Add(console.Chunk{Data: []byte(strings.Repeat("x", console.MaxLine+1))})
	if len(lines) != 1 || len(lines[0].Text) != console.MaxLine || !lines[0].More {
		t.Errorf("%d lines", len(lines))
	}
}

// output is text that is mostly line ends, to meet every boundary.
var output = rapid.SliceOf(rapid.SampledFrom([]byte("ab\r\n\n\x00\xff")))

// split adds text in chunks of drawn sizes and returns the lines and the rest,
// without times.
func split(t *rapid.T, limit int, text []byte, pieces *rapid.Generator[int]) []console.Line {
	l := console.Lines{Max: limit}
	var lines []console.Line
	for offset := 0; offset < len(text); {
		n := min(pieces.Draw(t, "piece"), len(text)-offset)
		lines = append(lines, l.Add(console.Chunk{Offset: int64(offset), Data: text[offset : offset+n]})...)
		offset += n
	}
	if rest, ok := l.Rest(); ok {
		lines = append(lines, rest)
	}
	return lines
}

func TestAnySplitGivesTheSameLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, limit := output.Draw(t, "text"), rapid.IntRange(1, 9).Draw(t, "limit")
		whole := split(t, limit, text, rapid.Just(len(text)))
		pieces := split(t, limit, text, rapid.IntRange(1, 5))
		if diff := cmp.Diff(whole, pieces); diff != "" {
			t.Fatal(diff)
		}
	})
}

// TestLinesLoseNothing rebuilds the output from the lines, and the lines from
// strings.Split.
func TestLinesLoseNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, limit := output.Draw(t, "text"), rapid.IntRange(1, 9).Draw(t, "limit")
		var offset int64
		var long string
		var got []string
		for _, line := range split(t, limit, text, rapid.IntRange(1, 5)) {
			if line.Offset != offset || line.Size < 1 || len(line.Text) > limit {
				t.Fatalf("%+v after offset %d, limit %d", line, offset, limit)
			}
			raw := string(text[line.Offset:][:line.Size])
			if !strings.HasPrefix(raw, line.Text) || strings.Trim(raw[len(line.Text):], "\r\n") != "" {
				t.Fatalf("%+v is not %q", line, raw)
			}
			offset += int64(line.Size)
			long += line.Text
			if !line.More {
				got, long = append(got, strings.TrimRight(long, "\r")), ""
			}
		}
		if offset != int64(len(text)) || long != "" {
			t.Fatalf("%d bytes of %d in lines, left over: %q", offset, len(text), long)
		}
		want := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		for i := range want {
			want[i] = strings.TrimRight(want[i], "\r")
		}
		if len(text) > 0 && !cmp.Equal(want, got) {
			t.Fatal(cmp.Diff(want, got))
		}
	})
}
