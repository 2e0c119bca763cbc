// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"plugstorm/harness/blame"
	"plugstorm/harness/console"
	"plugstorm/harness/qmp"
)

// QEMU runs a guest as a direct child of the controller.
var QEMU = Backends.Register(&Backend{
	Name:  "qemu",
	Doc:   "QEMU as a child process; it ends with the controller, however that ends",
	Start: startQEMU,
	Share: share,
})

func startQEMU(ctx context.Context, s Spec) (*VM, error) {
	if err := prepareDir(&s); err != nil {
		return nil, err
	}
	v := &VM{Spec: s, Started: time.Now(), Devices: newDevices()}
	var err error
	if v.process, err = startProcess(s.Dir, s.Emulator, Args(&s)); err != nil {
		return nil, err
	}
	v.console = follow(func(ctx context.Context) error {
		return console.Follow(ctx, filepath.Join(s.Dir, ConsoleLog), s.Console)
	}, v.process.Ended())
	if err := v.connect(ctx); err != nil {
		v.process.End(nil)
		v.console.finish()
		<-v.console.done
		removeSockets(s.Dir)
		return nil, err
	}
	return v, nil
}

// lastWords is how long a QEMU that has hung up may take to end and so to tell
// why.
const lastWords = time.Second

func (v *VM) awaitLastWords(ctx context.Context) {
	select {
	case <-v.process.Ended():
	case <-time.After(lastWords):
	case <-ctx.Done():
	}
}

// connect opens the monitor and the agent's channels. QEMU ending meanwhile
// is an error at once.
func (v *VM) connect(ctx context.Context) error {
	ctx, cancel := v.whileRunning(ctx)
	defer cancel()
	dir, err := shortDir(v.Spec.Dir)
	if err != nil {
		return err
	}
	defer dir.close()
	monitor, err := qmp.Dial(ctx, dir.path(qmpSocket))
	if err == nil {
		v.Monitor = monitor
		err = v.awaitState(ctx)
	}
	if err == nil {
		v.links, err = dialLinks(ctx, v.Spec.OnEvent, dir.path(agentSocket), dir.path(spareSocket))
	}
	if err == nil {
		return nil
	}
	if v.Monitor != nil {
		_ = v.Monitor.Close()
	}
	v.awaitLastWords(ctx)
	select {
	case <-v.process.Ended():
		return blame.Errorf(blame.Hypervisor, "run "+filepath.Join(v.Spec.Dir, CommandFile)+" by hand to see it again",
			"QEMU did not start: %s", v.Exit())
	default:
		return blame.On(blame.Hypervisor, fmt.Errorf("connecting to QEMU: %w", err), "read "+filepath.Join(v.Spec.Dir, StderrFile))
	}
}

// awaitState waits until QEMU has read the state that the guest goes on from.
// Nobody may speak to the guest before: the interrupt that a virtio device
// raises between its own state and that of the interrupt controller is lost, and
// by the rules of virtio no other one follows it (VIRTIO_RING_F_EVENT_IDX).
func (v *VM) awaitState(ctx context.Context) error {
	if v.Spec.Incoming == "" {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	resumed := v.Monitor.Watch(ctx, qmp.EventResume)
	if m := v.Spec.Mapped; m != nil {
		err := qmp.IgnoreShared(ctx, v.Monitor)
		if err == nil {
			err = qmp.Incoming(ctx, v.Monitor, m.Devices)
		}
		if err != nil {
			return err
		}
	}
	status, err := qmp.QueryStatus(ctx, v.Monitor)
	if err != nil || status.Running {
		return err
	}
	if _, ok := <-resumed; ok {
		return nil
	}
	if err := v.Monitor.Err(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// prepareDir makes the guest's directory and writes the command line into it.
func prepareDir(s *Spec) error {
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return blame.On(blame.Host, err, "choose another directory with --out")
	}
	abs, err := filepath.Abs(s.Dir)
	if err != nil {
		return blame.On(blame.Host, err, "")
	}
	s.Dir = abs
	hint := ""
	if s.Incoming != "" {
		if s.Mapped != nil {
			hint = "# plugstorm mapped the snapshot's memory from " + s.Mapped.Memory + " instead of reading it.\n"
		}
		hint += "# It goes on from a snapshot, as long as that is in the cache. Without -incoming and its file it boots.\n"
	}
	plain := *s
	plain.Mapped = nil
	command := fmt.Sprintf("#!/bin/sh\n# %s, started by plugstorm. Paste it, or run it: the console goes to %s.\n%scd %s && exec %s\n",
		s.Machine.Name, ConsoleLog, hint, Shell(s.Dir), Shell(append([]string{s.Emulator}, Args(&plain)...)...))
	if err := os.WriteFile(filepath.Join(s.Dir, CommandFile), []byte(command), 0o755); err != nil {
		return blame.On(blame.Host, err, "free some space or choose another directory with --out")
	}
	return nil
}

func removeSockets(dir string) {
	for _, name := range []string{qmpSocket, agentSocket, spareSocket, consoleSocket} {
		_ = os.Remove(filepath.Join(dir, name))
	}
}

// A directory is an open directory, through which its files have short names.
type directory struct{ f *os.File }

func shortDir(dir string) (directory, error) {
	f, err := os.Open(dir)
	return directory{f}, blame.On(blame.Host, err, "")
}

func (d directory) path(name string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", d.f.Fd(), name)
}
func (d directory) close() { _ = d.f.Close() }

// A follower hands the console's bytes on until QEMU has ended and all has
// been read.
type follower struct {
	done chan struct{}
	err  error
	stop context.CancelFunc
}

// follow calls read, which hands the console on until its context ends and
// then to the end of what there is.
func follow(read func(context.Context) error, ended <-chan struct{}) *follower {
	ctx, cancel := context.WithCancel(context.Background())
	f := &follower{done: make(chan struct{}), stop: cancel}
	go func() {
		<-ended
		cancel()
	}()
	go func() {
		defer close(f.done)
		f.err = read(ctx)
	}()
	return f
}

func (f *follower) finish() { f.stop() }
