// SPDX-License-Identifier: Apache-2.0

package qmp_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"plugstorm/harness/blame"
	"plugstorm/harness/qmp"
	"plugstorm/harness/qmp/qmptest"
)

// saveWith saves to a fake QEMU whose migration goes through the given
// statuses; without any it dies.
func saveWith(t *testing.T, statuses ...string) error {
	t.Helper()
	c := dial(t, func(p *qmptest.Peer) error {
		for {
			c, err := p.Next()
			if err != nil {
				return err
			}
			if c.Execute == "query-migrate" {
				err = p.Return(c, json.RawMessage(`{"status": "failed", "error-desc": "No space left on device"}`))
			} else {
				err = p.Return(c, struct{}{})
			}
			if err == nil && c.Execute == "migrate" {
				for _, status := range statuses {
					if err := p.Emit(qmp.EventMigration, map[string]string{"status": status}); err != nil {
						return err
					}
				}
			}
			if err != nil || c.Execute == "migrate" && len(statuses) == 0 {
				return err
			}
		}
	})
	defer c.Close()
	return qmp.SaveState(within(t, patience), c, "/cache/state")
}

func TestSaveState(t *testing.T) {
	if err := saveWith(t, "setup", "active", "completed"); err != nil {
		t.Error(err)
	}
	if err := saveWith(t, "setup", "failed"); err == nil || !strings.Contains(err.Error(), "No space left") || blame.Of(err) != blame.Hypervisor {
		t.Errorf("a failed migration: %v", err)
	}
	if err := saveWith(t); err == nil {
		t.Error("QEMU's death in the middle is no error")
	}
}

func TestSaveStateSays(t *testing.T) {
	var got []string
	c := dial(t, func(p *qmptest.Peer) error {
		return p.Serve(func(c qmptest.Command) (any, error) {
			got = append(got, c.Execute)
			if c.Execute == "migrate" && string(c.Arguments) != `{"uri":"file:/cache/state"}` {
				t.Errorf("arguments %s", c.Arguments)
			}
			return struct{}{}, nil
		})
	})
	ctx, cancel := context.WithTimeout(t.Context(), brief)
	defer cancel()
	if err := qmp.SaveState(ctx, c, "/cache/state"); err == nil || blame.Of(err) != blame.Hypervisor {
		t.Errorf("a migration that never ends: %v", err)
	}
	c.Close()
	if want := []string{"migrate-set-capabilities", "migrate-set-parameters", "migrate"}; !slices.Equal(got, want) {
		t.Errorf("commands %v, want %v", got, want)
	}
}
