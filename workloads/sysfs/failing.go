// SPDX-License-Identifier: Apache-2.0

package sysfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// faultSettings make the kernel's fault injection ready for WriteFailing: what
// may sleep fails too (mm/failslab.c, mm/fail_page_alloc.c), single pages as
// well, and each failure says so in one line without a stack.
var faultSettings = []struct{ file, value string }{
	{"failslab/ignore-gfp-wait", "N"},
	{"failslab/verbose", "1"},
	{"fail_page_alloc/ignore-gfp-wait", "N"},
	{"fail_page_alloc/min-order", "0"},
	{"fail_page_alloc/verbose", "1"},
}

// SetBlockFailing is SetBlock with the nth allocation that the kernel makes in
// this call failing (fail-nth, Documentation/fault-injection). It reports
// whether the call made that many: what it returns is the kernel's answer
// either way. ENOENT if the kernel has no fault injection.
func (t Tree) SetBlockFailing(ctx context.Context, id uint64, attribute, value string, nth int) (failed bool, err error) {
	for _, s := range faultSettings {
		if err := Write(ctx, t.Path("sys/kernel/debug", s.file), s.value); err != nil {
			return false, err
		}
	}
	path := t.Path(blockDir(id), attribute)
	OnOwnThread(func() { failed, err = writeFailing(ctx, t.Path("proc/thread-self/fail-nth"), path, value, nth) })
	return failed, err
}

// Faults are what FailWorkers can make fail.
var Faults = []string{"failslab", "fail_page_alloc"}

// Workers are whose allocations FailWorkers can make fail: kernel threads, by
// what their names begin with. The first are those kworkers that aren't bound to
// a CPU: hotplug is done by ordered workqueues (kacpi_hotplug_wq, pseries_hp_wq),
// while ACPI's interrupts are handled by bound ones, whose failures would lose
// the news of a hotplug.
var Workers = map[string]string{"": "kworker/u", "pgmap": "plugstorm_pgmap"}

// FailWorkers has allocations of some workers fail at a probability,
// several times at most and after they got some (bytes of slabs, or pages), until
// it is called with 0 percent. It marks those of them
// that there are now (make-it-fail); nobody else's allocations fail. ENOENT if
// the kernel has no fault injection.
func (t Tree) FailWorkers(ctx context.Context, what, who string, percent, times, skip int) error {
	set := func(file, value string) error {
		return Write(ctx, t.Path("sys/kernel/debug", what, file), value)
	}
	if err := set("probability", "0"); err != nil || percent <= 0 {
		return err
	}
	for _, s := range faultSettings {
		if err := Write(ctx, t.Path("sys/kernel/debug", s.file), s.value); err != nil {
			return err
		}
	}
	if err := t.markWorkers(ctx, who); err != nil {
		return err
	}
	for _, s := range [][2]string{{"task-filter", "Y"}, {"interval", "1"}, {"times", strconv.Itoa(times)}, {"space", strconv.Itoa(skip)}, {"probability", strconv.Itoa(percent)}} {
		if err := set(s[0], s[1]); err != nil {
			return err
		}
	}
	return nil
}

// markWorkers marks every worker of a kind, and no other any more. One that ends
// meanwhile needs no mark.
func (t Tree) markWorkers(ctx context.Context, who string) error {
	names, err := filepath.Glob(t.Path("proc/[0-9]*/comm"))
	if err != nil {
		return err
	}
	for _, name := range names {
		comm, err := os.ReadFile(name)
		if err != nil || !worker(string(comm)) {
			continue
		}
		mark := "0"
		if strings.HasPrefix(string(comm), who) {
			mark = "1"
		}
		err = Write(ctx, filepath.Join(filepath.Dir(name), "make-it-fail"), mark)
		if err != nil && !errors.Is(err, unix.ESRCH) && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	return nil
}

// worker reports whether a task may be marked.
func worker(comm string) bool {
	for _, prefix := range Workers {
		if strings.HasPrefix(comm, prefix) {
			return true
		}
	}
	return false
}

// OnOwnThread runs f on a thread that ends with it, as the kernel sees it too:
// a lock that f's system calls have left behind is then reported on every
// architecture (kernel/exit.c do_exit), not only where the return to user space
// is checked.
func OnOwnThread(f func()) {
	over := make(chan struct{})
	go func() {
		defer close(over)
		runtime.LockOSThread()              // and never unlocked: the thread ends with the goroutine
		if unix.Gettid() == unix.Getpid() { // but the process's first thread doesn't, it only sleeps
			OnOwnThread(f)
			runtime.UnlockOSThread()
			return
		}
		f()
	}()
	<-over
}

// writeFailing opens everything first, so that only the write itself is
// counted. The caller's goroutine is locked to its thread.
func writeFailing(ctx context.Context, counter, path, value string, nth int) (failed bool, err error) {
	fd, err := openFile(path, unix.O_WRONLY)
	if err != nil {
		return false, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	faults, err := os.OpenFile(counter, os.O_RDWR, 0)
	if err != nil {
		return false, err
	}
	defer faults.Close()
	defer interruptWhenDone(ctx, fd, unix.Gettid())()
	data, count := []byte(value), []byte(strconv.Itoa(nth))
	if _, err := unix.Write(int(faults.Fd()), count); err != nil {
		return false, fmt.Errorf("write %s: %w", counter, err)
	}
	_, err = unix.Write(fd, data)
	failed, resetErr := spent(faults)
	switch {
	case err != nil && ctx.Err() != nil && errors.Is(err, unix.EBADF): // see Write
		err = unix.EINTR
		fallthrough
	case err != nil:
		return failed, &fs.PathError{Op: "write", Path: path, Err: err}
	}
	return failed, resetErr
}

// spent reports whether the failure has happened, and calls it off if not.
func spent(faults *os.File) (bool, error) {
	var text [32]byte
	n, err := faults.ReadAt(text[:], 0)
	if n == 0 && err != nil {
		return false, err
	}
	if strings.TrimSpace(string(text[:n])) == "0" {
		return true, nil
	}
	_, err = faults.WriteAt([]byte("0"), 0)
	return false, err
}
