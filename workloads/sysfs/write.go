// SPDX-License-Identifier: Apache-2.0

package sysfs

import (
	"context"
	"errors"
	"io/fs"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// nudgeEvery is how often an overdue write is signalled. Once isn't enough:
// the signal may come just before the system call begins.
const nudgeEvery = 20 * time.Millisecond

// Write writes value to an existing file with one write(2) and returns when
// that system call does. When ctx ends first, the write is interrupted and the
// error's errno is EINTR; a system call that ignores signals (a task in D
// state) still holds the caller up.
//
// What ends a write, and how:
//   - offlining a memory block loops until its pages have moved and looks at
//     signal_pending() (mm/memory_hotplug.c offline_pages): a signal to the
//     writing thread. SIGURG, because Go's runtime uses it to preempt threads
//     and takes it for harmless.
//   - while another task holds device_hotplug_lock the kernel restarts the
//     system call for ever (drivers/base/core.c lock_device_hotplug_sysfs), as
//     it does for waits that end in ERESTARTSYS, Go's handlers being
//     SA_RESTART. So the descriptor's number is pointed at one that can't be
//     written: the restarted call finds EBADF.
func Write(ctx context.Context, path, value string) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	fd, err := openFile(path, unix.O_WRONLY)
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	defer interruptWhenDone(ctx, fd, unix.Gettid())()
	for {
		_, err := unix.Write(fd, []byte(value))
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil && (errors.Is(err, unix.EINTR) || errors.Is(err, unix.EBADF)):
			return &fs.PathError{Op: "write", Path: path, Err: unix.EINTR}
		case !errors.Is(err, unix.EINTR): // EINTR before its time is a preemption by Go's runtime
			return &fs.PathError{Op: "write", Path: path, Err: err}
		}
	}
}

// openFile opens a file past Go's poller, to be read or written as flags says.
func openFile(path string, flags int) (int, error) {
	for {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// interruptWhenDone interrupts thread tid's write to fd once ctx has ended,
// until stop is called. After stop neither fd nor tid is touched any more.
func interruptWhenDone(ctx context.Context, fd, tid int) (stop func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	over := make(chan struct{})
	var task sync.WaitGroup
	task.Go(func() {
		select {
		case <-over:
		case <-ctx.Done():
			nudge(fd, tid, over)
		}
	})
	return func() {
		close(over)
		task.Wait()
	}
}

func nudge(fd, tid int, over <-chan struct{}) {
	if null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
		_ = unix.Dup3(null, fd, unix.O_CLOEXEC) // a failure leaves us the signal
		unix.Close(null)
	}
	tick := time.NewTicker(nudgeEvery)
	defer tick.Stop()
	for {
		_ = unix.Tgkill(unix.Getpid(), tid, unix.SIGURG) // the thread is ours and locked, so it exists
		select {
		case <-over:
			return
		case <-tick.C:
		}
	}
}
