// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/blame"
	"plugstorm/harness/console"
	"plugstorm/harness/qmp"
)

func TestStart(t *testing.T) {
	for _, mode := range []string{"well", "spare"} {
		t.Run(mode, func(t *testing.T) {
			s, r := fakeSpec(t, mode)
			s.Machine = &Machine{}
			*s.Machine = *testMachine
			s.Machine.BootReference = time.Nanosecond
			v := start(t, s)
			hello, err := v.WaitAgent(within(t, patience))
			if err != nil || hello.Release != "6.12.0-fake" {
				t.Fatalf("hello is %+v, %v", hello, err)
			}
			if status, err := qmp.QueryStatus(within(t, patience), v.Monitor); err != nil || !status.Running {
				t.Errorf("status is %+v, %v", status, err)
			}
			if e := <-r.events; e.Event != agent.EventHeartbeat {
				t.Errorf("first event is %+v", e)
			}
			if v.Slowness() < 1000 || v.Deadline(time.Second) < 1000*time.Second {
				t.Errorf("a guest that boots in a nanosecond on the reference host is slower by %f only", v.Slowness())
			}
			v.Close()
			v.Close() // twice is once
			await(t, v.Ended(), "QEMU's end")
			await(t, v.Done(), "the console's end")
			if exit := v.Exit(); !exit.Asked || exit.Cause != "exit status 0" || exit.Stderr != "qemu: terminating on quit" {
				t.Errorf("exit is %+v", exit)
			}
			if r.String() != "Booting Linux\n" || v.ConsoleError() != nil {
				t.Errorf("the console said %q, %v", r, v.ConsoleError())
			}
			if left := sockets(t, s.Dir); left != nil {
				t.Errorf("sockets are left: %v", left)
			}
		})
	}
}

func sockets(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.Type()&os.ModeSocket != 0 {
			names = append(names, e.Name())
		}
	}
	return names
}

// TestUnquickGuest: deadlines never shrink.
func TestUnquickGuest(t *testing.T) {
	v := &VM{Spec: Spec{Machine: &Machine{BootReference: 4 * time.Second}}}
	v.boot.Store(int64(time.Second))
	if v.Slowness() != 1 || v.Deadline(time.Second) != time.Second {
		t.Errorf("slowness is %f", v.Slowness())
	}
}

func TestStartLongDirectory(t *testing.T) {
	s, _ := fakeSpec(t, "well")
	s.Dir = filepath.Join(s.Dir, strings.Repeat("long ", 30), strings.Repeat("e'", 40))
	v := start(t, s)
	if _, err := v.WaitAgent(within(t, patience)); err != nil {
		t.Error(err)
	}
	if err := v.TypeSysRq(within(t, patience), 'w'); err != nil {
		t.Error(err)
	}
}

// TestCommandFile: what stands in qemu.cmd starts QEMU with the same
// arguments, in the same directory, from anywhere.
func TestCommandFile(t *testing.T) {
	s, _ := fakeSpec(t, "well")
	s.Dir = filepath.Join(s.Dir, "it's $HOME `here`\\")
	s.KernelArgs = []string{"a=b c", "d='\"", "$(false)", "*"}
	start(t, s).Close()
	want, err := os.ReadFile(filepath.Join(s.Dir, "args.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(s.Dir, "args.json")); err != nil {
		t.Fatal(err)
	}
	t.Setenv(fakeMode, "args")
	cmd := exec.Command(filepath.Join(s.Dir, CommandFile))
	cmd.Dir = "/"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got, err := os.ReadFile(filepath.Join(s.Dir, "args.json"))
	if err != nil || string(got) != string(want) {
		t.Errorf("it was started with\n%s (%v), plugstorm starts it with\n%s", got, err, want)
	}
	var args []string
	if err := json.Unmarshal(want, &args); err != nil || !slices.Equal(args, Args(&s)) {
		t.Errorf("QEMU got %q (%v)", args, err)
	}
}

func TestStartErrors(t *testing.T) {
	t.Run("QEMU exits at once", func(t *testing.T) {
		s, _ := fakeSpec(t, "exits")
		began := time.Now()
		_, err := QEMU.Start(within(t, patience), s)
		checkStartError(t, err, blame.Hypervisor, "exit status 1: qemu: -machine q36: unsupported machine type")
		if !strings.Contains(blame.Next(err), CommandFile) {
			t.Errorf("the next step is %q", blame.Next(err))
		}
		if took := time.Since(began); took > patience/2 {
			t.Errorf("it took %s to notice", took)
		}
	})
	t.Run("QEMU makes no sockets", func(t *testing.T) {
		s, _ := fakeSpec(t, "hangs")
		_, err := QEMU.Start(within(t, 300*time.Millisecond), s)
		checkStartError(t, err, blame.Hypervisor, "monitor socket")
	})
	t.Run("QEMU doesn't greet", func(t *testing.T) {
		s, _ := fakeSpec(t, "deaf")
		_, err := QEMU.Start(within(t, 500*time.Millisecond), s)
		checkStartError(t, err, blame.Hypervisor, "connecting to QEMU")
		if left := sockets(t, s.Dir); left != nil {
			t.Errorf("sockets are left: %v", left)
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		s, _ := fakeSpec(t, "deaf")
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(200*time.Millisecond, cancel)
		if _, err := QEMU.Start(ctx, s); !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("no QEMU", func(t *testing.T) {
		s, _ := fakeSpec(t, "well")
		s.Emulator = "/nonexistent/qemu"
		_, err := QEMU.Start(within(t, patience), s)
		checkStartError(t, err, blame.Host, "/nonexistent/qemu")
	})
	t.Run("no directory", func(t *testing.T) {
		s, _ := fakeSpec(t, "well")
		if err := os.WriteFile(s.Dir, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := QEMU.Start(within(t, patience), s)
		checkStartError(t, err, blame.Host, s.Dir)
	})
}

func checkStartError(t *testing.T, err error, owner blame.Party, text string) {
	t.Helper()
	if err == nil || blame.Of(err) != owner || !strings.Contains(err.Error(), text) {
		t.Errorf("error is %v, of %q, want %q, of %q", err, blame.Of(err), text, owner)
	}
	if blame.Next(err) == "" {
		t.Errorf("%v: no next step", err)
	}
}

// TestQEMUDies: its cause is kept, and every wait ends.
func TestQEMUDies(t *testing.T) {
	s, r := fakeSpec(t, "aborts")
	v := start(t, s)
	if _, err := v.WaitAgent(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	if err := qmp.Stop(within(t, patience), v.Monitor); !errors.Is(err, qmp.ErrGone) {
		t.Errorf("the command that kills it ends with %v", err)
	}
	await(t, v.Done(), "its end")
	exit := v.Exit()
	const assertion = "ERROR:../tcg/tcg.c:1040:tcg_register_thread: assertion failed: (n < tcg_max_ctxs)"
	if !strings.HasPrefix(exit.Cause, "signal: aborted") || exit.Stderr != assertion || exit.Asked {
		t.Errorf("exit is %+v", exit)
	}
	v.Close()
	if again := v.Exit(); again != exit {
		t.Errorf("after Close exit is %+v", again)
	}
	if r.String() != "Booting Linux\n" {
		t.Errorf("the console said %q", r)
	}
}

func TestWaitAgentErrors(t *testing.T) {
	t.Run("no hello", func(t *testing.T) {
		s, _ := fakeSpec(t, "mute")
		v := start(t, s)
		_, err := v.WaitAgent(within(t, 50*time.Millisecond))
		if !errors.Is(err, context.DeadlineExceeded) || v.Agent != nil {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("QEMU is killed", func(t *testing.T) {
		s, _ := fakeSpec(t, "mute")
		v := start(t, s)
		time.AfterFunc(50*time.Millisecond, func() { _ = v.process.(*process).cmd.Process.Kill() })
		_, err := v.WaitAgent(within(t, patience))
		if err == nil || blame.Of(err) != blame.Hypervisor {
			t.Errorf("error is %v, of %q", err, blame.Of(err))
		}
	})
}

// TestStubborn: a QEMU that doesn't quit is killed.
func TestStubborn(t *testing.T) {
	s, _ := fakeSpec(t, "stubborn")
	v := start(t, s)
	v.Close()
	if exit := v.Exit(); exit.Cause != "signal: killed" || !exit.Asked {
		t.Errorf("exit is %+v", exit)
	}
}

// TestConsoleFails: a guest whose console nobody can record is done.
func TestConsoleFails(t *testing.T) {
	s, _ := fakeSpec(t, "well")
	full := errors.New("disk full")
	s.Console = func(console.Chunk) error { return full }
	v := start(t, s)
	await(t, v.Done(), "the console's end")
	if !errors.Is(v.ConsoleError(), full) {
		t.Errorf("its error is %v", v.ConsoleError())
	}
	select {
	case <-v.Ended():
		t.Error("QEMU has ended too")
	default:
	}
}

func TestTypeSysRq(t *testing.T) {
	for name, tt := range map[string]struct {
		prefix []byte
		typed  string
	}{
		"by a break":     {nil, "<break>w"},
		"by a character": {[]byte{0x0f}, "\x0fw"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := fakeSpec(t, "well")
			m := *testMachine
			m.BreakSysRq = tt.prefix
			s.Machine = &m
			v := start(t, s)
			if err := v.TypeSysRq(within(t, patience), 'w'); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(filepath.Join(s.Dir, typedFile)); string(got) != tt.typed {
				t.Errorf("the guest heard %q (%v), want %q", got, err, tt.typed)
			}
		})
	}
	t.Run("deaf guest", func(t *testing.T) {
		s, _ := fakeSpec(t, "mute")
		v := start(t, s)
		if err := v.TypeSysRq(within(t, 200*time.Millisecond), 'w'); blame.Of(err) != blame.Hypervisor {
			t.Errorf("error is %v, of %q", err, blame.Of(err))
		}
	})
	t.Run("dead guest", func(t *testing.T) {
		s, _ := fakeSpec(t, "well")
		v := start(t, s)
		v.Close()
		if err := v.TypeSysRq(within(t, patience), 'w'); blame.Of(err) != blame.Hypervisor {
			t.Errorf("error is %v, of %q", err, blame.Of(err))
		}
	})
}
