// SPDX-License-Identifier: Apache-2.0

package symbols

import "debug/elf"

// afterCall reports whether a call instruction ends at an address. Where the
// code can't be read it is taken for granted: that is what a return address is.
func (o *object) afterCall(pc uint64) bool {
	isCall := calls[o.elf.Machine]
	s := o.sectionOf(pc - 1)
	if isCall == nil || s == nil || s.Flags&elf.SHF_COMPRESSED != 0 {
		return true
	}
	code, err := rawSection(s, o.data)
	if err != nil || pc-s.Addr > uint64(len(code)) {
		return true
	}
	return isCall(o.elf, code[:pc-s.Addr])
}

// calls says, for each machine that it has, whether code ends with a call.
var calls = map[elf.Machine]func(f *elf.File, code []byte) bool{
	elf.EM_X86_64: func(_ *elf.File, code []byte) bool {
		n := len(code)
		if n >= 5 && code[n-5] == 0xe8 { // call rel32
			return true
		}
		for length := 2; length <= min(n, 7); length++ { // call r/m64: ff /2
			if code[n-length] == 0xff && code[n-length+1]>>3&7 == 2 {
				return true
			}
		}
		return false
	},
	elf.EM_PPC64: func(f *elf.File, code []byte) bool {
		if len(code) < 4 {
			return false
		}
		word := f.ByteOrder.Uint32(code[len(code)-4:])
		switch word >> 26 { // bc, b, bclr and bcctr: with LK they are calls
		case 16, 18, 19:
			return word&1 == 1
		}
		return false
	},
}
