// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/blame"
	"plugstorm/harness/qmp"
)

// The files of a snapshot, in a directory of its own.
const (
	SnapshotFile = "snapshot.json" // a Snapshot
	BootLog      = "boot.log"      // the console until then; also in the directory of each guest restored from it
	stateFile    = "state"         // QEMU's
)

// A Snapshot is a booted, idle guest, saved. It is never changed.
type Snapshot struct {
	Dir string `json:"-"`

	Name    string    `json:"name"` // for people
	Made    time.Time `json:"made"`
	Bytes   int64     `json:"bytes"` // of the state
	SHA256  string    `json:"sha256"`
	Console int64     `json:"console"` // bytes of BootLog
	Pace    Pace      `json:"pace"`
	Shared  *Shared   `json:"shared,omitempty"` // nil: guests read the state
	Waiting []int     `json:"waiting"`          // CPUs that come online when a guest has gone on from here; nil if nobody knows
	Primed  bool      `json:"primed"`           // what its run sets up in all of its guests was set up before it was saved
}

// StateFile is what QEMU reads of the snapshot in dir (Spec.Incoming).
func StateFile(dir string) string { return filepath.Join(dir, stateFile) }

// fileMigration is the first QEMU that migrates to and from "file:".
var fileMigration = Version{8, 2, 0}

// CanSnapshot says why guests of a machine can't be saved and restored under an
// accelerator of this QEMU, nil if they can.
func CanSnapshot(m *Machine, a Accel, v Version) error {
	if v.Less(fileMigration) {
		return blame.Errorf(blame.Hypervisor, "", "QEMU %s can't save a guest into a file, %s can", v, fileMigration)
	}
	for _, d := range m.Defects {
		if d.NoSnapshot && d.Applies(a, v) {
			return blame.Errorf(blame.Hypervisor, "", "%s: %s", d.ID, d.Doc)
		}
	}
	return nil
}

// Save stops a guest, has judge look at what its console said until then, saves
// it into s.Dir, which is there and empty, and lets it go on. Of s it takes Name,
// Pace and Primed, and fills in the rest. judge may refuse; nothing is saved
// then. The error says nothing about the guest: if it can't go on, its steps will
// tell.
func (v *VM) Save(ctx context.Context, s *Snapshot, judge func(console []byte) error) (err error) {
	if s.Waiting, err = v.waiting(ctx); err != nil {
		return err
	}
	if err := v.stopSettled(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.goOn(ctx)) }()
	// QEMU writes the log before the guest sees its byte taken, so all is there.
	console, err := os.ReadFile(filepath.Join(v.Spec.Dir, ConsoleLog))
	if err != nil {
		return blame.On(blame.Host, err, "")
	}
	if err := judge(console); err != nil {
		return err
	}
	if err := qmp.SaveState(ctx, v.Monitor, filepath.Join(s.Dir, stateFile)); err != nil {
		return err
	}
	s.Made, s.Console = time.Now().UTC(), int64(len(console))
	return s.write(ctx, s.Dir, console)
}

// write completes a snapshot whose state is in dir already.
func (s *Snapshot) write(ctx context.Context, dir string, console []byte) error {
	var err error
	if s.Bytes, s.SHA256, err = sum(ctx, filepath.Join(dir, stateFile)); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, BootLog), console, 0o644); err != nil {
		return blame.On(blame.Host, err, "")
	}
	return s.record()
}

// OpenSnapshot reads what a snapshot says of itself. What it returns is not
// checked yet, except for the sizes of its files.
func OpenSnapshot(dir string) (*Snapshot, error) {
	data, err := os.ReadFile(filepath.Join(dir, SnapshotFile))
	if err != nil {
		return nil, blame.On(blame.Host, err, "")
	}
	s := &Snapshot{Dir: dir}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, blame.Errorf(blame.Host, "", "%s: %w", filepath.Join(dir, SnapshotFile), err)
	}
	for file, bytes := range map[string]int64{stateFile: s.Bytes, BootLog: s.Console} {
		info, err := os.Stat(filepath.Join(dir, file))
		if err != nil {
			return nil, blame.On(blame.Host, err, "")
		}
		if info.Size() != bytes {
			return nil, blame.Errorf(blame.Host, "", "%w: its %s has %d bytes instead of %d", errDamaged, file, info.Size(), bytes)
		}
	}
	return s, nil
}

// Patience is what a deadline for a restore is stretched by, before anything of
// the restored guest is known. load is HostLoad.
func (s *Snapshot) Patience(m *Machine, load float64) float64 { return s.Pace.slowness(m, load, nil) }

// errDamaged says that a snapshot isn't what was saved.
var errDamaged = errors.New("it is not what was saved")

// Check reads the whole state and compares it with what was saved.
func (s *Snapshot) Check(ctx context.Context) error {
	if s.Shared != nil {
		return s.checkShared(ctx)
	}
	bytes, digest, err := sum(ctx, filepath.Join(s.Dir, stateFile))
	if err != nil {
		return err
	}
	if bytes != s.Bytes || digest != s.SHA256 {
		return blame.Errorf(blame.Host, "", "%w: %d bytes instead of %d, or other ones", errDamaged, bytes, s.Bytes)
	}
	return nil
}

// sum is the size and the hash of a file. It gives up when ctx ends.
func sum(ctx context.Context, file string) (int64, string, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, "", blame.On(blame.Host, err, "")
	}
	defer f.Close()
	h := sha256.New()
	for total := int64(0); ; {
		n, err := io.CopyN(h, f, 1<<20)
		total += n
		switch {
		case ctx.Err() != nil:
			return total, "", context.Cause(ctx)
		case errors.Is(err, io.EOF):
			return total, hex.EncodeToString(h.Sum(nil)), nil
		case err != nil:
			return total, "", blame.On(blame.Host, err, "")
		}
	}
}

// Restore starts a guest from a snapshot and makes it prove itself: QEMU takes
// the state, the agent answers, a timer of the kernel's runs out, random numbers
// and clocks are fresh. ctx bounds all of that; load is HostLoad. Any error means
// that the snapshot is not to be trusted, unless ctx was cancelled; nothing runs
// then. That the state is what was saved is for the caller to Check: it takes a
// tenth of a second, for which the guest need not wait, and nothing that it does
// counts before.
func Restore(ctx context.Context, b *Backend, spec Spec, s *Snapshot, load float64) (*VM, agent.Hello, error) {
	spec.Incoming, spec.Mapped = filepath.Join(s.Dir, stateFile), s.mapped()
	v, err := b.Start(ctx, spec)
	if err != nil {
		return nil, agent.Hello{}, err
	}
	hello, err := v.awaken(ctx, s, load)
	if err != nil {
		v.Close()
		return nil, agent.Hello{}, err
	}
	return v, hello, nil
}

// awaken takes a restored guest up to where a boot ends.
func (v *VM) awaken(ctx context.Context, s *Snapshot, load float64) (agent.Hello, error) {
	hello, err := v.WaitAgent(ctx)
	if err != nil {
		return hello, err
	}
	woken, err := v.Wake(ctx)
	if err != nil {
		return hello, fmt.Errorf("it can't go on where it was: %w", err)
	}
	if s.Waiting == nil {
		err = v.Complete(ctx)
	} else {
		err = v.complete(ctx, s.Waiting)
	}
	if err != nil {
		return hello, err
	}
	v.tempo.set(s.Pace.slowness(v.Spec.Machine, load, rounds(woken)), s.Pace.unstarved(v.Spec.Machine))
	if err := copyFile(filepath.Join(s.Dir, BootLog), filepath.Join(v.Spec.Dir, BootLog)); err != nil {
		return hello, blame.On(blame.Host, err, "")
	}
	return hello, nil
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o644)
}
