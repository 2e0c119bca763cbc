// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"plugstorm/harness/blame"
	"plugstorm/harness/qmp"
)

// The files of a snapshot whose memory is mapped instead of read.
const (
	memoryFile  = "memory"  // the boot memory as the guest sees it, with holes where it is zero
	devicesFile = "devices" // QEMU's state without that memory
)

// A Shared is the second form of a snapshot: guests that go on from it map its
// memory copy-on-write, and so have in common what they don't change.
//
// QEMU leaves memory out of a state (migration capability x-ignore-shared,
// migration/ram.c migrate_ram_is_ignored) if it is mapped shared from a named
// file. Who reads that state with the file mapped privately has the same memory.
type Shared struct {
	Bytes   int64  `json:"bytes"`   // of the devices' state
	Devices string `json:"devices"` // its hash
	Memory  string `json:"memory"`  // the hash of the memory, see sumMemory
}

// mapsMemory is the first QEMU of which it is known that it does all of this.
var mapsMemory = Version{10, 0, 0}

// Mapped says where a guest's memory and state come from; see Shared.
type Mapped struct{ Memory, Devices string }

// mapped is where guests map the snapshot's memory from; nil if they read it.
func (s *Snapshot) mapped() *Mapped {
	if s.Shared == nil {
		return nil
	}
	return &Mapped{Memory: filepath.Join(s.Dir, memoryFile), Devices: filepath.Join(s.Dir, devicesFile)}
}

// errNoShare says why a snapshot's memory is read and not mapped.
var errNoShare = errors.New("its memory is not shared")

// share gives a snapshot that has just been saved its second form: a QEMU reads
// the state into a mapped file, without running the guest, and saves the rest.
// spec is that of the saved guest. After an error the snapshot is as it was.
func share(ctx context.Context, s *Snapshot, spec Spec) error {
	if spec.Version.Less(mapsMemory) {
		return blame.Errorf(blame.Hypervisor, "", "%w: QEMU %s is too old, %s does it", errNoShare, spec.Version, mapsMemory)
	}
	shared := &Shared{}
	err := s.rewrite(ctx, spec)
	if err == nil {
		shared.Bytes, shared.Devices, err = sum(ctx, filepath.Join(s.Dir, devicesFile))
	}
	if err == nil {
		shared.Memory, err = sumMemory(ctx, filepath.Join(s.Dir, memoryFile))
	}
	whole := *s
	whole.Shared = shared
	if err == nil {
		err = whole.record()
	}
	if err != nil {
		_ = os.Remove(filepath.Join(s.Dir, memoryFile))
		_ = os.Remove(filepath.Join(s.Dir, devicesFile))
		return fmt.Errorf("%w: %w", errNoShare, err)
	}
	s.Shared = shared
	return nil
}

// record writes what a snapshot says of itself.
func (s *Snapshot) record() error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(s.Dir, SnapshotFile), append(data, '\n'), 0o644)
	}
	return blame.On(blame.Host, err, "")
}

// rewrite writes the two files.
func (s *Snapshot) rewrite(ctx context.Context, spec Spec) error {
	memory := filepath.Join(s.Dir, memoryFile)
	if err := makeHole(memory, int64(spec.Machine.MemMiB)<<20); err != nil {
		return err
	}
	spec.Dir = filepath.Join(s.Dir, "share")
	if err := os.Mkdir(spec.Dir, 0o755); err != nil {
		return blame.On(blame.Host, err, "")
	}
	defer os.RemoveAll(spec.Dir)
	// The guest stays stopped (-S): what is saved is what was read.
	args := append(arguments(&spec, fileBackend(memory, spec.Machine, "share=on")), "-S", "-incoming", "defer")
	p, err := startProcess(spec.Dir, spec.Emulator, args)
	if err != nil {
		return err
	}
	v := &VM{Spec: spec, process: p}
	ctx, cancel := v.whileRunning(ctx)
	defer cancel()
	err = s.reread(ctx, spec.Dir)
	p.End(nil)
	if exit := p.Exit(); err != nil && !exit.Asked {
		err = fmt.Errorf("%w; QEMU ended: %s", err, exit)
	}
	return err
}

// reread has the QEMU in a directory read the first form and save the second one.
func (s *Snapshot) reread(ctx context.Context, dir string) error {
	short, err := shortDir(dir)
	if err != nil {
		return err
	}
	defer short.close()
	monitor, err := qmp.Dial(ctx, short.path(qmpSocket))
	if err != nil {
		return err
	}
	defer func() { _ = monitor.Close() }()
	if err := qmp.LoadState(ctx, monitor, filepath.Join(s.Dir, stateFile)); err != nil {
		return err
	}
	if err := qmp.IgnoreShared(ctx, monitor); err != nil {
		return err
	}
	return qmp.SaveState(ctx, monitor, filepath.Join(s.Dir, devicesFile))
}

// makeHole makes a file that is zero all over and takes no room.
func makeHole(file string, bytes int64) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return blame.On(blame.Host, err, "")
	}
	return blame.On(blame.Host, errors.Join(f.Truncate(bytes), f.Close()), "")
}

// checkShared compares the second form with what was saved. The first one, which
// only people read then, has to have the right length.
func (s *Snapshot) checkShared(ctx context.Context) error {
	m := s.mapped()
	info, err := os.Stat(filepath.Join(s.Dir, stateFile))
	if err != nil {
		return blame.On(blame.Host, err, "")
	}
	if info.Size() != s.Bytes {
		return blame.Errorf(blame.Host, "", "%w: %d bytes instead of %d", errDamaged, info.Size(), s.Bytes)
	}
	bytes, devices, err := sum(ctx, m.Devices)
	if err != nil {
		return err
	}
	memory, err := sumMemory(ctx, m.Memory)
	if err != nil {
		return err
	}
	if bytes != s.Shared.Bytes || devices != s.Shared.Devices || memory != s.Shared.Memory {
		return blame.Errorf(blame.Host, "", "%w: its memory, or the state of its devices", errDamaged)
	}
	return nil
}

const pageBytes = 4096

var zeroPage [pageBytes]byte

// sumMemory is the hash of a memory file: of its length, and of every page that
// isn't zero with its place. Holes are skipped, and a hole that was filled with
// zeros is the same memory.
func sumMemory(ctx context.Context, file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", blame.On(blame.Host, err, "")
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", blame.On(blame.Host, err, "")
	}
	h := sha256.New()
	_, _ = h.Write(binary.LittleEndian.AppendUint64(nil, uint64(info.Size())))
	buffer := make([]byte, 256*pageBytes)
	for at := int64(0); at < info.Size(); {
		data, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break // nothing but a hole is left
		}
		if err == nil {
			at = data / pageBytes * pageBytes
		} // else this file system doesn't tell of holes
		n, err := f.ReadAt(buffer, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return "", blame.On(blame.Host, err, "")
		}
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		for i := 0; i < n; i += pageBytes {
			if page := buffer[i:min(n, i+pageBytes)]; !bytes.Equal(page, zeroPage[:len(page)]) {
				_, _ = h.Write(binary.LittleEndian.AppendUint64(nil, uint64(at)+uint64(i)))
				_, _ = h.Write(page)
			}
		}
		at += int64(len(buffer))
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
