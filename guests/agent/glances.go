// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io/fs"
	"sync"

	"golang.org/x/sys/unix"
)

// glancesKept bounds how many files stay open: a kernel allows 4096 by default
// (fs.h INR_OPEN_MAX), and each takes a page.
const glancesKept = 512

// glanceBytes is more than a task's stat has.
const glanceBytes = 1024

// Glances read small files of proc again and again and keep them open meanwhile:
// to find a task's file takes the kernel much longer than to write down what is in
// it. An open file doesn't keep its task, and fails when that has ended (ESRCH, also
// if another task has the number now). It is for one goroutine at a time: mu.
type glances struct {
	mu   sync.Mutex
	open map[string]*glanced // by path
	look int                 // that is under way, counted from 1
}

// A glanced file is one that is kept open.
type glanced struct {
	fd   int
	look int // in which it was read last
}

// begin begins a look at many files.
func (g *glances) begin() { g.look++ }

// end ends it: what was not read in it is closed.
func (g *glances) end() { g.closeBut(g.look) }

// close closes all files.
func (g *glances) close() { g.closeBut(0) }

func (g *glances) closeBut(look int) {
	for path, f := range g.open {
		if f.look != look {
			unix.Close(f.fd)
			delete(g.open, path)
		}
	}
}

// read reads a file whose content the kernel makes at once.
func (g *glances) read(path string) (string, error) {
	if f := g.open[path]; f != nil {
		if text, err := readAt(f.fd); err == nil {
			f.look = g.look
			return text, nil
		}
		unix.Close(f.fd)
		delete(g.open, path)
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", &fs.PathError{Op: "open", Path: path, Err: err}
	}
	text, err := readAt(fd)
	if err != nil || len(g.open) >= glancesKept {
		unix.Close(fd)
		return text, err
	}
	if g.open == nil {
		g.open = map[string]*glanced{}
	}
	g.open[path] = &glanced{fd, g.look}
	return text, nil
}

// readAt reads the beginning of a file.
func readAt(fd int) (string, error) {
	buffer := make([]byte, glanceBytes)
	for {
		n, err := unix.Pread(fd, buffer, 0)
		switch {
		case errors.Is(err, unix.EINTR): // a preemption by Go's runtime
		case err != nil:
			return "", err
		default:
			return string(buffer[:n]), nil
		}
	}
}
