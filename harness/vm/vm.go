// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/blame"
	"plugstorm/harness/catalog"
	"plugstorm/harness/console"
	"plugstorm/harness/qmp"
)

// A Backend is a way to run a machine.
type Backend struct {
	Name, Doc string

	// Start starts a guest and returns as soon as its monitor answers; the
	// kernel is still booting. ctx bounds the start only. The caller owns the
	// VM and must Close it.
	Start func(ctx context.Context, s Spec) (*VM, error)

	// Share gives a snapshot, of a guest of that Spec, the form of which guests
	// that go on from it share the memory that they don't change (Shared). nil: it
	// can't. After an error the snapshot is as good as before.
	Share func(ctx context.Context, s *Snapshot, spec Spec) error
}

// Backends is the catalog of all back ends.
var Backends = catalog.New("back end", func(b *Backend) (string, string) { return b.Name, b.Doc })

// A Spec says what to start.
type Spec struct {
	Machine    *Machine
	Accel      Accel
	Emulator   string  // path, see Emulator
	Version    Version // of the emulator
	Kernel     string  // path of the image QEMU loads
	Initramfs  string  // path
	KernelArgs []string
	ColdDIMMs  int    // plugged at boot, of ColdUnits units each; no op knows them
	FreshVCPUs int    // so many of the pluggable ones, the last, the kernel doesn't bring online by itself; see VCPUModel.Fresh
	AutoOnline bool   // the kernel onlines new memory by itself (memhp_default_state=online*)
	Dir        string // of this guest; created by Start, its files are kept
	HoldEnd    bool   // QEMU outlives a guest that ends by itself, and can be asked about it; who says so has to end QEMU then
	Savable    bool   // the guest may become a snapshot, or goes on from one; see VM.Complete
	Incoming   string // path of a saved state that the guest goes on from, "" to boot; see Restore

	// Mapped is where the guest's memory is mapped from instead of being read from
	// Incoming, which goes into the command line for people; nil to read it.
	Mapped *Mapped

	// Console receives the console's output piece by piece, in order, on one
	// goroutine, until the guest is closed. It must not block for long.
	Console func(console.Chunk) error
	// OnEvent receives the agent's events (heartbeats, workload ends). May be nil.
	OnEvent func(agent.Reply)
}

// An Exit says how QEMU ended.
type Exit struct {
	Asked  bool   `json:"asked"`            // we ended it
	Cause  string `json:"cause"`            // "exit status 1", "signal: aborted", ...
	Stderr string `json:"stderr,omitempty"` // the last lines it wrote, an assertion among them
}

func (e Exit) String() string {
	if e.Stderr == "" {
		return e.Cause
	}
	return e.Cause + ": " + e.Stderr
}

// A VM is a running guest. Its methods are safe for concurrent use.
type VM struct {
	Spec    Spec
	Monitor qmp.Monitor
	Agent   *agent.Client // nil until WaitAgent has succeeded
	Started time.Time     // when QEMU was started
	Devices *Devices      // what we plugged, and where it is

	boot    atomic.Int64 // how long it took, in nanoseconds; 0 until the agent is up
	tempo   tempo
	links   *links
	process Process
	console *follower
	closing sync.Once
}

// Done is closed when QEMU has ended and its console has been read to the end,
// or when the console can't be read further.
func (v *VM) Done() <-chan struct{} { return v.console.done }

// Ended is closed when QEMU has ended.
func (v *VM) Ended() <-chan struct{} { return v.process.Ended() }

// Exit says how QEMU ended. It waits for that, which Close brings about.
func (v *VM) Exit() Exit {
	<-v.process.Ended()
	return v.process.Exit()
}

// ConsoleError says why the console could not be read further, or nil. It is
// valid once Done is closed.
func (v *VM) ConsoleError() error { return v.console.err }

// Budget says how much vCPU hotplug the defects of this QEMU leave.
func (v *VM) Budget() Budget { return BudgetOf(v.Spec.Machine, v.Spec.Accel, v.Spec.Version) }

// Slowness is the guest's boot time over the machine's reference (that of the
// boot it was saved after, carried over to the host as it is now, if it was
// restored: see Pace), stretched by what the host takes from it lately, at least
// 1. It is 1 until the guest is up.
func (v *VM) Slowness() float64 { return v.tempo.slowness() }

// NoteStarved tells the guest how starved its QEMU was lately; see HostTime.
func (v *VM) NoteStarved(share float64) { v.tempo.sample(share) }

// Deadline stretches a time measured on the reference host by the guest's
// slowness.
func (v *VM) Deadline(reference time.Duration) time.Duration {
	return time.Duration(float64(reference) * v.Slowness())
}

// whileRunning is ctx, ended when QEMU ends as well. The caller must cancel it.
func (v *VM) whileRunning(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-v.process.Ended():
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// WaitAgent blocks until the guest's agent has introduced itself on either
// channel, QEMU ends, or ctx does.
func (v *VM) WaitAgent(ctx context.Context) (agent.Hello, error) {
	ctx, cancel := v.whileRunning(ctx)
	defer cancel()
	client, hello, err := v.links.hello(ctx)
	if err == nil {
		v.Agent = client
		boot := time.Since(v.Started)
		v.boot.Store(int64(boot))
		p := Pace{Boot: boot, Starved: v.HostTime().Starved(HostTime{})}
		v.tempo.set(float64(boot)/float64(v.Spec.Machine.BootReference), p.unstarved(v.Spec.Machine))
		return hello, nil
	}
	var hungUp *agent.ChannelError
	if errors.As(err, &hungUp) {
		v.awaitLastWords(ctx) // QEMU's end closes the channel before it is an end
	}
	select {
	case <-v.process.Ended():
		return hello, blame.Errorf(blame.Hypervisor, "read "+filepath.Join(v.Spec.Dir, StderrFile),
			"QEMU ended before the guest was up: %s", v.Exit())
	default:
		return hello, fmt.Errorf("the guest's agent never said hello: %w", err)
	}
}

// Close ends the guest: QEMU is asked to quit, then killed. It returns when
// QEMU is gone and the console has been read to its end. It may be called
// more than once.
func (v *VM) Close() {
	v.closing.Do(func() {
		v.process.End(func(ctx context.Context) error { return qmp.Quit(ctx, v.Monitor) })
		_ = v.Monitor.Close()
		v.links.close()
		v.console.finish()
		removeSockets(v.Spec.Dir)
	})
	<-v.console.done
}
