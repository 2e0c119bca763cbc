// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"plugstorm/harness/blame"
	"plugstorm/harness/speed"
)

// A child is one call of plugstorm's own command that has ended.
type child struct {
	started time.Time
	took    time.Duration
	memory  memory         // at most, of the command itself
	guests  map[int]memory // at most, of each QEMU that it started, by process
}

// childGrace is how long a child may take to end when it is interrupted.
const childGrace = 20 * time.Second

// How often memory is looked at: that of a child, which may live for some
// milliseconds only, at first more often than later; that of its guest, once a second:
// the kernel walks all of a QEMU's pages for it, and QEMU can't map a DIMM meanwhile.
// What wait4(2) tells is of no use: it has our own memory at the fork in it.
const (
	memorySoon = 5 * time.Millisecond
	memoryLate = 100 * time.Millisecond
	guestEvery = time.Second
)

// runOurselves runs this program with other arguments, as a user would. Exit
// codes that are verdicts are no errors.
func runOurselves(ctx context.Context, args ...string) (child, error) {
	program, err := os.Executable()
	if err != nil {
		return child{}, blame.On(blame.Host, err, "")
	}
	// The kernel sends Pdeathsig when the thread that forked ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = nil, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = childGrace
	c := child{started: time.Now(), guests: map[int]memory{}}
	if err := cmd.Start(); err != nil {
		return c, blame.On(blame.Host, err, "")
	}
	watched, stop := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		c.watch(cmd.Process.Pid, stop)
	}()
	err = cmd.Wait()
	c.took = time.Since(c.started)
	close(stop)
	<-watched
	if code := cmd.ProcessState.ExitCode(); code == 2 || code < 0 {
		return c, fmt.Errorf("plugstorm %v: %w: %s", args, err, lastLine(output.Bytes()))
	}
	return c, nil
}

// watch notes the most memory of a process and its child, now and then.
func (c *child) watch(pid int, stop <-chan struct{}) {
	pause := memorySoon
	timer := time.NewTimer(pause)
	defer timer.Stop()
	var looked time.Time
	for {
		select {
		case <-stop:
			return
		case <-timer.C:
		}
		c.memory.peak = max(c.memory.peak, peakOf(pid))
		pause = min(pause+pause/10, memoryLate)
		timer.Reset(pause)
		if time.Since(looked) < guestEvery {
			continue
		}
		looked = time.Now()
		for _, qemu := range children(pid) {
			m, most := memoryOf(qemu), c.guests[qemu]
			c.guests[qemu] = memory{resident: max(most.resident, m.resident), private: max(most.private, m.private)}
		}
	}
}

// guest is the mean of its guests' most.
func (c *child) guest() memory {
	var mean memory
	for _, m := range c.guests {
		mean.resident += m.resident / float64(len(c.guests))
		mean.private += m.private / float64(len(c.guests))
	}
	return mean
}

func lastLine(text []byte) string {
	text = bytes.TrimSpace(text)
	return string(text[bytes.LastIndexByte(text, '\n')+1:])
}

// failed is a sample of something that went wrong.
func failed(s speed.Sample, err error) speed.Sample {
	s.Failed, s.Note = true, err.Error()
	return s
}
