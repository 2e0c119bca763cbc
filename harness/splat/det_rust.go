// SPDX-License-Identifier: Apache-2.0

package splat

// Rust reads panics of Rust code.
var Rust = register(&Detector{
	Name: "rust",
	Doc: "Rust code in the kernel that panicked (rust/kernel/lib.rs). The BUG that follows belongs to it. " +
		"Identity: the message and the function.",
	Anchors: []string{"rust_kernel: panicked"},
	Begins:  matching(`rust_kernel: panicked at`),
	Read: func(r *Report, f *Finding) {
		f.Type, f.Fatal, f.Blinds = TypeNone, true, true
		text := "rust_kernel panicked"
		if len(r.lines) > 1 {
			text = r.lines[1].Message
		}
		s := r.faultStack()
		f.Stack = s.all()
		f.in(scrub(text), f.Stack, "rust_helper", "core::panicking", "rust_begin_unwind")
	},
})
