// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"fmt"
	"strings"

	"plugstorm/harness/fields"
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
		return r, r.fill(fields.Of(rest))
	}
	return r, fmt.Errorf("the module doesn't know of %s", call.Func)
}

func (r *Report) fill(f *fields.List) error {
	n, fired, state := f.Small("calls"), f.Text("fired"), f.Text("state")
	why, unavailable := strings.CutPrefix(state, "unavailable:")
	if !f.OK() || fired != "0" && fired != "1" || !unavailable && state != "ok" || !fields.Plain(why, maxName) {
		return fmt.Errorf("the module's answer about %s can't be read", r.Func)
	}
	r.Calls, r.Fired = n, fired == "1"
	if unavailable {
		r.Unavailable = "errno " + why
	}
	return nil
}
