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

// setCapability switches a capability of migration on.
func setCapability(ctx context.Context, m Monitor, name string) error {
	capabilities := map[string]any{"capabilities": []map[string]any{{"capability": name, "state": true}}}
	return m.Do(ctx, "migrate-set-capabilities", capabilities, nil)
}

// IgnoreShared leaves memory that is mapped shared from a named file out of the
// states that are saved from then on, and takes those that go without it
// (qapi/migration.json x-ignore-shared).
func IgnoreShared(ctx context.Context, m Monitor) error {
	return setCapability(ctx, m, "x-ignore-shared")
}

// Incoming has a QEMU that was started with "-incoming defer" read a state. It
// doesn't wait for that.
func Incoming(ctx context.Context, m Monitor, file string) error {
	return m.Do(ctx, "migrate-incoming", map[string]any{"uri": "file:" + file}, nil)
}

// LoadState is Incoming for a QEMU that was started with -S, too. It returns when
// the state is read, and the guest stopped.
func LoadState(ctx context.Context, m Monitor, file string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch := m.Watch(ctx, EventMigration)
	if err := setCapability(ctx, m, "events"); err != nil {
		return err
	}
	if err := Incoming(ctx, m, file); err != nil {
		return err
	}
	return awaitMigration(ctx, m, watch, "migrate-incoming", "is "+file+" damaged?", "QEMU could not read the guest")
}

// SaveState writes a stopped guest's state into a file and returns when it is
// whole. The guest stays stopped ("postmigrate") and can be continued. It takes
// QEMU 8.2: older ones know no "file:".
func SaveState(ctx context.Context, m Monitor, file string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch := m.Watch(ctx, EventMigration)
	if err := setCapability(ctx, m, "events"); err != nil {
		return err
	}
	bounds := map[string]any{"max-bandwidth": int64(saveBandwidth), "downtime-limit": saveDowntime}
	if err := m.Do(ctx, "migrate-set-parameters", bounds, nil); err != nil {
		return err
	}
	if err := m.Do(ctx, "migrate", map[string]any{"uri": "file:" + file}, nil); err != nil {
		return err
	}
	return awaitMigration(ctx, m, watch, "migrate", "is there room in "+file+"?", "QEMU could not save the guest")
}

// awaitMigration waits for the end of a migration that a command has begun. If it
// fails, complaint says so and next what to look at.
func awaitMigration(ctx context.Context, m Monitor, watch <-chan Event, command, next, complaint string) error {
	for e := range watch {
		var v struct{ Status string }
		if err := json.Unmarshal(e.Data, &v); err != nil {
			return breach("event %s: %w", e.Name, err)
		}
		switch v.Status {
		case "completed":
			return nil
		case "failed", "cancelled":
			return blame.Errorf(blame.Hypervisor, next, "%s: %s", complaint, saveError(ctx, m, v.Status))
		}
	}
	if err := m.Err(); err != nil {
		return err
	}
	return unanswered(ctx, command)
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
