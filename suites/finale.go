// SPDX-License-Identifier: Apache-2.0

package suites

import (
	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/workloads"
)

// finale is how guests end whose suites let hotplug fail, or have few at its
// locks beside it. Offlining that fails or is interrupted undoes the most.
var finale = &schedule.Finale{
	Steps: 3,
	// What may succeed comes first, what always fails last: a vCPU that is there goes
	// before it can be added. None that waits for what a machine need not say
	// (op.FailsAllOver): on pseries an add took the whole finale.
	Mix: []schedule.Weight{
		{Kind: op.VCPUAddCallFailing, Weight: 2},
		{Kind: op.BlockFailNth, Weight: 2}, {Kind: op.BlockInterrupted, Weight: 3}, {Kind: op.CPUFailing, Weight: 2}, {Kind: op.CPUCallFailing, Weight: 2},
		{Kind: op.BlockCallFailing, Weight: 3}, {Kind: op.BlockNotifierError, Weight: 6},
	},
	Users: []op.WorkloadStart{workload(workloads.Aftermath, 20, 0)},
}
