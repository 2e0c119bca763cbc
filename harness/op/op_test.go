// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"plugstorm/harness/agent"
	"plugstorm/harness/blame"
	"plugstorm/harness/qmp"
)

func TestKinds(t *testing.T) {
	for _, kind := range Kinds.All() {
		if kind.Deadline <= 0 || kind.Zero == nil || kind.Draw == nil {
			t.Errorf("%s is incomplete", kind.Name)
			continue
		}
		if reflect.TypeOf(kind.Zero()).Kind() != reflect.Pointer || kind.Zero() == kind.Zero() {
			t.Errorf("%s: Zero must make a new op each time", kind.Name)
		}
	}
}

func TestSpecRefuses(t *testing.T) {
	for _, tt := range []struct {
		text, complaint string
		party           blame.Party
	}{
		{`{"kind":"dimm-burn","args":{}}`, `unknown op "dimm-burn"`, blame.User},
		{`{"args":{}}`, `unknown op ""`, blame.User},
		{`{"kind":"dimm-add","args":{"id":"dimm0","mib":128,"node":1,"colour":"red"}}`, `arguments of dimm-add: json: unknown field "colour"`, ""},
		{`{"kind":"dimm-add","args":{"id":7}}`, `arguments of dimm-add`, ""},
		{`{"kind":"dimm-add","args":[]}`, `arguments of dimm-add`, ""},
		{`{"kind":"dimm-add"}`, `arguments of dimm-add`, ""},
		{`{"kind":"dimm-add","args":null}`, `arguments of dimm-add`, ""},
		{`{"kind":"dimm-add","args":{},"arg":{}}`, `unknown field "arg"`, ""},
		{`{"kind":7}`, `cannot unmarshal`, ""},
		{`[]`, `cannot unmarshal`, ""},
	} {
		var s Spec
		err := json.Unmarshal([]byte(tt.text), &s)
		if err == nil || !strings.Contains(err.Error(), tt.complaint) {
			t.Errorf("%s: error is %v, want %q", tt.text, err, tt.complaint)
		}
		if tt.party != "" && blame.Of(err) != tt.party {
			t.Errorf("%s: blamed on %q", tt.text, blame.Of(err))
		}
	}
}

// TestSpecFormat pins the format of schedules that exist.
func TestSpecFormat(t *testing.T) {
	for _, text := range []string{
		`{"kind":"dimm-add","args":{"id":"dimm0","mib":256,"node":1}}`,
		`{"kind":"dimm-remove","args":{"id":"dimm0"}}`,
		`{"kind":"dimm-evict","args":{"id":"dimm0"}}`,
		`{"kind":"block-offline","args":{"dimm":"dimm0","index":1,"via":"state","value":"offline"}}`,
		`{"kind":"block-online","args":{"dimm":"dimm0","index":1,"via":"online","value":"1"}}`,
		`{"kind":"block-online-kernel","args":{"dimm":"dimm0","index":1,"via":"state","value":"online_kernel"}}`,
		`{"kind":"block-fail-nth","args":{"dimm":"dimm0","index":1,"via":"state","value":"offline","nth":7}}`,
		`{"kind":"block-notifier-error","args":{"dimm":"dimm0","index":1,"via":"online","value":"1","errno":12}}`,
		`{"kind":"dimm-add-failing","args":{"id":"dimm0","mib":256,"node":1,"what":"failslab","percent":10,"times":2,"skip":700}}`,
		`{"kind":"dimm-remove-failing","args":{"id":"dimm0","what":"fail_page_alloc","percent":1,"times":4,"skip":0}}`,
		`{"kind":"dimm-add-call-failing","args":{"id":"dimm0","mib":256,"node":1,"calls":[{"func":"arch_add_memory","errno":"ENOMEM","nth":1}]}}`,
		`{"kind":"block-call-failing","args":{"dimm":"dimm0","index":1,"via":"online","value":"1","calls":[{"func":"memory_notify","errno":"=32781","nth":1,"arg":"MEM_GOING_ONLINE"},{"func":"online_pages","errno":"ENOMEM","nth":2}]}}`,
		`{"kind":"memory-probe","args":{"address":134217728}}`,
		`{"kind":"cpu-offline","args":{"cpu":1,"online":false}}`,
		`{"kind":"cpu-online","args":{"cpu":1,"online":true}}`,
		`{"kind":"vcpu-add","args":{"cpu":2}}`,
		`{"kind":"vcpu-remove","args":{"cpu":2}}`,
		`{"kind":"vm-pause","args":{"ms":250}}`,
		`{"kind":"workload-start","args":{"id":"a-0","name":"reclaim","params":{"seed":7,"rate":0,"threads":2}}}`,
		`{"kind":"workload-stop","args":{"id":"a-0"}}`,
	} {
		var s Spec
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, err := json.Marshal(s)
		if err != nil || string(got) != text {
			t.Errorf("%s became %s, %v", text, got, err)
		}
	}
}

func TestOutcomeOf(t *testing.T) {
	deadline := context.DeadlineExceeded
	over := errors.New("the run's time is up")
	died := blame.Errorf(blame.Hypervisor, "", "QEMU died")
	channel := blame.On(blame.Harness, &agent.ChannelError{Cause: agent.ErrLineTooLong}, "")
	for _, tt := range []struct {
		name  string
		err   error
		cause error
		want  Outcome
	}{
		{"no error", nil, nil, Done},
		{"no error, late", nil, deadline, Done},
		{"refused", refused("x"), nil, Refused},
		{"refused, late", fmt.Errorf("x: %w", refused("x")), deadline, Refused},
		{"spent", fmt.Errorf("x: %w", ErrSpent), nil, Refused},
		{"pending", pending("x"), deadline, Pending},
		{"deadline", fmt.Errorf("x: %w", deadline), deadline, Hung},
		{"strange error, late", errors.New("x"), deadline, Hung},
		{"the run ends", context.Canceled, over, ""},
		{"strange error at the end of the run", errors.New("x"), over, ""},
		{"cut off by the death of QEMU", fmt.Errorf("x: %w", died), died, ""},
		{"strange error", errors.New("x"), nil, Broken},
		{"refusal of the guest's that is none", &agent.Error{Message: "x", Errno: "EIO"}, nil, Broken},
		{"QEMU doesn't answer", blame.On(blame.Hypervisor, deadline, ""), deadline, Broken},
		{"QEMU is gone", fmt.Errorf("x: %w", qmp.ErrGone), nil, Broken},
		{"QEMU is gone, at the deadline", fmt.Errorf("x: %w", qmp.ErrGone), deadline, Broken},
		{"the monitor was closed", qmp.ErrClosed, nil, Broken},
		{"the agent's channel ended", channel, deadline, Broken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := OutcomeOf(tt.err, tt.cause); got != tt.want {
				t.Errorf("outcome is %q, want %q", got, tt.want)
			}
		})
	}
}

func TestGone(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("x"), false},
		{blame.Errorf(blame.Hypervisor, "", "x"), false},
		{fmt.Errorf("x: %w", qmp.ErrGone), true},
		{fmt.Errorf("x: %w", qmp.ErrClosed), true},
		{fmt.Errorf("x: %w", &agent.ChannelError{Cause: agent.ErrClosed}), true},
	} {
		if got := Gone(tt.err); got != tt.want {
			t.Errorf("Gone(%v) is %v", tt.err, got)
		}
	}
}
