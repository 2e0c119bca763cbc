// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"strings"
	"testing"
)

// The lines are from consoles in splat's testdata, addresses shortened.
func TestParse(t *testing.T) {
	for _, c := range []struct {
		line string
		want Frame
	}{
		// x86
		{" offline_pages+0x4f5/0xb10", Frame{Func: "offline_pages"}},
		{" ? __kernfs_remove+0xba/0x135", Frame{Func: "__kernfs_remove", Doubtful: true}},
		{" probe_store.isra.0+0x1/0x2 [plugstorm_pgmap]", Frame{Func: "probe_store.isra.0", Module: "plugstorm_pgmap"}},
		{" f+0x1/0x2 [mod 0123456789abcdef0123456789abcdef01234567]", Frame{Func: "f", Module: "mod"}},
		{" [<ffffffff8121a8d3>] __kernfs_remove+0x2b3/0x390", Frame{Func: "__kernfs_remove"}},
		{" [<ffffffff8121a8d3>] ? __kernfs_remove+0x2b3/0x390", Frame{Func: "__kernfs_remove", Doubtful: true}},
		{" <IRQ>  [<ffffffff81f6c5d1>] dump_stack+0x8d/0xba", Frame{Func: "dump_stack"}},
		{" [<     inline     >] __mutex_lock_common kernel/locking/mutex.c:521", Frame{Func: "__mutex_lock_common"}},
		{" [<ffffffff81f6c5d1>] dump_stack+0x8d/0xba lib/dump_stack.c:51", Frame{Func: "dump_stack"}},
		{" f+0x12/0x", Frame{Func: "f"}}, // cut
		// a symbolized log
		{" context_switch kernel/sched/core.c:5402 [inline]", Frame{Func: "context_switch"}},
		{" __schedule+0x1/0x2 kernel/sched/core.c:6", Frame{Func: "__schedule"}},
		// arm64
		{" el0t_64_sync+0x1ac/0x1b0 (P)", Frame{Func: "el0t_64_sync"}},
		// powerpc
		{"[c0000000035d7630] [c0000000000f7704] __lock_acquire+0x10e8/0x13f0", Frame{Func: "__lock_acquire"}},
		{"[c0000000035d74d0] [c00000000049d9c4] dump_stack_lvl+0x6c/0x114 (unreliable)", Frame{Func: "dump_stack_lvl", Doubtful: true}},
		{"[c0000000035d74d0] [c008000001234567] f+0x6c/0x114 [mod] (unreliable)", Frame{Func: "f", Module: "mod", Doubtful: true}},
		// s390x
		{" [<000000000012cafe>] offline_pages+0x8a/0xa0 ", Frame{Func: "offline_pages"}},
		{" ([<00000001003cfe5a>] show_stack+0x8a/0xa0)", Frame{Func: "show_stack"}},
		// riscv, loongarch, mips
		{"[<ffffffff80005d2a>] dump_backtrace+0x1c/0x24", Frame{Func: "dump_backtrace"}},
		// arm
		{" show_stack from dump_stack_lvl+0xa2/0x306", Frame{Func: "show_stack", Caller: "dump_stack_lvl"}},
		{"[<80de054c>] (show_stack) from [<80de7c10>] (dump_stack+0x154/0x1a8)", Frame{Func: "show_stack", Caller: "dump_stack"}},
		{"[<c0104a54>] (unwind_backtrace+0x1/0x2) from [<c0101b0c>] (show_stack+0x1/0x2)", Frame{Func: "unwind_backtrace", Caller: "show_stack"}},
		// Rust, demangled
		{" <kernel::sync::Arc<T> as core::ops::Drop>::drop+0x1/0x2", Frame{Func: "<kernel::sync::Arc<T> as core::ops::Drop>::drop"}},
	} {
		got, ok := Parse(c.line)
		if !ok || got != c.want {
			t.Errorf("Parse(%q) = %+v, %v, want %+v", c.line, got, ok, c.want)
		}
	}
}

func TestParseOther(t *testing.T) {
	for _, line := range []string{
		"", " </TASK>", "RIP: 0033:0x40a835", "RIP: 0010:f+0x1/0x2", "lr : f+0x1/0x2", "LR [c000000000123456] f+0x1/0x2", "process runs from it",
		"usb 1-1: read from 0x12+0x34", "removed from list", "0x7f12+0x1/0x2", " f+0x1", " f+0x/0x2", "the device f+0x1/0x2", "[ some words ] f+0x1/0x2",
		"see Documentation/inline.rst", "&x->lock at: f+0x1/0x2", strings.Repeat("a", maxName+1) + "+0x1/0x2",
	} {
		if f, ok := Parse(line); ok {
			t.Errorf("Parse(%q) = %+v, want no frame", line, f)
		}
	}
}

func TestAt(t *testing.T) {
	for _, c := range []struct {
		line string
		want Spot
	}{
		{"RIP: 0010:offline_pages+0x4f5/0xb10", Spot{"offline_pages", "RIP:"}},
		{"RIP: 0010:[<ffffffff8121a8d3>]  [<ffffffff8121a8d3>] f+0x2b3/0x390", Spot{"f", "RIP:"}},
		{"RIP: 0033:0x40a835", Spot{"", "RIP:"}},
		{"RIP: 0010:0x0", Spot{"", "RIP:"}},
		{"EIP: f+0x1/0x2", Spot{"f", "EIP:"}},
		{"IP: [<ffffffff8121a8d3>] f+0x1/0x2", Spot{"f", "IP:"}},
		{"NIP [c0000000000f7704] f+0x10e8/0x13f0", Spot{"f", "NIP "}},
		{"NIP [00007fff8a1b2c3d] 0x7fff8a1b2c3d", Spot{"", "NIP "}},
		{"--- interrupt: 900 at f+0x1/0x2", Spot{"f", Exception}},
		{"--- Exception: 700 at f+0x1/0x2", Spot{"f", Exception}},
		{"--- interrupt: 3000 at 0x7fff8a1b2c3d", Spot{"", Exception}},
		{"pc : f+0x1/0x2", Spot{"f", "pc :"}},
		{"pc : 0000aaaabbbbcccc", Spot{"", "pc :"}},
		{"PC is at f+0x1/0x2", Spot{"f", "PC is at"}},
		{"epc : f+0x1/0x2", Spot{"f", RISCV}},
		{"epc   : 80101b0c f+0x1/0x2", Spot{"f", RISCV}},
		{"   ERA: 9000000000223344 f+0x1/0x2", Spot{"f", "ERA:"}},
		{"Krnl PSW : 0704c00180000000 000000000012cafe (f+0x1/0x2)", Spot{"f", "Krnl PSW"}},
	} {
		if got, ok := At(c.line); !ok || got != c.want {
			t.Errorf("At(%q) = %+v, %v, want %+v", c.line, got, ok, c.want)
		}
	}
	for _, line := range []string{
		"", " f+0x1/0x2", "NIP:  c0000000000f7704 LR: c0000000000f7700 CTR: 0000000000000000", "pc : [<c0101b0c>]    lr : [<c0101b0c>]    psr: 60000013",
		"epc : ffffffff80005d2a ra : ffffffff80005d2a sp : ff20000000313b60", "lr : f+0x1/0x2", "--- ", "CPU: 1 PID: 2",
	} {
		if s, ok := At(line); ok {
			t.Errorf("At(%q) = %+v, want none", line, s)
		}
	}
}

func TestX86(t *testing.T) {
	for register, want := range map[Register]bool{"RIP:": true, "EIP:": true, "IP:": true, "": true, "NIP ": false, RISCV: false, Exception: false} {
		if got := register.X86(); got != want {
			t.Errorf("%q.X86() = %v", register, got)
		}
	}
}

func TestBare(t *testing.T) {
	for fn, want := range map[string]string{
		"f": "f", "f.isra.0": "f", "f.constprop.0.cold": "f", "f.llvm.12345": "f", ".text": ".text", "": "",
		"<T as a::B>::c.0": "<T as a::B>::c.0",
	} {
		if got := Bare(fn); got != want {
			t.Errorf("Bare(%q) = %q, want %q", fn, got, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	for s, want := range map[string]string{
		"plain text": "plain text", "a\tb": "a b", "a\x1b[31mb": "a[31mb", "a\xffb": "ab", "naïve": "naïve", "a\u200bb": "ab", "a\nb": "ab",
	} {
		if got := Printable(s); got != want {
			t.Errorf("Printable(%q) = %q, want %q", s, got, want)
		}
	}
}
