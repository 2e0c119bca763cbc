// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"plugstorm/harness/blame"
)

// defaultPath is where programs are looked for without a Store.Env.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// patience is how long programs get to tidy up after SIGTERM: make removes
// half-made targets.
const patience = 5 * time.Second

// A command is a program to run in a process group of its own, which gets
// SIGTERM when the context ends or we die, and SIGKILL after a while.
type command struct {
	dir    string
	name   string
	args   []string
	env    []string
	output io.Writer // both streams; nil to have them in the error
	hold   *lock     // stays locked until the last child of the program is gone
}

// run runs c to its end. A program that doesn't exist is the host's fault.
func (s *Store) run(ctx context.Context, c command) error {
	program, err := s.lookPath(c.name)
	if err != nil {
		return err
	}
	var tail bytes.Buffer
	cmd := exec.CommandContext(ctx, program, c.args...)
	cmd.Dir, cmd.Env = c.dir, append(slices.Clone(c.env), "LC_ALL=C")
	cmd.Stdout = c.output
	if c.output == nil {
		cmd.Stdout = &tail
	}
	cmd.Stderr = cmd.Stdout
	if c.hold != nil {
		cmd.ExtraFiles = []*os.File{c.hold.file}
	}
	// The kernel sends Pdeathsig when the thread that forked ends, so that
	// thread must not end before the program does.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = patience
	err = cmd.Run()
	if ctx.Err() != nil {
		killGroup(cmd)
		return ended(ctx)
	}
	if err != nil {
		text := strings.TrimSpace(tail.String())
		return fmt.Errorf("%s %s: %w\n%s", c.name, strings.Join(c.args, " "), err, lastLines(text, 12))
	}
	return nil
}

// killGroup ends whatever is left of a program's process group.
func killGroup(cmd *exec.Cmd) {
	if cmd.Process != nil {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // ESRCH when nothing is left
	}
}

// output runs a program and returns what it printed on both streams.
func (s *Store) output(ctx context.Context, name string, args ...string) ([]byte, error) {
	var out bytes.Buffer
	err := s.run(ctx, command{name: name, args: args, env: s.env(), output: &out})
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, lastLines(strings.TrimSpace(out.String()), 12))
	}
	return out.Bytes(), nil
}

// env is the environment for programs other than make.
func (s *Store) env() []string {
	if s.Env == nil {
		return []string{"PATH=" + defaultPath}
	}
	return s.Env
}

// makeEnv is the environment for make and compilers, see Store.Env.
func (s *Store) makeEnv() []string {
	var keep []string
	for _, v := range s.env() {
		name, _, _ := strings.Cut(v, "=")
		if slices.Contains([]string{"PATH", "HOME", "TMPDIR"}, name) || strings.HasPrefix(name, "CCACHE_") {
			keep = append(keep, v)
		}
	}
	return keep
}

// lookPath finds a program in the PATH of Store.Env.
func (s *Store) lookPath(name string) (string, error) {
	path := defaultPath
	for _, v := range s.env() {
		if value, ok := strings.CutPrefix(v, "PATH="); ok {
			path = value
		}
	}
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	next := "install it"
	if p := packageOf(name); p != "" {
		next = "apt-get install " + p
	}
	return "", blame.On(blame.Host, &exec.Error{Name: name, Err: exec.ErrNotFound}, next)
}

// lastLines returns the last n lines of text.
func lastLines(text string, n int) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// full reports whether err, or the state of the disk below dir, says that
// there is no space left.
func full(dir string, err error) bool {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return true
	}
	free, statErr := freeSpace(dir)
	return statErr == nil && free < 16<<20
}

// onHost gives err to the host, unless it only says that the context is over.
func onHost(ctx context.Context, err error, next string) error {
	if ctx.Err() != nil {
		return err
	}
	return blame.On(blame.Host, err, next)
}
