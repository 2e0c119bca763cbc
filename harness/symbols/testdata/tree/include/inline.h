// SPDX-License-Identifier: Apache-2.0

#define __noinline __attribute__((noinline))
#define __always_inline inline __attribute__((always_inline))

// PROBE writes the address of the next instruction and a name to a section
// that the test reads.
#define PROBE(name)                                                    \
	asm volatile("1: nop\n"                                            \
	             ".pushsection .probes,\"a\"\n"                        \
	             ".balign 32; .quad 1b; .asciz \"" name "\"; .balign 32\n" \
	             ".popsection" ::: "memory")

extern volatile long shared;

static __always_inline long leaf(long x)
{
	shared += x;
	PROBE("leaf");
	return shared * x;
}

static __always_inline long branch(long x)
{
	if (x & 1) {
		long y = leaf(x + 1);
		shared ^= y;
	}
	return shared;
}

// Every file that includes this has a copy.
static __noinline long copied(long x)
{
	PROBE("copied");
	return shared + x * 3;
}
