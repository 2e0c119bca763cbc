// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"plugstorm/harness/blame"
)

// quitGrace is how long QEMU may take to quit before it is killed. The guest
// has no say in it, so it isn't stretched by the guest's slowness.
const quitGrace = 3 * time.Second

// A process is a QEMU that is our child: the Process of Backend QEMU. It ends
// with the controller, even on SIGKILL.
type process struct {
	cmd    *exec.Cmd
	stderr string // path of what it writes
	done   chan struct{}
	asked  chan struct{} // closed when we end it
	exit   Exit          // valid once done is closed
}

// startProcess starts QEMU in dir, its output going to StderrFile there.
//
// The parent-death signal is sent when the *thread* that forked ends
// (prctl(2), PR_SET_PDEATHSIG), so a goroutine locked to its thread starts
// the child and stays until it is gone.
func startProcess(dir, emulator string, args []string) (*process, error) {
	p := &process{
		cmd:    exec.Command(emulator, args...),
		stderr: filepath.Join(dir, StderrFile),
		done:   make(chan struct{}),
		asked:  make(chan struct{}),
	}
	log, err := os.Create(p.stderr)
	if err != nil {
		return nil, blame.On(blame.Host, err, "choose another directory with --out")
	}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, log, log
	// A group of its own: a Ctrl-C at the terminal is for us to act on.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer log.Close()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, blame.On(blame.Host, err, "is "+emulator+" a program?")
	}
	return p, nil
}

func (p *process) wait() {
	err := p.cmd.Wait()
	p.exit = Exit{Cause: "exit status 0", Stderr: tail(p.stderr)}
	if err != nil {
		p.exit.Cause = err.Error()
	}
	select {
	case <-p.asked:
		p.exit.Asked = true
	default:
	}
	close(p.done)
}

func (p *process) Ended() <-chan struct{} { return p.done }

func (p *process) PID() int { return p.cmd.Process.Pid }

func (p *process) Exit() Exit { return p.exit }

func (p *process) End(quit func(context.Context) error) {
	select {
	case <-p.done: // ended by itself: keep the true cause
		return
	default:
		close(p.asked)
	}
	if quit != nil {
		ctx, cancel := context.WithTimeout(context.Background(), quitGrace)
		defer cancel()
		_ = quit(ctx)
		select {
		case <-p.done:
		case <-ctx.Done():
		}
	}
	_ = p.cmd.Process.Kill()
	<-p.done
}

// tail returns the last lines of QEMU's output, warnings about features that
// its CPU emulation lacks left out.
func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	const most = 4096
	if info, err := f.Stat(); err == nil && info.Size() > most {
		_, _ = f.Seek(-most, io.SeekEnd)
	}
	text, _ := io.ReadAll(f)
	var lines []string
	for line := range bytes.Lines(text) {
		if l := strings.TrimSpace(string(line)); l != "" && !strings.Contains(l, "warning: TCG doesn't support requested feature") {
			lines = append(lines, l)
		}
	}
	return strings.Join(lines[max(0, len(lines)-5):], "; ")
}
