// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"context"
	"io"
	"time"

	"plugstorm/harness/qmp"
)

// A Process is the QEMU behind a VM.
type Process interface {
	// Ended is closed when QEMU has ended.
	Ended() <-chan struct{}
	// Exit says how. It is valid once Ended is closed.
	Exit() Exit
	// PID is QEMU's process on this host, 0 where it has none.
	PID() int
	// End asks QEMU to quit (quit may be nil) and kills it if it doesn't. It
	// returns when Ended is closed, and is called once at most.
	End(quit func(context.Context) error)
}

// Parts are a running guest, as whoever started it holds them.
type Parts struct {
	Process  Process
	Monitor  qmp.Monitor
	Channels []io.ReadWriteCloser // on which the agent may appear

	// Console hands the console on to Spec.Console until its context ends, and
	// then to the end of what there is.
	Console func(context.Context) error
}

// Assemble makes a VM of its parts, which it owns from here on. It is for
// guests whose QEMU is no child of ours.
func Assemble(s Spec, p Parts) *VM {
	return &VM{
		Spec: s, Monitor: p.Monitor, Started: time.Now(), Devices: newDevices(),
		process: p.Process, links: newLinks(s.OnEvent, p.Channels), console: follow(p.Console, p.Process.Ended()),
	}
}
