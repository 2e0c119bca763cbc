// SPDX-License-Identifier: Apache-2.0

package splat

// MemoryLeak reads kmemleak's reports.
var MemoryLeak = register(&Detector{
	Name: "memory_leak",
	Doc: "An object that nothing points to (mm/kmemleak.c). " +
		"Identity: the function that allocated it and its two noteworthy callers.",
	Anchors: []string{"BUG: memory leak"},
	Begins:  matching(`BUG: memory leak`),
	Read: func(r *Report, f *Finding) {
		f.Type = TypeLeak
		f.Stack = r.traceStack(0)
		f.in("memory leak", f.Stack, allocating...)
		f.Corrupted = f.Corrupted || len(f.Stack) == 0
	},
})

// allocating are parts of the names of functions that allocate for others.
var allocating = []string{"kmemleak", "alloc", "mmap", "kmem", "slab", "create_object", "idr_get", "list_lru_init", "printf", "strdup", "strndup", "memdup", "pcpu_create"}
