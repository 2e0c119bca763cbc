// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"

	"plugstorm/harness/agent"
	"plugstorm/harness/vm"
)

// probeFile is there in kernels with CONFIG_ARCH_MEMORY_PROBE only.
const probeFile = "/sys/devices/system/memory/probe"

// probeUnits is how many units of boot memory are probed. Every machine has
// more.
const probeUnits = 4

// MemoryProbe asks the kernel to add memory that it has.
var MemoryProbe = Kinds.Register(&Kind{
	Name: "memory-probe",
	Doc: "ask the kernel through memory/probe to add boot memory, which it has already: the whole way in, locks and all, and a certain EEXIST " +
		"at its end; memory that isn't there would be used once somebody brings it online",
	Touches:  []string{"drivers/base/memory.c:probe_store", "mm/memory_hotplug.c:__add_memory", "kernel/resource.c"},
	Deadline: patience,
	Zero:     func() Op { return &memoryProbe{} },
	Draw: func(r *rand.Rand, s *State) Op {
		return &memoryProbe{Address: uint64(r.IntN(probeUnits)) * uint64(s.DIMM.UnitMiB) << 20}
	},
})

type memoryProbe struct {
	Address uint64 `json:"address"`
}

// Inject takes EEXIST for success, which it is.
func (o *memoryProbe) Inject(ctx context.Context, v *vm.VM) error {
	file := agent.FileParams{Path: probeFile, Data: fmt.Sprintf("%#x", o.Address)}
	err := v.Agent.Call(ctx, agent.MethodWriteFile, file, nil)
	var ge *agent.Error
	if errors.As(err, &ge) && ge.Errno == errnoName(syscall.EEXIST) {
		return nil
	}
	return guestRefusal(err)
}

// Confirm has nothing to wait for: the kernel's write(2) returned.
func (o *memoryProbe) Confirm(context.Context, *vm.VM) error { return nil }

// Apply changes nothing: the memory was there.
func (o *memoryProbe) Apply(*State) {}
