// SPDX-License-Identifier: Apache-2.0

// Package jsondoc compares what a Go value looks like in JSON with what a
// Markdown page says about it. Tests use it to keep docs/json.md complete.
package jsondoc

import (
	"reflect"
	"slices"
	"strings"
)

// Fields lists the paths of all fields that encoding/json writes for a type,
// sorted: "findings[].title" for a field of the elements of a list, "ops.*"
// for the values of a map. Types must not contain themselves, and those that
// encode themselves count as one field.
func Fields(t reflect.Type) []string {
	var all []string
	collect(t, "", &all)
	slices.Sort(all)
	return slices.Compact(all)
}

func collect(t reflect.Type, path string, all *[]string) {
	switch t.Kind() {
	case reflect.Pointer:
		collect(t.Elem(), path, all)
	case reflect.Slice, reflect.Array:
		collect(t.Elem(), path+"[]", all)
	case reflect.Map:
		collect(t.Elem(), path+".*", all)
	case reflect.Struct:
		for i := range t.NumField() {
			field(t.Field(i), path, all)
		}
	}
}

func field(f reflect.StructField, path string, all *[]string) {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	switch {
	case name == "-" || !f.IsExported() && !f.Anonymous:
		return
	case name == "" && f.Anonymous:
		collect(f.Type, path, all)
		return
	case name == "":
		name = f.Name
	}
	if path != "" {
		name = path + "." + name
	}
	*all = append(*all, name)
	collect(f.Type, name, all)
}

// Documented lists what the tables below a heading of a Markdown page
// document, sorted: the code in the first cell of every row. The section ends
// at the next heading of the same or a higher level.
func Documented(page, heading string) []string {
	var all []string
	level := strings.IndexFunc(heading, func(r rune) bool { return r != '#' })
	inside := false
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		if hashes := len(line) - len(strings.TrimLeft(line, "#")); hashes > 0 {
			inside = line == heading || inside && hashes > level
		}
		if rest, ok := strings.CutPrefix(line, "| `"); ok && inside {
			name, _, _ := strings.Cut(rest, "`")
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}
