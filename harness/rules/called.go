// SPDX-License-Identifier: Apache-2.0

package rules

import "fmt"

// Called is how often a function was called in several guests, since their rules were
// loaded: calls of boot don't count.
type Called struct {
	Calls int64  `json:"calls"`
	More  bool   `json:"more,omitempty"` // there were more: see Count
	Why   string `json:"why,omitempty"`  // why nobody knows whether it was called; "" if somebody does
}

// Why nothing is known of a function.
const (
	whyNobodyTold = "no guest said what it called"
	whyNoRoom     = "the checker had no room for it"
	whyInlined    = "not in this kernel, or inlined wherever it is called"
)

// enoent is what register_kprobe() answers for a name that the kernel doesn't have
// (include/uapi/asm-generic/errno-base.h ENOENT).
const enoent = "2"

// Calls are what several guests called: each guest's functions by name.
type Calls []map[string]Hits

// CallsOf reads the answers of several guests.
func CallsOf(guests []*Status) Calls {
	all := make(Calls, len(guests))
	for i, s := range guests {
		all[i] = make(map[string]Hits, len(s.Funcs))
		for _, h := range s.Funcs {
			if _, twice := all[i][h.Func]; !twice {
				all[i][h.Func] = h
			}
		}
	}
	return all
}

// Of adds up what the guests say of a function.
func (c Calls) Of(function string) Called {
	sum := Called{Why: whyNobodyTold}
	counted := false
	for _, funcs := range c {
		h, asked := funcs[function]
		switch {
		case counted && !asked:
		case !asked:
			sum.Why = whyNoRoom
		case h.Unavailable == "":
			// A call that came while another one was looked at was one all the same.
			sum.Calls, sum.More, sum.Why, counted = sum.Calls+h.Hits+h.Missed, sum.More || h.Spent, "", true
		case counted:
		case h.Unavailable == enoent:
			sum.Why = whyInlined
		default:
			sum.Why = fmt.Sprintf("the kernel takes no probe there (error %s)", h.Unavailable)
		}
	}
	return sum
}

// Add adds the calls of other guests.
func (c *Called) Add(o Called) {
	if o.Why == "" {
		c.Calls, c.More, c.Why = c.Calls+o.Calls, c.More || o.More, ""
	}
}
