// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"strings"
)

// The module's two answers are kept in one file for each guest.
const (
	statusMark    = "==== status\n"
	contractsMark = "==== contracts\n"
)

// A Guest is what the checker of one guest saw.
type Guest struct {
	Status    *Status
	Contracts []Contract
	Bad       int // lines that could not be read
}

// Join makes the file of a guest from the module's answers.
func Join(status, contracts string) string {
	end := func(s string) string {
		if len(s) > MaxAnswer {
			s = s[:MaxAnswer]
		}
		return strings.TrimRight(s, "\n") + "\n"
	}
	return statusMark + end(status) + contractsMark + end(contracts)
}

// ParseGuest reads what Join made.
func ParseGuest(text string) (*Guest, error) {
	rest, ok := strings.CutPrefix(text, statusMark)
	at := strings.LastIndex(rest, contractsMark)
	if !ok || at < 0 {
		return nil, fmt.Errorf("no answers of the rule checker")
	}
	g := &Guest{}
	var err error
	if g.Status, err = ParseStatus(rest[:at]); err != nil {
		return nil, err
	}
	var bad int
	g.Contracts, bad, err = ParseContracts(rest[at+len(contractsMark):])
	g.Bad = g.Status.Bad + bad
	return g, err
}
