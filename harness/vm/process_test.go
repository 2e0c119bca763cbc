// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/blame"
	"plugstorm/harness/console"
	"plugstorm/harness/qmp"
)

// shell starts a shell as if it were QEMU.
func shell(t *testing.T, script string) *process {
	t.Helper()
	p, err := startProcess(t.TempDir(), "/bin/sh", []string{"-c", script})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

// ready waits for the shell to say so.
func ready(t *testing.T, p *process) {
	t.Helper()
	ctx, cancel := context.WithCancel(within(t, patience))
	defer cancel()
	_ = console.Follow(ctx, p.stderr, func(console.Chunk) error { cancel(); return nil })
}

func TestExit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, script, cause, stderr string
	}{
		{"clean", "exit 0", "exit status 0", ""},
		{"status", "echo bad option >&2; exit 3", "exit status 3", "bad option"},
		{"signal", "echo 'assertion failed: (x)' >&2; kill -ABRT $$", "signal: aborted", "assertion failed: (x)"},
		{"stdout counts too", "echo said; exit 1", "exit status 1", "said"},
		{"the last lines", "for i in 1 2 3 4 5 6 7; do echo $i >&2; done; exit 1", "exit status 1", "3; 4; 5; 6; 7"},
		{"empty lines", "printf '\\n a \\r\\n\\n\\n b' >&2; exit 1", "exit status 1", "a; b"},
		{"without warnings of TCG", "echo cause >&2; for i in 1 2 3 4 5 6 7; do echo \"qemu: warning: TCG doesn't support requested feature: $i\" >&2; done; exit 1", "exit status 1", "cause"},
		{"the end of much", "head -c 100000 /dev/zero | tr '\\0' x >&2; echo >&2; echo end >&2; exit 1", "exit status 1", "end"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := shell(t, tt.script)
			await(t, p.Ended(), "its end")
			exit := p.Exit()
			if !strings.HasPrefix(exit.Cause, tt.cause) || !strings.HasSuffix(exit.Stderr, tt.stderr) || exit.Asked {
				t.Errorf("exit is %+v, want %q, %q", exit, tt.cause, tt.stderr)
			}
			if tt.name != "the end of much" && exit.Stderr != tt.stderr {
				t.Errorf("stderr is %q, want %q", exit.Stderr, tt.stderr)
			}
			if len(exit.Stderr) > 4100 {
				t.Errorf("%d bytes of stderr", len(exit.Stderr))
			}
		})
	}
}

func TestExitString(t *testing.T) {
	for want, e := range map[string]Exit{
		"exit status 1":             {Cause: "exit status 1"},
		"signal: aborted: asserted": {Cause: "signal: aborted", Stderr: "asserted"},
	} {
		if e.String() != want {
			t.Errorf("%+v reads %q", e, e)
		}
	}
}

func TestEnd(t *testing.T) {
	t.Parallel()
	obey := func(p *process) func(context.Context) error {
		return func(context.Context) error { return p.cmd.Process.Signal(unix.SIGTERM) }
	}
	t.Run("obeys", func(t *testing.T) {
		t.Parallel()
		p := shell(t, "trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done")
		ready(t, p)
		p.End(obey(p))
		if !p.Exit().Asked {
			t.Errorf("exit is %+v: it was asked to", p.Exit())
		}
	})
	t.Run("doesn't obey", func(t *testing.T) {
		t.Parallel()
		p := shell(t, "trap '' TERM; echo ready; while :; do sleep 0.01; done")
		ready(t, p)
		p.End(obey(p))
		if exit := p.Exit(); !exit.Asked || exit.Cause != "signal: killed" {
			t.Errorf("exit is %+v", exit)
		}
	})
	t.Run("stopped", func(t *testing.T) {
		t.Parallel()
		p := shell(t, "kill -STOP $$; exit 0")
		p.End(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		if exit := p.Exit(); !exit.Asked || exit.Cause != "signal: killed" {
			t.Errorf("exit is %+v", exit)
		}
	})
	t.Run("nobody to ask", func(t *testing.T) {
		t.Parallel()
		p := shell(t, "exec sleep 1000")
		p.End(nil)
		if exit := p.Exit(); !exit.Asked || exit.Cause != "signal: killed" {
			t.Errorf("exit is %+v", exit)
		}
	})
	t.Run("had ended before", func(t *testing.T) {
		t.Parallel()
		p := shell(t, "exit 7")
		await(t, p.Ended(), "its end")
		p.End(func(context.Context) error { t.Error("it was asked after its end"); return nil })
		if exit := p.Exit(); exit.Asked || exit.Cause != "exit status 7" {
			t.Errorf("the true cause is lost: %+v", exit)
		}
	})
}

func TestOwnProcessGroup(t *testing.T) {
	p := shell(t, "exec sleep 1000")
	defer p.End(nil)
	if group, err := unix.Getpgid(p.cmd.Process.Pid); err != nil || group != p.cmd.Process.Pid {
		t.Errorf("its process group is %d (%v): a Ctrl-C would reach it", group, err)
	}
}

func TestStartProcessErrors(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("no program"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, emulator := range []string{"/nonexistent/qemu", plain} {
		if _, err := startProcess(t.TempDir(), emulator, nil); err == nil || blame.Of(err) != blame.Host || blame.Next(err) == "" {
			t.Errorf("%s: error is %v, of %q", emulator, err, blame.Of(err))
		}
	}
	if _, err := startProcess("/nonexistent", "/bin/true", nil); err == nil || blame.Of(err) != blame.Host {
		t.Errorf("error without a directory is %v, of %q", err, blame.Of(err))
	}
}

// TestOutlivesItsThread: the thread that started it may end, the parent-death
// signal notwithstanding.
func TestOutlivesItsThread(t *testing.T) {
	s, _ := fakeSpec(t, "well")
	if err := os.Mkdir(s.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var p *process
	var err error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		p, err = startProcess(s.Dir, s.Emulator, nil)
	}()
	<-ended
	if err != nil {
		t.Fatal(err)
	}
	defer p.End(nil)
	m, err := qmp.Dial(within(t, patience), dialable(t, s.Dir, qmpSocket))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := qmp.QueryStatus(within(t, patience), m); err != nil {
		t.Error(err)
	}
}

// dialable is a short name for a socket in dir.
func dialable(t *testing.T, dir, socket string) string {
	t.Helper()
	d, err := shortDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	return d.path(socket)
}

// TestDiesWithTheController: QEMU's sockets close when the controller is
// killed, which QEMU can't outlive.
func TestDiesWithTheController(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(executable(t), dir)
	cmd.Env = append(os.Environ(), fakeMode+"=controller")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m, err := qmp.Dial(within(t, patience), dialable(t, dir, qmpSocket))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := qmp.QueryStatus(within(t, patience), m); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	await(t, m.Done(), "QEMU's end")
	_ = cmd.Wait() // killed
}

func TestTailOfNothing(t *testing.T) {
	if got := tail(filepath.Join(t.TempDir(), "none")); got != "" {
		t.Errorf("the tail of no file is %q", got)
	}
}

// TestFollow: the console is read to its end when QEMU has ended, and
// when its reader fails.
func TestFollow(t *testing.T) {
	ended := make(chan struct{})
	f := follow(func(ctx context.Context) error { <-ctx.Done(); return nil }, ended)
	select {
	case <-f.done:
		t.Error("it ended before QEMU")
	case <-time.After(10 * time.Millisecond):
	}
	close(ended)
	await(t, f.done, "the end of the console")
	f = follow(func(context.Context) error { return io.ErrShortWrite }, ended)
	await(t, f.done, "the reader's failure")
	if f.err != io.ErrShortWrite {
		t.Errorf("its error is %v", f.err)
	}
}
