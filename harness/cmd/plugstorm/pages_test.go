// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"plugstorm/harness/schedule"
	"plugstorm/harness/speed"
	"plugstorm/harness/vm"
	"plugstorm/images"
)

// TestPagesParse: every command line of ours on the pages that people read is
// one: its command and flags exist, it has as many arguments as it takes, and
// what it names is there. The reference is generated, and the examples of --help
// are looked at apart.
func TestPagesParse(t *testing.T) {
	pages := []string{"../../../README.md"}
	for _, pattern := range []string{"*.md", "found/*.md"} {
		more, err := filepath.Glob(filepath.Join(docs, pattern))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, more...)
	}
	lines := 0
	for _, page := range pages {
		if filepath.Base(page) == referenceFile {
			continue
		}
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range commandLines(string(text)) {
			lines++
			if err := line.check(); err != nil {
				t.Errorf("%s: %s: %v", page, strings.Join(line.words, " "), err)
			}
		}
	}
	if lines < 60 {
		t.Errorf("only %d command lines found", lines)
	}
}

// A commandLine is one on a page. A mention is one within a sentence, which may
// name a command without what it takes.
type commandLine struct {
	words   []string // behind "plugstorm"
	mention bool
}

var (
	fenceRE  = regexp.MustCompile("(?ms)^ *```[^\n]*\n(.*?)^ *```")
	inlineRE = regexp.MustCompile("`([^`]+)`")
	// A command stands at the beginning of a line, behind what ends another one or
	// begins a loop, or where a report shows one.
	commandRE = regexp.MustCompile(`(?m)(?:^\s*(?:\$ )?|[|;&(:] *|\bdo +)(?:bin/)?plugstorm((?: +[^\n]*)?)$`)
	// It ends with a remark, a redirection or another command. A remark without a
	// mark is set off by blanks.
	endRE   = regexp.MustCompile(`\s#|\s*[|;&>)]|\s{2,}[^-\s]`)
	lineEnd = regexp.MustCompile(`\\\n\s*`)
)

// commandLines takes the command lines out of a page in Markdown.
func commandLines(page string) []commandLine {
	var all []commandLine
	add := func(text string, mention bool) {
		if end := endRE.FindStringIndex(text); end != nil {
			text = text[:end[0]]
		}
		words := strings.Fields(strings.ReplaceAll(text, `"`, ""))
		for i, word := range words {
			if strings.Contains(word, "$") {
				words[i] = "1" // a variable of the shell, for numbers and names
			}
		}
		all = append(all, commandLine{words, mention})
	}
	block := func(text string) {
		for _, m := range commandRE.FindAllStringSubmatch(lineEnd.ReplaceAllString(text, " "), -1) {
			add(m[1], false)
		}
	}
	for _, m := range fenceRE.FindAllStringSubmatch(page, -1) {
		block(m[1])
	}
	page = fenceRE.ReplaceAllString(page, "")
	var prose strings.Builder
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "    ") {
			block(line)
		} else {
			prose.WriteString(line)
		}
	}
	for _, m := range inlineRE.FindAllStringSubmatch(prose.String(), -1) {
		text := strings.Join(strings.Fields(m[1]), " ")
		if rest, ok := strings.CutPrefix(strings.TrimPrefix(text, "bin/"), "plugstorm"); ok && (rest == "" || rest[0] == ' ') {
			add(rest, true)
		}
	}
	return all
}

// check parses a command line, and looks up what it names.
func (l commandLine) check() error {
	a, _, _ := testApp("")
	c, rest, err := a.command().Find(l.words)
	if err != nil {
		return err
	}
	if err := c.ParseFlags(rest); err != nil {
		return err
	}
	if args := c.Flags().Args(); !l.mention || len(args) > 0 {
		if err := c.ValidateArgs(args); err != nil {
			return err
		}
	}
	return lookUp(c)
}

// lookUp looks for what the values of flags name. Words in capitals stand for
// any.
func lookUp(c *cobra.Command) error {
	there := map[string]func(string) bool{
		"machine": func(name string) bool { _, err := vm.Machines.Get(name); return err == nil },
		"suite":   func(name string) bool { _, err := schedule.Scenarios.Get(name); return err == nil },
		"plant":   func(name string) bool { _, err := images.FindPlant(name); return err == nil || name == "all" },
		"feature": func(name string) bool {
			return slices.ContainsFunc(images.Features(), func(f images.Feature) bool { return f.Name == name })
		},
		"peers": func(name string) bool { return slices.Contains(append(peerNames(), "all", "none"), name) },
		"part":  func(name string) bool { return slices.Contains(speed.PartNames(), name) },
	}
	var errs []error
	c.Flags().Visit(func(flag *pflag.Flag) {
		values := []string{flag.Value.String()}
		if many, ok := flag.Value.(pflag.SliceValue); ok {
			values = many.GetSlice()
		}
		for _, value := range values {
			if known := there[flag.Name]; known != nil && !known(value) && !placeholderRE.MatchString(value) {
				errs = append(errs, fmt.Errorf("there is no %s %q", flag.Name, value))
			}
		}
	})
	return errors.Join(errs...)
}

var placeholderRE = regexp.MustCompile(`\b[A-Z]{2,}\b`)

// TestCommandLines: what is found on a page.
func TestCommandLines(t *testing.T) {
	page := strings.Join([]string{
		"Say `plugstorm run", "--suite hunt` or `bin/plugstorm doctor`, not `plugstormer` and not `x plugstorm run`.",
		"```sh", "$ plugstorm run --seed 1 > out", "for m in a; do plugstorm judge $DIR; done", "dmesg | plugstorm triage -   # a remark", "read by plugstorm locks", "```",
		"* in a list", "  ```", "  plugstorm bench detect --jobs 2     a remark", "  plugstorm run \\", "    --first", "  ```",
		"    plugstorm images list", "",
	}, "\n")
	var got []string
	for _, l := range commandLines(page) {
		got = append(got, fmt.Sprint(strings.Join(l.words, " "), " ", l.mention))
	}
	want := []string{"run --seed 1 false", "judge 1 false", "triage - false", "bench detect --jobs 2 false", "run --first false",
		"images list false", "run --suite hunt true", "doctor true"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, words := range []string{"march", "run --wings", "run --seed many", "replay", "judge a b", "run --suite sunday", "run --plant s4", "bench detect --machine sparc",
		"bench speed --part none", "images build --feature wings", "bench detect --peers nobody"} {
		if (commandLine{words: strings.Fields(words)}).check() == nil {
			t.Errorf("%q is taken for a command line", words)
		}
	}
	if err := (commandLine{words: []string{"replay"}, mention: true}).check(); err != nil {
		t.Error(err)
	}
}
