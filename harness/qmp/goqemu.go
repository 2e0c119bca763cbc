// SPDX-License-Identifier: Apache-2.0

package qmp

import (
	"context"
	"encoding/json"

	goqemu "github.com/digitalocean/go-qemu/qmp"

	"plugstorm/harness/blame"
)

// AsGoQEMU makes a go-qemu monitor of ours, for go-qemu's helpers (its
// packages qemu and qmp/raw). Their methods take no context, so ctx bounds
// each of their commands. m stays the caller's, but Disconnect closes it.
func AsGoQEMU(ctx context.Context, m Monitor) goqemu.Monitor { return &foreign{ctx, m} }

type foreign struct {
	ctx context.Context
	m   Monitor
}

// Connect reports only whether m is still connected: it was from the start.
func (f *foreign) Connect() error { return f.m.Err() }

func (f *foreign) Disconnect() error { return f.m.Close() }

// Run runs a command in QMP's own form and returns the reply in QMP's own form.
func (f *foreign) Run(command []byte) ([]byte, error) {
	var c struct {
		Execute   string          `json:"execute"`
		Arguments json.RawMessage `json:"arguments"`
		ID        json.RawMessage `json:"id"`
	}
	if err := json.Unmarshal(command, &c); err != nil || c.Execute == "" {
		return nil, blame.Errorf(blame.Harness, "", "not a QMP command: %q", command)
	}
	var args any
	if c.Arguments != nil {
		args = c.Arguments
	}
	var reply struct {
		Return json.RawMessage `json:"return"`
		ID     json.RawMessage `json:"id,omitempty"`
	}
	if err := f.m.Do(f.ctx, c.Execute, args, &reply.Return); err != nil {
		return nil, err
	}
	reply.ID = c.ID
	return json.Marshal(reply)
}

// Events streams all events until ctx ends or the connection does.
func (f *foreign) Events(ctx context.Context) (<-chan goqemu.Event, error) {
	events := f.m.Watch(ctx)
	out := make(chan goqemu.Event)
	go func() {
		defer close(out)
		for e := range events {
			theirs, err := toGoQEMU(e)
			if err != nil {
				continue // data that isn't an object: go-qemu has no place for it
			}
			select {
			case out <- theirs:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

func toGoQEMU(e Event) (goqemu.Event, error) {
	theirs := goqemu.Event{Event: e.Name}
	theirs.Timestamp.Seconds = e.QEMU.Unix()
	theirs.Timestamp.Microseconds = int64(e.QEMU.Nanosecond() / 1000)
	if e.Data == nil {
		return theirs, nil
	}
	return theirs, json.Unmarshal(e.Data, &theirs.Data)
}
