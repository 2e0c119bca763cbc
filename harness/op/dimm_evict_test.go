// SPDX-License-Identifier: Apache-2.0

package op

import (
	"encoding/json"
	"testing"

	"plugstorm/harness/agent"
	"plugstorm/harness/blame"
	"plugstorm/harness/vm/vmtest"
)

func evictDIMM(id string) Spec { return Spec{DIMMEvict, &dimmEvict{ID: id}} }

func TestDIMMEvict(t *testing.T) {
	var attempts []attempt
	for _, m := range machines {
		here := []Spec{{DIMMAdd, &dimmAdd{ID: "dimm0", MiB: 2 * m.DIMM.UnitMiB, Node: m.DIMM.Node}}}
		tries := 0
		reluctant := func(*vmtest.Guest, json.RawMessage) (any, error) {
			if tries++; tries < 5 {
				return nil, &agent.Error{Message: "write: busy", Errno: "EBUSY"}
			}
			return nil, nil
		}
		attempts = append(attempts, []attempt{
			{name: "done", machine: m, before: here, op: evictDIMM("dimm0"), want: Done, after: plugged()},
			{name: "not plugged", machine: m, op: evictDIMM("dimm0"), want: Refused, party: blame.Kernel},
			{name: "refused at first", machine: m, before: here, then: method(agent.MethodSetBlock, reluctant), op: evictDIMM("dimm0"), want: Done, after: plugged()},
			{name: "refused for ever", machine: m, before: here, then: method(agent.MethodSetBlock, errno("EBUSY")), op: evictDIMM("dimm0"), want: Refused,
				party: blame.Kernel, after: plugged("dimm0", "mem-dimm0")},
			{name: "strange error", machine: m, before: here, then: method(agent.MethodSetBlock, errno("EIO")), op: evictDIMM("dimm0"), want: Broken},
			{name: "no answer", machine: m, before: here, then: method(agent.MethodSetBlock, silent), op: evictDIMM("dimm0"), want: Hung},
			{name: "QEMU refuses", machine: m, before: here, then: command("device_del", refuseCommand), op: evictDIMM("dimm0"), want: Refused},
		}...)
	}
	runAttempts(t, attempts)
}
