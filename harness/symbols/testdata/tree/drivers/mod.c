// SPDX-License-Identifier: Apache-2.0
#include "inline.h"

static __noinline long mod_work(long x)
{
	PROBE("work");
	return branch(x);
}

__attribute__((section(".init.text"))) long init_module(void)
{
	PROBE("init");
	return mod_work(leaf(7));
}

__attribute__((section(".exit.text"))) void cleanup_module(void)
{
	PROBE("exit");
	shared = 0;
}
