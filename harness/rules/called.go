// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"slices"
)

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

// CallsOf adds up what several guests say of a function.
func CallsOf(function string, guests []*Status) Called {
	c := Called{Why: whyNobodyTold}
	counted := false
	for _, s := range guests {
		i := slices.IndexFunc(s.Funcs, func(h Hits) bool { return h.Func == function })
		switch {
		case counted && i < 0:
		case i < 0:
			c.Why = whyNoRoom
		case s.Funcs[i].Unavailable == "":
			// A call that came while another one was looked at was one all the same.
			c.Calls, c.More, c.Why, counted = c.Calls+s.Funcs[i].Hits+s.Funcs[i].Missed, c.More || s.Funcs[i].Spent, "", true
		case counted:
		case s.Funcs[i].Unavailable == enoent:
			c.Why = whyInlined
		default:
			c.Why = fmt.Sprintf("the kernel takes no probe there (error %s)", s.Funcs[i].Unavailable)
		}
	}
	return c
}

// Add adds the calls of other guests.
func (c *Called) Add(o Called) {
	if o.Why == "" {
		c.Calls, c.More, c.Why = c.Calls+o.Calls, c.More || o.More, ""
	}
}
