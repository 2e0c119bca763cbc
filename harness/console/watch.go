// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// A watcher says when to look at the file again: upon inotify where there is
// one, and from time to time in any case, since inotify reports nothing on
// network file systems and has few instances per user
// (fs.inotify.max_user_instances).
type watcher struct {
	notify *os.File      // nil without inotify
	wake   chan struct{} // capacity 1
	ended  chan struct{} // closed when the goroutine has
	tick   *time.Ticker
}

// watch begins by watching for path to appear in its directory.
func (f Follower) watch(path string) *watcher {
	w := &watcher{wake: make(chan struct{}, 1), ended: make(chan struct{})}
	if !f.Poll {
		w.notify = inotify(filepath.Dir(path))
	}
	if w.notify == nil {
		w.tick = time.NewTicker(pollAlone)
		close(w.ended)
		return w
	}
	w.tick = time.NewTicker(pollNotify)
	go w.relay()
	return w
}

// inotify returns an inotify instance that watches dir for new files, or nil.
func inotify(dir string) *os.File {
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		return nil
	}
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		unix.Close(fd)
		return nil
	}
	return os.NewFile(uintptr(fd), "inotify")
}

// add watches path itself for growth, or leaves that to the ticker.
func (w *watcher) add(path string) {
	if w.notify == nil {
		return
	}
	added := false
	if raw, err := w.notify.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_, err := unix.InotifyAddWatch(int(fd), path, unix.IN_MODIFY)
			added = err == nil
		})
	}
	if !added {
		w.tick.Reset(pollAlone)
	}
}

// relay turns inotify's messages, whatever they say, into wakes. Closing
// notify ends it. QEMU writes a console byte by byte; what comes while relay
// rests is one message.
func (w *watcher) relay() {
	defer close(w.ended)
	var buf [4096]byte
	for {
		if _, err := w.notify.Read(buf[:]); err != nil {
			return
		}
		select {
		case w.wake <- struct{}{}:
		default:
		}
		time.Sleep(restNotify)
	}
}

// wait returns when there may be something new, or when ctx has ended.
func (w *watcher) wait(ctx context.Context) {
	select {
	case <-w.wake:
	case <-w.tick.C:
	case <-ctx.Done():
	}
}

func (w *watcher) close() {
	w.tick.Stop()
	if w.notify != nil {
		w.notify.Close()
	}
	<-w.ended
}
