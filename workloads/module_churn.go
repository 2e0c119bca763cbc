// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"math/rand/v2"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
)

const churned = "plugstorm_tiny"

// fought is what those who unload one module do to each other: it has gone, or is
// just coming or going (kernel/module/main.c delete_module).
var fought = []unix.Errno{unix.ENOENT, unix.EBUSY, unix.EAGAIN}

// ModuleChurn loads and unloads a module.
var ModuleChurn = agent.Workloads.Register(&agent.Workload{
	Name: "module-churn",
	Doc: "loads and unloads a tiny module with a slab cache, percpu variables and parameters in sysfs: module_mutex, " +
		"text_mutex, jump_label_mutex, slab_mutex, pcpu_alloc_mutex; more than one thread fights for the same module",
	Touches: []string{
		"kernel/module/", "mm/slab_common.c:kmem_cache_destroy", "mm/slub.c:sysfs_slab_add", "mm/percpu.c", "kernel/jump_label.c", "mm/execmem.c",
		"mm/vmalloc.c",
	},
	Modules: []string{churned},
	Run: func(ctx context.Context, p agent.Params, m agent.Meter) error {
		l := loop{params: p, meter: m, threads: 1, refuses: append([]unix.Errno{unix.EEXIST, unix.ENOMEM, unix.EINTR}, fought...)}
		err := l.run(ctx, same(func(context.Context, *rand.Rand) error {
			if err := LoadModule(ModuleDir, churned, ""); err != nil {
				return err
			}
			return UnloadModule(churned)
		}))
		left := UnloadModule(churned)
		if isOneOf(left, fought) {
			left = nil // gone, or another instance's
		}
		return errors.Join(err, left)
	},
})
