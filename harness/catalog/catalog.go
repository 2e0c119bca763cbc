// SPDX-License-Identifier: Apache-2.0

// Package catalog holds named values that register themselves, one per file:
// machines, ops, workloads, detectors, scenarios, report formats. There is no
// second list of names anywhere.
package catalog

import (
	"fmt"
	"slices"
	"strings"

	"plugstorm/harness/blame"
)

// A Catalog is a set of named, documented values of one kind. It is filled by
// package initialisation and read-only afterwards, so it needs no lock.
type Catalog[T any] struct {
	kind   string
	header func(T) (name, doc string)
	byName map[string]T
	names  []string // sorted
}

// New makes an empty catalog. kind is the noun used in error messages
// ("machine", "op"); header reads a value's name and one-sentence doc.
func New[T any](kind string, header func(T) (name, doc string)) *Catalog[T] {
	return &Catalog[T]{kind: kind, header: header, byName: map[string]T{}}
}

// Register adds v and returns it, so that it can stand in a var declaration.
// It panics on a missing name or doc and on a name taken twice: these are
// mistakes in our source, seen by the first test that runs.
func (c *Catalog[T]) Register(v T) T {
	name, doc := c.header(v)
	switch {
	case name == "" || strings.ContainsAny(name, " \t\n/"):
		panic(fmt.Sprintf("catalog: %s with the bad name %q", c.kind, name))
	case doc == "":
		panic(fmt.Sprintf("catalog: %s %q has no doc", c.kind, name))
	}
	if _, taken := c.byName[name]; taken {
		panic(fmt.Sprintf("catalog: %s %q registered twice", c.kind, name))
	}
	c.byName[name] = v
	at, _ := slices.BinarySearch(c.names, name)
	c.names = slices.Insert(c.names, at, name)
	return v
}

// Get finds a value by name. Its error is the user's and lists what exists.
func (c *Catalog[T]) Get(name string) (T, error) {
	v, ok := c.byName[name]
	if !ok {
		return v, blame.Errorf(blame.User, "choose one of: "+strings.Join(c.names, ", "),
			"unknown %s %q", c.kind, name)
	}
	return v, nil
}

// Names returns all names in alphabetical order. The caller owns the slice.
func (c *Catalog[T]) Names() []string { return slices.Clone(c.names) }

// All returns all values in the order of their names.
func (c *Catalog[T]) All() []T {
	all := make([]T, len(c.names))
	for i, name := range c.names {
		all[i] = c.byName[name]
	}
	return all
}
