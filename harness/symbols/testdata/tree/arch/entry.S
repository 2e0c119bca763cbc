// SPDX-License-Identifier: Apache-2.0
	.text
	.globl asm_entry
	.type asm_entry, @function
asm_entry:
	nop
	nop
	nop // the third
	nop
	.size asm_entry, . - asm_entry
	.section .note.GNU-stack,"",@progbits
