// SPDX-License-Identifier: Apache-2.0
#include "inline.h"

volatile long shared;
long mm_a(long x);
long mm_b(long x);

__attribute__((section(".init.text"))) __noinline long start_early(long x)
{
	PROBE("early");
	return branch(x) + 1;
}

__attribute__((noreturn)) __noinline void halt(void)
{
	for (;;)
		shared++;
}

// Ends with a call.
void give_up(void)
{
	shared = 1;
	halt();
}

long start_kernel(long x)
{
	long y = start_early(x);
	y += mm_a(y);
	PROBE("start");
	return y + mm_b(y) + copied(y);
}
