// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
)

// ModuleDir is where the initramfs carries our kernel modules.
const ModuleDir = "/lib/plugstorm"

// LoadModule loads a module of ours from dir. It blocks until the module's
// init function has returned.
func LoadModule(dir, name, params string) error {
	if !moduleName(name) {
		return fmt.Errorf("bad module name %q", name)
	}
	fd, err := unix.Open(filepath.Join(dir, name+".ko"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("module %s isn't in the initramfs: %w", name, err)
	}
	defer unix.Close(fd)
	if err := unix.FinitModule(fd, params, 0); err != nil {
		return fmt.Errorf("load module %s: %w", name, err)
	}
	return nil
}

// UnloadModule unloads a module. It blocks until the module's exit function
// has returned, and doesn't wait for the module's users: EAGAIN then.
func UnloadModule(name string) error {
	if !moduleName(name) {
		return fmt.Errorf("bad module name %q", name)
	}
	if err := unix.DeleteModule(name, unix.O_NONBLOCK); err != nil {
		return fmt.Errorf("unload module %s: %w", name, err)
	}
	return nil
}

// moduleName allows what the kernel makes of module names, and no path.
func moduleName(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// countEvery is how often a module's counters are read.
const countEvery = 250 * time.Millisecond

// A moduleStorm is a workload whose work is done by kthreads of a module: it
// loads it, passes its counters on to the meter, and unloads it.
type moduleStorm struct {
	module  string
	options map[string]int64 // module parameters with their defaults
}

func (s moduleStorm) run(ctx context.Context, p agent.Params, m agent.Meter) (err error) {
	if err := LoadModule(ModuleDir, s.module, s.params(p)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, UnloadModule(s.module)) }()
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	var rounds, failures uint64
	for {
		select {
		case <-ctx.Done():
			return errors.Join(s.count("rounds", &rounds, m.Done),
				s.count("failures", &failures, func() { m.Refused(unix.ENOMEM) }))
		case <-tick.C:
			err := errors.Join(s.count("rounds", &rounds, m.Done),
				s.count("failures", &failures, func() { m.Refused(unix.ENOMEM) }))
			if err != nil {
				return err
			}
		}
	}
}

// params is the parameter string of the module. A seed is a ulong there.
func (s moduleStorm) params(p agent.Params) string {
	words := []string{fmt.Sprintf("seed=%d", uint64(p.Seed)), fmt.Sprintf("rate=%d", max(p.Rate, 0))}
	if p.Threads > 0 {
		words = append(words, fmt.Sprintf("threads=%d", p.Threads))
	}
	for name, def := range s.options {
		words = append(words, fmt.Sprintf("%s=%d", name, p.Option(name, def)))
	}
	return strings.Join(words, " ")
}

// count reads a counter and calls add for every step it has made since *last.
func (s moduleStorm) count(counter string, last *uint64, add func()) error {
	text, err := guest.Text("sys/module", s.module, "parameters", counter)
	if err != nil {
		return err
	}
	now, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return fmt.Errorf("counter %s of %s: %w", counter, s.module, err)
	}
	for ; *last < now; *last++ {
		add()
	}
	return nil
}
