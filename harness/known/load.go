// SPDX-License-Identifier: Apache-2.0

package known

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"plugstorm/harness/blame"
)

// Load reads a file of issues: a TOML array of tables named "issue". name
// stands in errors, which are the user's and name the line or the issue.
func Load(data []byte, name string) (*Set, error) {
	var file struct {
		Issue []*Issue `toml:"issue"`
	}
	if err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(&file); err != nil {
		return nil, refuse(name, located(err))
	}
	ids := map[string]bool{}
	for n, i := range file.Issue {
		err := i.check()
		if err == nil && ids[i.ID] {
			err = errors.New("this id is taken by an issue above")
		}
		if err != nil {
			return nil, refuse(name, fmt.Errorf("issue %d (id %q): %w", n+1, i.ID, err))
		}
		ids[i.ID] = true
	}
	return &Set{Issues: file.Issue}, nil
}

func refuse(name string, err error) error {
	return blame.Errorf(blame.User, "correct the file; its format is described in docs/known-issues.md", "%s: %w", name, err)
}

// located puts the line in front of what go-toml complains about.
func located(err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
		first := unknown.Errors[0]
		line, _ := first.Position()
		return fmt.Errorf("line %d: unknown key %q", line, strings.Join(first.Key(), "."))
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		line, _ := bad.Position()
		return fmt.Errorf("line %d: %w", line, bad)
	}
	return err
}

var idRE = regexp.MustCompile(`^[a-z0-9]+(?:-[a-z0-9]+)*$`)

// check validates an issue and prepares it for matching.
func (i *Issue) check() error {
	switch {
	case !idRE.MatchString(i.ID):
		return errors.New("the id must be lower-case words joined by dashes")
	case i.Title == "" && len(i.Stack) == 0 && len(i.Locks) == 0 && len(i.Cycle) == 0:
		return errors.New("the signature matches everything: give it a title, a stack, locks or a cycle")
	case slices.Contains(i.Stack, "") || slices.Contains(i.Any, "") || slices.Contains(i.Locks, "") || slices.Contains(i.Cycle, "") || slices.Contains(i.Machines, ""):
		return errors.New("an empty string in a list")
	case len(strings.Fields(i.Reason)) < 5:
		return errors.New("the reason must say in a sentence or more why this is real")
	case i.Source == "" && i.Link == "":
		return errors.New("give it a source or a link")
	}
	var err error
	if i.title, err = whole(i.Title); err != nil {
		return fmt.Errorf("title: %w", err)
	}
	if i.address, err = whole(i.Address); err != nil {
		return fmt.Errorf("address: %w", err)
	}
	if len(i.Stack)+len(i.Locks)+len(i.Cycle) == 0 && !slices.ContainsFunc(titles, func(t string) bool { return !i.title.MatchString(t) }) {
		return errors.New("the signature matches everything: its title is a regular expression for any title")
	}
	if !slices.Contains([]string{"", "read", "write", "execute"}, i.Access) {
		return fmt.Errorf("access is %q: it must be read, write or execute", i.Access)
	}
	if i.kernels, err = parseConstraint(i.Kernels); err != nil {
		return fmt.Errorf("kernels: %w", err)
	}
	return nil
}

// titles have nothing in common.
var titles = []string{"WARNING in a", "possible deadlock in b", "INFO: task hung in c", "kernel BUG in d"}

// whole compiles a regular expression for all of a text; nil for "".
func whole(text string) (*regexp.Regexp, error) {
	if text == "" {
		return nil, nil
	}
	return regexp.Compile(`^(?:` + text + `)$`)
}
