// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"regexp"
	"strings"

	"plugstorm/harness/frame"
)

// Slab reads the slab allocator's own complaints.
var Slab = register(&Detector{
	Name: "slab",
	Doc: "Corruption that SLUB's debugging found: redzones, poison, free lists, objects left at destruction (mm/slub.c slab_bug). " +
		"Identity: the cache, what is wrong, and the functions.",
	Anchors: []string{"ainted): ", "ainted:", "=== BUG "},
	Begins: func(message string) bool {
		m := slabRE.FindStringSubmatch(message)
		return m != nil && !strings.HasPrefix(m[2], "kasan:") // KASAN of old kernels, which has a heading of its own
	},
	Read: func(r *Report, f *Finding) {
		m := slabRE.FindStringSubmatch(r.Head())
		f.Type, f.Blinds = TypeNone, true
		what := scrub(m[2])
		f.Title = "BUG: " + what
		if what == "Object already free" {
			f.Type = TypeDoS
		}
		f.Stack = r.traceStack(0)
		f.Identity = "slab: " + m[1] + ": " + what
		for _, fn := range f.Stack {
			if fn = frame.Bare(fn); !isNoise(fn) {
				f.Identity += " < " + fn
				break
			}
		}
		f.Corrupted = !r.traced()
	},
})

// "BUG kmalloc-64 (Not tainted): Redzone overwritten"
var slabRE = regexp.MustCompile(`^BUG (\S+) \((?:Not t|T)ainted[^)]*\): (.+)`)
