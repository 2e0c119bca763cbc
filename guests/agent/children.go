// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Children are all processes below PID 1: those we start and the orphans that
// fall to us. One goroutine, on one thread, both forks and waits, so nobody
// can take away somebody else's exit status, no child can exit before it is
// known, and no lock is needed. os/exec isn't used: it waits by itself.
//
// The thread never ends, which matters: the kernel sends a child its parent
// death signal when the thread that forked it ends.
type children struct {
	starts chan startRequest
}

type startRequest struct {
	argv  []string
	files []uintptr // the child's descriptors 0, 1, 2, …
	reply chan startReply
}

type startReply struct {
	child *child
	err   error
}

// A child is a process that we started.
type child struct {
	pid    int
	done   chan struct{}   // closed when it has ended
	status unix.WaitStatus // valid then
}

// newChildren takes over the waiting for all children of this process: there
// can be only one.
func newChildren() *children {
	c := &children{starts: make(chan startRequest)}
	deaths := make(chan os.Signal, 1) // one is enough: a sweep finds all
	signal.Notify(deaths, unix.SIGCHLD)
	go c.own(deaths)
	return c
}

// start starts a program in a process group of its own and returns once it is
// executed. files stay the caller's.
func (c *children) start(argv []string, files []uintptr) (*child, error) {
	request := startRequest{argv, files, make(chan startReply, 1)}
	c.starts <- request
	reply := <-request.reply
	return reply.child, reply.err
}

func (c *children) own(deaths <-chan os.Signal) {
	runtime.LockOSThread()
	known := map[int]*child{}
	for {
		select {
		case request := <-c.starts:
			child, err := fork(request)
			if err == nil {
				known[child.pid] = child
			}
			request.reply <- startReply{child, err}
		case <-deaths:
			sweep(known)
		}
	}
}

func fork(request startRequest) (*child, error) {
	pid, err := syscall.ForkExec("/proc/self/exe", request.argv, &syscall.ProcAttr{
		Env:   []string{"GOTRACEBACK=single"},
		Files: request.files,
		Sys:   &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return nil, &os.SyscallError{Syscall: "fork/exec", Err: err}
	}
	return &child{pid: pid, done: make(chan struct{})}, nil
}

// sweep reaps every child that has ended.
func sweep(known map[int]*child) {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || pid <= 0 { // ECHILD, or none has ended
			return
		}
		if child := known[pid]; child != nil {
			delete(known, pid)
			child.status = status
			close(child.done)
		}
	}
}
