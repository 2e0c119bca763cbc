// SPDX-License-Identifier: Apache-2.0

package qmp

import (
	"context"
	"encoding/json"
	"fmt"

	"plugstorm/harness/blame"
)

// EventMigration says how far a migration is (qapi/migration.json MIGRATION).
// QEMU sends it only when SaveState has asked for it.
const EventMigration = "MIGRATION"

// Bounds that don't bound: a file takes what it is given.
const (
	saveBandwidth = 1 << 40   // bytes a second
	saveDowntime  = 2_000_000 // ms, the most that QEMU takes
)

// SaveState writes a stopped guest's state into a file and returns when it is
// whole. The guest stays stopped ("postmigrate") and can be continued. It takes
// QEMU 8.2: older ones know no "file:".
func SaveState(ctx context.Context, m Monitor, file string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch := m.Watch(ctx, EventMigration)
	capabilities := map[string]any{"capabilities": []map[string]any{{"capability": "events", "state": true}}}
	if err := m.Do(ctx, "migrate-set-capabilities", capabilities, nil); err != nil {
		return err
	}
	bounds := map[string]any{"max-bandwidth": int64(saveBandwidth), "downtime-limit": saveDowntime}
	if err := m.Do(ctx, "migrate-set-parameters", bounds, nil); err != nil {
		return err
	}
	if err := m.Do(ctx, "migrate", map[string]any{"uri": "file:" + file}, nil); err != nil {
		return err
	}
	for e := range watch {
		var v struct{ Status string }
		if err := json.Unmarshal(e.Data, &v); err != nil {
			return breach("event %s: %w", e.Name, err)
		}
		switch v.Status {
		case "completed":
			return nil
		case "failed", "cancelled":
			return blame.Errorf(blame.Hypervisor, "is there room in "+file+"?", "QEMU could not save the guest: %s", saveError(ctx, m, v.Status))
		}
	}
	if err := m.Err(); err != nil {
		return err
	}
	return unanswered(ctx, "migrate")
}

// saveError asks why a migration failed.
func saveError(ctx context.Context, m Monitor, status string) string {
	reply, err := query[struct {
		Desc string `json:"error-desc"`
	}](ctx, m, "query-migrate")
	if err != nil || reply.Desc == "" {
		return status
	}
	return fmt.Sprintf("%s: %s", status, reply.Desc)
}
