// SPDX-License-Identifier: Apache-2.0
#include "inline.h"

// Of this name b.c has a larger one.
static __noinline long twin(long x)
{
	PROBE("small twin");
	return x + shared;
}

// Of this name and size b.c has one too.
static __noinline long clone(long x)
{
	PROBE("clone a");
	return x - shared;
}

struct pair { long a, b; };

static __noinline long scalars(struct pair *p)
{
	PROBE("scalars");
	shared += p->a;
	return shared + p->a;
}

__attribute__((cold)) __noinline void complain(long x);

void complain(long x)
{
	shared = x;
}

long mm_a(long x)
{
	struct pair p = { x, x };

	if (__builtin_expect(x == 42, 0)) {
		complain(x);
		PROBE("cold");
		complain(branch(shared));
	}
	for (long i = 0; i < x; i++) {
		long y = branch(x + i);
		shared += twin(y);
	}
	return clone(x) + scalars(&p) + copied(x);
}
