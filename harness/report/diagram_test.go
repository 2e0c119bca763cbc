// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"plugstorm/harness/report"
	"plugstorm/harness/splat"
	"plugstorm/harness/triage"
	"plugstorm/harness/waitfor"
)

// parseDot reads DOT as strictly as the language's grammar has it, as far as we
// write it: no HTML strings, every string quoted. It returns the number of
// nodes and edges.
func parseDot(text string) (nodes, edges int, err error) {
	tokens, err := dotTokens(text)
	if err != nil {
		return 0, 0, err
	}
	depth, statement := 0, []string{}
	for _, token := range tokens {
		switch token {
		case "{":
			depth++
			statement = nil
		case "}":
			depth--
			if len(statement) > 0 || depth < 0 {
				return 0, 0, fmt.Errorf("unexpected } behind %q", statement)
			}
		case ";":
			n, e, err := dotStatement(statement)
			if err != nil {
				return 0, 0, err
			}
			nodes, edges, statement = nodes+n, edges+e, nil
		default:
			statement = append(statement, token)
		}
	}
	if depth != 0 || len(statement) > 0 || len(tokens) < 2 || tokens[0] != "digraph" {
		return 0, 0, errors.New("not one whole digraph")
	}
	return nodes, edges, nil
}

func dotTokens(text string) ([]string, error) {
	var tokens []string
	for text != "" {
		switch c := text[0]; {
		case strings.ContainsRune(" \t\n", rune(c)):
			text = text[1:]
		case strings.HasPrefix(text, "->"):
			tokens, text = append(tokens, "->"), text[2:]
		case strings.ContainsRune("{}[];=,", rune(c)):
			tokens, text = append(tokens, string(c)), text[1:]
		case c == '"':
			end := 1
			for end < len(text) && text[end] != '"' {
				if text[end] == '\\' {
					end++
				}
				if end < len(text) && text[end] == '\n' {
					return nil, fmt.Errorf("a string over two lines: %.40q", text)
				}
				end++
			}
			if end >= len(text) {
				return nil, fmt.Errorf("a string without an end: %.40q", text)
			}
			tokens, text = append(tokens, text[:end+1]), text[end+1:]
		default:
			end := strings.IndexFunc(text, func(r rune) bool { return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') })
			if end <= 0 {
				return nil, fmt.Errorf("no token begins with %.40q", text)
			}
			tokens, text = append(tokens, text[:end]), text[end:]
		}
	}
	return tokens, nil
}

// dotStatement counts what one statement declares.
func dotStatement(s []string) (nodes, edges int, err error) {
	attributes := func(s []string) bool {
		if len(s) < 2 || s[0] != "[" || s[len(s)-1] != "]" {
			return false
		}
		for s = s[1 : len(s)-1]; len(s) > 0; s = s[min(4, len(s)):] {
			if len(s) < 3 || s[1] != "=" || len(s) > 3 && s[3] != "," {
				return false
			}
		}
		return true
	}
	switch {
	case len(s) == 3 && s[1] == "=":
		return 0, 0, nil
	case len(s) > 3 && s[1] == "->" && attributes(s[3:]):
		return 0, 1, nil
	case len(s) > 1 && attributes(s[1:]) && (s[0] == "node" || s[0] == "edge"):
		return 0, 0, nil
	case len(s) > 1 && attributes(s[1:]):
		return 1, 0, nil
	}
	return 0, 0, fmt.Errorf("no statement: %q", s)
}

// TestDotIsParsed: by our own parser, and by Graphviz where there is one.
func TestDotIsParsed(t *testing.T) {
	graphviz, _ := exec.LookPath("dot")
	logs := []*triage.Log{hostile()}
	for _, file := range allSamples(t) {
		if l := sampleLog(t, file); report.Drawable(l) > 0 {
			logs = append(logs, l)
		}
	}
	if len(logs) < 5 {
		t.Fatalf("only %d logs can be drawn", len(logs))
	}
	for _, l := range logs {
		text := formatted(t, "dot", l)
		nodes, edges, err := parseDot(text)
		if err != nil || nodes == 0 || edges == 0 {
			t.Errorf("%d nodes, %d edges, %v:\n%s", nodes, edges, err, text)
		}
		if graphviz == "" {
			continue
		}
		c := exec.Command(graphviz, "-Tcanon")
		c.Stdin = strings.NewReader(text)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v: %s\n%s", err, out, text)
		}
	}
	if n, e, err := parseDot(formatted(t, "dot", hostile())); n != 4 || e != 4 || err != nil {
		t.Errorf("the hostile log has 4 nodes and 4 edges, not %d and %d: %v", n, e, err)
	}
}

// TestParseDot sees to it that TestDotIsParsed can fail.
func TestParseDot(t *testing.T) {
	for _, bad := range []string{
		"", "digraph x {", "digraph x { } }", `digraph x { a [label="b];}`, "digraph x { a [label=<b>];}", "digraph x { a -> ; }",
		`digraph x { a [label="b" c"];}`, "digraph x { a [label=\"b\n\"]; }", "graph x { }",
	} {
		if _, _, err := parseDot(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

// A drawing is what encoding/xml finds in an SVG.
type drawing struct {
	XMLName       xml.Name `xml:"http://www.w3.org/2000/svg svg"`
	Width, Height float64  `xml:",attr"`
	Texts         []struct {
		X    float64 `xml:"x,attr"`
		Y    float64 `xml:"y,attr"`
		Text string  `xml:",chardata"`
	} `xml:"text"`
	Boxes []struct {
		X, Y, Width, Height string
		RX                  string `xml:"rx,attr"`
	} `xml:"rect"`
	Arrows []struct {
		D string `xml:"d,attr"`
	} `xml:"path"`
	Others []struct {
		XMLName xml.Name
	} `xml:",any"`
}

func parseSVG(t *testing.T, text string) drawing {
	t.Helper()
	var d drawing
	decoder := xml.NewDecoder(strings.NewReader(strings.NewReplacer(` width="`, ` Width="`, ` height="`, ` Height="`).Replace(text)))
	decoder.Strict = true
	if err := decoder.Decode(&d); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	if !strings.HasSuffix(text, "</svg>\n") || strings.Count(text, "</svg>") != 1 {
		t.Fatalf("not one drawing: %s", text)
	}
	return d
}

// TestSVG: well-formed, every word inside the picture, nothing in it but what
// we draw.
func TestSVG(t *testing.T) {
	logs := []*triage.Log{hostile(), wide()}
	for _, file := range allSamples(t) {
		logs = append(logs, sampleLog(t, file))
	}
	for _, l := range logs {
		d := parseSVG(t, formatted(t, "svg", l))
		for _, other := range d.Others {
			if other.XMLName.Local != "defs" {
				t.Errorf("an element %s", other.XMLName.Local)
			}
		}
		for _, text := range d.Texts {
			half := float64(len([]rune(text.Text))) * 7.3 / 2
			if text.X-half < 0 || text.X+half > d.Width || text.Y < 10 || text.Y > d.Height {
				t.Errorf("%s: %q at %.0f,%.0f isn't in the picture of %.0fx%.0f", l.File, text.Text, text.X, text.Y, d.Width, d.Height)
			}
		}
	}
	d := parseSVG(t, formatted(t, "svg", hostile()))
	if len(d.Boxes) != 1+4 || len(d.Arrows) != 4 {
		t.Errorf("%d boxes, %d arrows", len(d.Boxes), len(d.Arrows))
	}
	if !strings.Contains(d.Texts[0].Text, `</svg><script>&amp;`) {
		t.Errorf("the title reads %q", d.Texts[0].Text)
	}
}

// wide is a hang of more tasks than can be drawn.
func wide() *triage.Log {
	g := &waitfor.Graph{}
	for i := range 100 {
		name := func(i int) string { return fmt.Sprintf("a rather long name of a task %d/%d", i%100, i%100) }
		g.Waits = append(g.Waits, waitfor.Wait{
			Task: name(i), Object: waitfor.Object{Kind: waitfor.Mutex, Name: strings.Repeat("x", 200)}, By: []waitfor.Block{{Task: name(i + 1)}, {Task: name(i)}},
		})
	}
	return &triage.Log{File: "wide", Findings: []triage.Finding{{Finding: splat.Finding{Title: strings.Repeat("t", 300), Identity: "w", Waits: g}}}}
}
