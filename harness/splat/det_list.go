// SPDX-License-Identifier: Apache-2.0

package splat

import "regexp"

// ListCorruption reads the list debugging code's complaints.
var ListCorruption = register(&Detector{
	Name: "list_corruption",
	Doc: "A broken linked list, found on adding or deleting (lib/list_debug.c), where the BUG or WARNING that it announces is lost. " +
		"Identity: the function that used the list, and its callers.",
	Anchors: []string{"list_add corruption", "list_del corruption", "list_add double add"},
	Prelude: true,
	Begins:  regexp.MustCompile(`^list_(?:add|del) (?:corruption|double add)`).MatchString,
	Read: func(r *Report, f *Finding) {
		f.Type = TypeMemory
		s := r.faultStack()
		f.Stack = s.all()
		f.in("BUG: corrupted list", f.Stack)
		f.also("bad-access")
		f.Corrupted = f.Corrupted || !r.traced()
	},
})
