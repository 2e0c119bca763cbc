// SPDX-License-Identifier: Apache-2.0

package op

import (
	"encoding/json"
	"strings"
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

// TestPendingRemoval: a guest whose QEMU waits for a removal is asked itself,
// where QEMU can't be asked again.
func TestPendingRemoval(t *testing.T) {
	for _, removal := range []Spec{evictDIMM("dimm0"), {DIMMRemove, &dimmRemove{ID: "dimm0"}}} {
		t.Run(removal.Kind.Name, func(t *testing.T) { pendingRemoval(t, removal) })
	}
}

func pendingRemoval(t *testing.T, removal Spec) {
	for _, m := range machines {
		var asked []string
		release := method(agent.MethodWriteFile, func(g *vmtest.Guest, raw json.RawMessage) (any, error) {
			var p agent.FileParams
			if err := json.Unmarshal(raw, &p); err != nil {
				return nil, err
			}
			asked = append(asked, p.Path+" "+p.Data)
			g.Release("dimm0")
			return nil, nil
		})
		again := release
		again.Unplug = (*vmtest.Guest).Release
		for _, tt := range []attempt{
			{name: "goes at last", then: again, want: Done, after: plugged()},
			{name: "can't go", then: method(agent.MethodWriteFile, errno("EINVAL")), want: Refused, after: plugged("dimm0", "mem-dimm0")},
			{name: "firmware refuses", then: method(agent.MethodWriteFile, errno("EPERM")), want: Refused, after: plugged("dimm0", "mem-dimm0")},
		} {
			if m.DIMM.RemoveRequest == "" && tt.want == Refused {
				continue
			}
			t.Run(m.Name+"/"+tt.name, func(t *testing.T) {
				withGuest(t, spec(m), func(t *testing.T, g *vmtest.Guest) {
					attempt{op: Spec{DIMMAdd, &dimmAdd{ID: "dimm0", MiB: 2 * m.DIMM.UnitMiB, Node: m.DIMM.Node}}, want: Done}.check(t, g)
					keepPending(t, g, "dimm0")
					g.Become(tt.then)
					tt.op = removal
					tt.check(t, g)
					if tt.after != nil {
						tt.after(t, g)
					}
				})
			})
		}
		if m.DIMM.RemoveRequest != "" && (len(asked) != 1 || !strings.HasPrefix(asked[0], "/sys/kernel/dlpar memory remove indexed-count 2 0x8")) {
			t.Errorf("%s: the guest was asked %q", m.Name, asked)
		}
	}
}
