// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// A knob is a file of the kernel's that is read, or written with one of some
// values. Not every kernel has every knob, and devices' knobs come and go.
type knob struct {
	path   string   // below the tree's root; may be a pattern
	values []string // none: it is only read
}

// knobs is a workload that turns one knob after the other.
type knobs struct {
	tree sysfs.Tree
	list []knob
}

// knobRefusals are what knobs answer for values that don't fit now, for
// devices that have gone and for features that are switched off.
var knobRefusals = []unix.Errno{
	unix.EINVAL, unix.EBUSY, unix.ENOENT, unix.ENODEV, unix.ENOMEM, unix.EINTR, unix.EAGAIN, unix.EPERM, unix.EACCES, unix.EIO, unix.ENOSPC, unix.EOPNOTSUPP,
}

// run turns knobs until ctx ends, then gives those that it has written the
// values that they had.
func (k knobs) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	before := k.save()
	defer k.restore(before)
	l := loop{params: p, meter: m, threads: 1, refuses: knobRefusals}
	return l.run(ctx, same(k.turn))
}

func (k knobs) turn(ctx context.Context, rng *rand.Rand) error {
	knob := k.list[rng.IntN(len(k.list))]
	path, err := pick(rng, k.matches(knob))
	if err != nil {
		return err
	}
	if len(knob.values) == 0 || rng.IntN(4) == 0 && readable(path) {
		return readAll(path)
	}
	return sysfs.Write(ctx, path, knob.values[rng.IntN(len(knob.values))])
}

// matches lists the files that there are now.
func (k knobs) matches(which knob) []string {
	return glob(k.tree.Path(which.path))
}

func readable(path string) bool { return unix.Access(path, unix.R_OK) == nil && mode(path)&0o444 != 0 }

func mode(path string) os.FileMode {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Mode()
}

// save reads the knobs that are going to be written.
func (k knobs) save() map[string]string {
	values := map[string]string{}
	for _, knob := range k.list {
		if len(knob.values) == 0 {
			continue
		}
		for _, path := range k.matches(knob) {
			if text, err := os.ReadFile(path); err == nil && readable(path) {
				values[path] = chosen(string(text))
			}
		}
	}
	return values
}

// restore writes them back. What fails is gone, or takes other words than it gives.
func (k knobs) restore(values map[string]string) {
	ctx, cancel := context.WithTimeout(context.Background(), settleLimit)
	defer cancel()
	for path, value := range values {
		_ = sysfs.Write(ctx, path, value)
	}
}

// readAll reads a file to its end.
func readAll(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, f)
	return errors.Join(err, f.Close())
}
