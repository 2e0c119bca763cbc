// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads"
)

// killPatience is how long a killed workload may at least stand still before we
// say that it is stuck in the kernel.
const killPatience = 5 * time.Second

// A supervisor starts and stops workloads.
type supervisor struct {
	children *children
	note     *console
	modules  string                    // directory of our kernel modules
	ended    func(agent.WorkloadStats) // told when a workload ends by itself

	mu        sync.Mutex
	instances map[string]*instance
}

// An instance is a workload that was started. It stays known after its end,
// until it is stopped or its ID is started again.
type instance struct {
	id       string
	workload *agent.Workload
	child    *child
	done     chan struct{} // closed when child has ended and stats are final

	mu       sync.Mutex
	counts   counts
	output   string // last line on stdout or stderr
	stopping bool
}

func newSupervisor(c *children, note *console, modules string, ended func(agent.WorkloadStats)) *supervisor {
	return &supervisor{children: c, note: note, modules: modules, ended: ended, instances: map[string]*instance{}}
}

// running counts the workloads that haven't ended.
func (s *supervisor) running() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, i := range s.instances {
		select {
		case <-i.done:
		default:
			n++
		}
	}
	return n
}

func (s *supervisor) start(p agent.StartWorkloadParams) error {
	w, err := agent.Workloads.Get(p.Name)
	if err != nil {
		return err
	}
	if p.ID == "" {
		return errors.New("a workload instance needs an id")
	}
	for _, module := range w.Modules {
		if _, err := os.Stat(filepath.Join(s.modules, module+".ko")); err != nil {
			return fmt.Errorf("workload %s needs module %s, which the initramfs lacks: %w", w.Name, module, err)
		}
	}
	params, err := json.Marshal(p.Params)
	if err != nil {
		return err
	}
	i := &instance{id: p.ID, workload: w, done: make(chan struct{})}
	if err := s.claim(i); err != nil {
		return err
	}
	if err := s.launch(i, string(params)); err != nil {
		s.drop(i)
		return err
	}
	return nil
}

// claim takes the instance's ID.
func (s *supervisor) claim(i *instance) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.instances[i.id]; old != nil {
		select {
		case <-old.done:
		default:
			return fmt.Errorf("workload instance %q is running", i.id)
		}
	}
	s.instances[i.id] = i
	return nil
}

func (s *supervisor) drop(i *instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.instances[i.id] == i {
		delete(s.instances, i.id)
	}
}

// launch starts the child with two pipes, for its counts and for its output.
func (s *supervisor) launch(i *instance, params string) error {
	countsR, countsW, err := os.Pipe()
	if err != nil {
		return err
	}
	defer countsW.Close()
	outputR, outputW, err := os.Pipe()
	if err != nil {
		countsR.Close()
		return err
	}
	defer outputW.Close()
	null, err := os.Open(os.DevNull)
	if err == nil {
		defer null.Close()
		i.child, err = s.children.start(
			[]string{"/init", childCommand, i.workload.Name, params},
			[]uintptr{null.Fd(), outputW.Fd(), outputW.Fd(), countsW.Fd()})
	}
	if err != nil {
		countsR.Close()
		outputR.Close()
		close(i.done)
		return err
	}
	go s.watch(i, countsR, outputR)
	return nil
}

// watch follows an instance to its end.
func (s *supervisor) watch(i *instance, countsR, outputR io.ReadCloser) {
	defer s.note.guard(nil)
	defer countsR.Close()
	defer outputR.Close()
	var pipes sync.WaitGroup
	pipes.Go(func() { defer s.note.guard(nil); i.readCounts(countsR) })
	pipes.Go(func() { defer s.note.guard(nil); s.readOutput(i, outputR) })
	<-i.child.done
	pipes.Wait() // the child alone holds the other ends
	i.mu.Lock()
	if i.counts.Error == "" && !i.counts.Ended {
		i.counts.Error = describe(i.child.status, i.output)
	}
	stopping := i.stopping
	if stopping && i.child.status.Signaled() {
		i.counts.Error = "" // we killed it
	}
	i.mu.Unlock()
	close(i.done)
	if !stopping {
		s.ended(i.stats())
	}
}

// describe says how a child died that didn't say so itself.
func describe(status unix.WaitStatus, output string) string {
	text := fmt.Sprintf("exit status %d", status.ExitStatus())
	if status.Signaled() {
		text = "killed by " + unix.SignalName(status.Signal())
		if status.Signal() == unix.SIGKILL {
			text += " (by the OOM killer, or after an oops)"
		}
	}
	if output != "" {
		text += ": " + output
	}
	return text
}

func (i *instance) readCounts(r io.Reader) {
	decoder := json.NewDecoder(r)
	for {
		var c counts
		if decoder.Decode(&c) != nil {
			return
		}
		i.mu.Lock()
		i.counts = c
		i.mu.Unlock()
	}
}

// outputLines bounds what a child may write to the console.
const outputLines = 200

// readOutput passes a child's output (a Go panic, usually) on to the console
// and reads it to its end in any case, so that the child never blocks on it.
func (s *supervisor) readOutput(i *instance, r io.Reader) {
	lines := bufio.NewScanner(r)
	for n := 0; lines.Scan(); n++ {
		if n < outputLines {
			s.note.printf("workload %s: %s", i.id, lines.Text())
		}
		i.mu.Lock()
		if n == 0 { // a Go panic says what it is in its first line
			i.output = lines.Text()
		}
		i.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, r)
}

func (i *instance) stats() agent.WorkloadStats {
	i.mu.Lock()
	defer i.mu.Unlock()
	return agent.WorkloadStats{
		ID: i.id, Name: i.workload.Name,
		Rounds: i.counts.Rounds, Refused: i.counts.Refused, Error: i.counts.Error,
	}
}

// stop stops an instance and returns what it did. An instance that doesn't
// even die of SIGKILL stays known and is an error with its kernel stack.
func (s *supervisor) stop(p agent.StopWorkloadParams) (agent.WorkloadStats, error) {
	s.mu.Lock()
	i := s.instances[p.ID]
	s.mu.Unlock()
	if i == nil {
		return agent.WorkloadStats{}, fmt.Errorf("no workload instance %q", p.ID)
	}
	i.mu.Lock()
	i.stopping = true
	i.mu.Unlock()
	if !s.end(i, time.Duration(p.LimitMS)*time.Millisecond) {
		return i.stats(), fmt.Errorf("workload %s (pid %d) doesn't die, it is stuck in the kernel:\n%s",
			i.id, i.child.pid, kernelStack("/proc", i.child.pid))
	}
	s.drop(i)
	return i.stats(), nil
}

// end asks, then kills. It reports whether the instance has ended. Modules
// that a killed workload left behind are unloaded.
func (s *supervisor) end(i *instance, limit time.Duration) bool {
	_ = unix.Kill(i.child.pid, unix.SIGTERM) // ESRCH: it ended before
	if waitFor(i.done, limit) {
		return true
	}
	s.note.printf("workload %s doesn't stop within %v: killed", i.id, limit)
	_ = unix.Kill(-i.child.pid, unix.SIGKILL)
	if !dies(i.done, func() string { return spentTime("/proc", i.child.pid) }, max(limit, killPatience)) {
		return false
	}
	for _, module := range i.workload.Modules {
		if err := workloads.UnloadModule(module); err != nil && !errors.Is(err, unix.ENOENT) {
			s.note.printf("after workload %s: %v", i.id, err)
		}
	}
	return true
}

// dies reports whether a killed process ends. What it does in the kernel may
// take long on a starved host, where it is preempted for most of the time: it is
// stuck only if it spends no CPU time within d. Who spins in the kernel is for
// the kernel's watchdogs to tell, and for the caller's deadline.
func dies(done <-chan struct{}, spent func() string, d time.Duration) bool {
	for before := spent(); !waitFor(done, d); {
		now := spent()
		if now == before {
			return false
		}
		before = now
	}
	return true
}

// spentTime returns the CPU time of a process as the kernel prints it (fields
// utime and stime of /proc/PID/stat, proc_pid_stat(5)), "" if it has gone.
func spentTime(proc string, pid int) string {
	const utime, stime = 11, 12 // behind the name, which may hold anything
	stat, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "stat"))
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) <= stime {
		return ""
	}
	return fields[utime] + " " + fields[stime]
}

// waitFor reports whether done is closed within d.
func waitFor(done <-chan struct{}, d time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

const (
	stackTasks = 4
	stackLines = 12
)

// kernelStack returns the first lines of the kernel stacks of a process's
// threads that are in D state, of all threads when none is.
func kernelStack(proc string, pid int) string {
	tasks, err := filepath.Glob(filepath.Join(proc, strconv.Itoa(pid), "task/*"))
	if err != nil {
		return err.Error()
	}
	var waiting, others []string
	for _, task := range tasks {
		stack, err := os.ReadFile(filepath.Join(task, "stack"))
		if err != nil || len(strings.TrimSpace(string(stack))) == 0 { // gone, or running
			continue
		}
		lines := strings.SplitN(string(stack), "\n", stackLines+1)
		text := "thread " + filepath.Base(task) + ":\n" + strings.Join(lines[:min(len(lines), stackLines)], "\n")
		stat, _ := os.ReadFile(filepath.Join(task, "status")) // an empty one is in no state
		if strings.Contains(string(stat), "\nState:\tD") {
			waiting = append(waiting, text)
		} else {
			others = append(others, text)
		}
	}
	if len(waiting) == 0 {
		waiting = others
	}
	return cmp.Or(strings.Join(waiting[:min(len(waiting), stackTasks)], "\n"), "no kernel stack is readable")
}
