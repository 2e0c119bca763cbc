// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"plugstorm/harness/report/jsondoc"
)

const docs = "../../../docs"

// testApp is an app that sees nothing of the environment.
func testApp(stdin string) (a *app, stdout, stderr *strings.Builder) {
	stdout, stderr = &strings.Builder{}, &strings.Builder{}
	a = &app{stdin: strings.NewReader(stdin), stdout: stdout, stderr: stderr, ui: newUI(stderr, false, false)}
	return a, stdout, stderr
}

// commands lists all of our commands. Cobra's own, help and completion, are
// not ours to explain.
func commands(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		if sub.Name() != "help" && sub.Name() != "completion" {
			all = append(all, commands(sub)...)
		}
	}
	return all
}

// TestHelp: every command explains itself, with an example that names it, and
// every flag says what it does.
func TestHelp(t *testing.T) {
	a, stdout, stderr := testApp("")
	root := a.command()
	if n := len(commands(root)); n < 10 {
		t.Fatalf("only %d commands found", n)
	}
	for _, c := range commands(root) {
		path := c.CommandPath()
		if c.Short == "" || strings.HasSuffix(c.Short, ".") || strings.ToLower(c.Short[:1]) != c.Short[:1] {
			t.Errorf("%s: %q should be a phrase, as the others are", path, c.Short)
		}
		for example := range strings.Lines(c.Example) {
			if !strings.Contains(example, path) || !strings.HasPrefix(example, "  ") {
				t.Errorf("%s: example %q doesn't show it", path, example)
			}
		}
		stdout.Reset()
		root.SetArgs(append(strings.Fields(path)[1:], "--help"))
		if err := root.Execute(); err != nil {
			t.Errorf("%s --help: %v", path, err)
		}
		help := stdout.String()
		if c.Example == "" || !strings.Contains(help, c.Example) || !strings.Contains(help, "Usage:") {
			t.Errorf("%s --help has no example: %s", path, help)
		}
		for _, usage := range []string{c.LocalFlags().FlagUsages(), c.PersistentFlags().FlagUsages()} {
			for flag := range strings.Lines(usage) {
				if len(strings.Fields(flag)) < 3 {
					t.Errorf("%s: flag without a word about it: %s", path, flag)
				}
			}
		}
	}
	if stderr.Len() > 0 {
		t.Errorf("help went to stderr: %s", stderr)
	}
}

// TestExamplesParse: what --help shows is what its parser takes.
func TestExamplesParse(t *testing.T) {
	a, _, _ := testApp("")
	for _, c := range commands(a.command()) {
		for example := range strings.Lines(c.Example) {
			words := strings.Fields(example)
			for len(words) > 0 && words[0] != "plugstorm" {
				words = words[1:] // "dmesg | plugstorm ..."
			}
			for i := range words {
				if strings.Contains(example, "   ") && i > 1 && words[i] == "both" {
					words = words[:i] // a remark
					break
				}
			}
			fresh, _, _ := testApp("")
			found, rest, err := fresh.command().Find(words[1:])
			if err == nil {
				err = found.ParseFlags(rest)
			}
			if err == nil {
				err = found.ValidateArgs(found.Flags().Args())
			}
			if err != nil {
				t.Errorf("%s: %v", example, err)
			}
		}
	}
}

// TestReferenceIsUpToDate: docs/reference.md is what `make docs` writes.
func TestReferenceIsUpToDate(t *testing.T) {
	a, _, stderr := testApp("")
	dir := t.TempDir()
	if code := execute(t.Context(), a, []string{"docs", dir}); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	got, err := os.ReadFile(filepath.Join(dir, referenceFile))
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(docs, referenceFile))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("run `make docs`:\n%s", diff)
	}
	for _, c := range commands(a.command()) {
		if heading := "\n## " + c.CommandPath() + "\n"; strings.Contains(string(got), heading) == c.Hidden {
			t.Errorf("%s is hidden (%v), and has a section or not just the other way", c.CommandPath(), c.Hidden)
		}
	}
}

func TestReferenceErrors(t *testing.T) {
	a, _, stderr := testApp("")
	if code := execute(t.Context(), a, []string{"docs", filepath.Join(t.TempDir(), "missing")}); code == 0 || !strings.Contains(stderr.String(), "missing") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if err := writeReference(brokenWriter{}, a.command()); !errors.Is(err, errBroken) {
		t.Errorf("a broken writer: %v", err)
	}
}

var errBroken = errors.New("broken pipe")

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

// TestTriageJSONIsDocumented: the JSON of triage and its page say the same.
func TestTriageJSONIsDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(docs, "json.md"))
	if err != nil {
		t.Fatal(err)
	}
	for heading, object := range map[string]reflect.Type{
		"## triage": reflect.TypeFor[triaged](), "## triage --same": reflect.TypeFor[compared](),
		"## locks": reflect.TypeFor[locksOutput](), "## locks --diff": reflect.TypeFor[locksDiffOutput](),
	} {
		if diff := cmp.Diff(jsondoc.Fields(object), jsondoc.Documented(string(page), heading)); diff != "" {
			t.Errorf("%s of docs/json.md doesn't describe the fields that there are (-):\n%s", heading, diff)
		}
	}
}
