// SPDX-License-Identifier: Apache-2.0

package splat

import "regexp"

// BadPage reads the page allocator's and the page tables' complaints.
var BadPage = register(&Detector{
	Name: "bad_page",
	Doc: "A page in a state in which it can't be allocated or freed, or a page table entry that can't be (mm/page_alloc.c bad_page, " +
		"mm/memory.c print_bad_pte). Identity: the functions that freed or allocated it.",
	Anchors: []string{"BUG: Bad page"},
	Begins:  badPageRE.MatchString,
	Closes:  closesTask,
	Read: func(r *Report, f *Finding) {
		m := badPageRE.FindStringSubmatch(r.Head())
		f.Type, f.Blinds = TypeNone, true
		_, from := r.After("Call Trace:")
		f.Stack = r.traceStack(max(from, 0))
		f.in("BUG: "+m[1], f.Stack, "free_unref", "free_pages", "bad_page", "free_page", "__free_", "release_pages", "put_page", "folio_put", "folios_put", "skb_release", "sk_skb_reason", "netif_receive_skb")
		f.Corrupted = f.Corrupted || len(f.Stack) == 0
	},
})

var badPageRE = regexp.MustCompile(`BUG: (Bad page (?:state|map|cache))\b`)
