// SPDX-License-Identifier: Apache-2.0

package known

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A constraint limits kernel releases: comparisons that must all hold, such as
// ">=6.8 <6.13". The operators are >= <= > < and =. "=6.12" and "<=6.12" take
// in every 6.12.y, ">6.12" none of them. An empty one allows everything.
type constraint []comparison

type comparison struct {
	op      string
	version []int
}

// parseConstraint reads comparisons separated by blanks.
func parseConstraint(s string) (constraint, error) {
	var c constraint
	for _, word := range strings.Fields(s) {
		version := strings.TrimLeft(word, "<>=")
		op := word[:len(word)-len(version)]
		if !slices.Contains([]string{">=", "<=", ">", "<", "="}, op) {
			return nil, fmt.Errorf("%q doesn't begin with one of >= <= > < =", word)
		}
		v, rest := parseRelease(version)
		if len(v) == 0 || rest != "" {
			return nil, fmt.Errorf("%q isn't a kernel version", version)
		}
		c = append(c, comparison{op, v})
	}
	return c, nil
}

// allows reports whether a release ("6.12.117-plugstorm") is within the
// constraint. Release candidates count as the version they precede.
func (c constraint) allows(release string) bool {
	if len(c) == 0 {
		return true
	}
	v, _ := parseRelease(release)
	if len(v) == 0 {
		return false
	}
	for _, cmp := range c {
		if !cmp.holds(v) {
			return false
		}
	}
	return true
}

func (c comparison) holds(v []int) bool {
	// Only as many parts as the constraint names are compared.
	v = append(slices.Clone(v), make([]int, len(c.version))...)[:len(c.version)]
	order := slices.Compare(v, c.version)
	switch c.op {
	case ">=":
		return order >= 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	case "<":
		return order < 0
	}
	return order == 0
}

// parseRelease reads the leading dotted numbers of a release.
func parseRelease(s string) (version []int, rest string) {
	for {
		n := 0
		for n < len(s) && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		number, err := strconv.Atoi(s[:n])
		if err != nil {
			return version, s
		}
		version = append(version, number)
		s = s[n:]
		if len(s) < 2 || s[0] != '.' || s[1] < '0' || s[1] > '9' {
			return version, s
		}
		s = s[1:]
	}
}
