// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Header is the first line of what the module says; its number is the format's.
const Header = "plugstorm_fail 1"

// MaxAnswer bounds the module's answer, in bytes.
const MaxAnswer = 16 << 10

// A Report says what came of a call that was to fail.
type Report struct {
	Call
	Fired       bool   `json:"fired,omitempty"`
	Calls       int    `json:"calls"`                 // that the site means, until it fired
	Unavailable string `json:"unavailable,omitempty"` // why it can't fail in this kernel
}

// ParseStatus finds a call in the module's status. One that isn't there was
// never armed, which is an error, as is an answer of another format.
func ParseStatus(text string, call Call) (Report, error) {
	r := Report{Call: call}
	lines := strings.Split(text, "\n")
	if len(text) > MaxAnswer || strings.TrimSpace(lines[0]) != Header {
		return r, fmt.Errorf("the module's answer doesn't begin with %q", Header)
	}
	for _, line := range lines[1:] {
		rest, ok := strings.CutPrefix(line, "call "+call.Func+" ")
		if !ok {
			continue
		}
		values := map[string]string{}
		for _, word := range strings.Fields(rest) {
			key, value, _ := strings.Cut(word, "=")
			values[key] = value
		}
		return r, r.fill(values)
	}
	return r, fmt.Errorf("the module doesn't know of %s", call.Func)
}

func (r *Report) fill(values map[string]string) error {
	n, err := strconv.Atoi(values["calls"])
	fired := values["fired"]
	why, unavailable := strings.CutPrefix(values["state"], "unavailable:")
	if err != nil || n < 0 || fired != "0" && fired != "1" || !unavailable && values["state"] != "ok" || !plain(why) {
		return fmt.Errorf("the module's answer about %s can't be read", r.Func)
	}
	r.Calls, r.Fired = n, fired == "1"
	if unavailable {
		r.Unavailable = "errno " + why
	}
	return nil
}

// plain reports whether a text of the guest's is short and printable.
func plain(text string) bool {
	return len(text) <= maxName && strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}
