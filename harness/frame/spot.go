// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"regexp"
	"strings"
)

// A Spot is where a CPU was: what the program counter of a register dump
// says, or the exception of a powerpc stack that goes on beneath it.
type Spot struct {
	Func     string   // "" where it has no name: in user space, at address 0
	Register Register // what the line begins with; Exception beneath an exception
}

// A Register is how a line begins that tells where the CPU was.
type Register string

// The program counters, and Exception: "--- interrupt: 700 at f+0x1/0x2", in
// older kernels "--- Exception: 700 at f+0x1/0x2".
const (
	Exception Register = "---"
	RISCV     Register = "epc " // mips has it as well
)

// registers is in the order in which they are tried.
var registers = []Register{"RIP:", "EIP:", "IP:", "NIP ", "PC is at", "pc :", RISCV, "ERA:", "Krnl PSW"}

// nameless are the lines of a program counter that is in user space, or at an
// address without a name. On other architectures a second line has the same
// register in numbers, and says nothing more.
var nameless = []struct {
	begin    string
	register Register
}{
	{"RIP: ", "RIP:"}, {"EIP: ", "EIP:"}, {"IP: ", "IP:"}, {"NIP ", "NIP "}, {"--- interrupt:", Exception},
	{"pc : 0", "pc :"}, {"pc : f", "pc :"}, // arm64; arm has "pc : [<c0101b0c>]" below "PC is at f+0x1/0x2"
}

var (
	// x86 "RIP: 0010:f+0x1/0x2", "RIP: 0010:[<..>]  [<..>] f+0x..", "IP: f+..",
	// "EIP: [<..>] f+..", powerpc "NIP [c0..] f+..", arm "PC is at f+..",
	// arm64 "pc : f+..", riscv "epc : f+..", mips "epc   : addr f+..",
	// loongarch "ERA: addr f+..", s390 "Krnl PSW : mask addr (f+)".
	registerRE = regexp.MustCompile(`^(?:[RE]?IP:?|NIP|PC is at|e?pc +:|ERA:|Krnl PSW :)\s*(?:[0-9a-f]{2,4}:)?(?:\[<?(?:0x)?[0-9a-f]+>?\]\s*){0,2}(?:(?:0x)?[0-9a-f]+\s+){0,2}\(?` + Name + `\+0x[0-9a-f]+/`)
	// Newer ones name no function where it was in user space.
	exceptionRE = regexp.MustCompile(`^--- (?:interrupt|Exception): \w+(?: at ` + Name + `\+0x)?`)
)

// At reads a line that says where the CPU was. It reports false for other text.
func At(line string) (Spot, bool) {
	s := strings.TrimLeft(line, " \t")
	if strings.Contains(s, "+0x") {
		return named(s)
	}
	for _, n := range nameless {
		if strings.HasPrefix(s, n.begin) {
			return Spot{Register: n.register}, true
		}
	}
	return Spot{}, false
}

// named reads the line where it has a function.
func named(s string) (Spot, bool) {
	if strings.HasPrefix(s, "--- ") {
		if m := exceptionRE.FindStringSubmatch(s); m != nil {
			return Spot{m[1], Exception}, true
		}
		return Spot{}, false
	}
	for _, register := range registers {
		if !strings.HasPrefix(s, string(register)) {
			continue
		}
		if m := registerRE.FindStringSubmatch(s); m != nil {
			return Spot{m[1], register}, true
		}
		break
	}
	return Spot{}, false
}

// X86 reports whether the register is one of x86, or none.
func (r Register) X86() bool { return r == "" || strings.HasSuffix(string(r), "IP:") }
