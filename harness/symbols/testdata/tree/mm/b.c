// SPDX-License-Identifier: Apache-2.0
#include "../include/./inline.h"

static __noinline long twin(long x)
{
	shared += x * 17;
	shared -= x / 3;
	shared ^= x << 4;
	PROBE("large twin");
	shared += leaf(shared) + x * 19;
	shared -= x / 7;
	return x + shared;
}

static __noinline long clone(long x)
{
	PROBE("clone b");
	return x - shared;
}

long mm_b(long x)
{
	return twin(x) + clone(x) + copied(x);
}
