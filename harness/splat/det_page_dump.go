// SPDX-License-Identifier: Apache-2.0

package splat

import "regexp"

// PageDump reads page dumps that an assertion asked for.
var PageDump = register(&Detector{
	Name: "page_dump",
	Doc: "A struct page dumped by VM_BUG_ON_PAGE or VM_WARN_ON_PAGE (mm/debug.c dump_page), where the BUG or WARNING that it " +
		"announces is lost. Dumps that only explain a refusal to migrate or offline a page (\"unmovable page\", " +
		"\"migration failure\") are none. Identity: the function at fault and its callers, or else the condition.",
	Anchors: []string{"page dumped because: VM_"},
	Prelude: true,
	Begins:  pageDumpRE.MatchString,
	Read: func(r *Report, f *Finding) {
		m := pageDumpRE.FindStringSubmatch(r.Head())
		f.Type, f.Corrupted = TypeBug, true
		f.Title = "BUG: page dumped because: " + m[1]
		f.Stack = r.faultStack().all()
	},
})

var pageDumpRE = regexp.MustCompile(`page dumped because: (VM_(?:BUG|WARN)_ON\w*\(.*)`)
