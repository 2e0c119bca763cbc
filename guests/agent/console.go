// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
)

// recordMax keeps a message inside one record of /dev/kmsg
// (PRINTKRB_RECORD_MAX in kernel/printk/printk.c is 1024, prefix included).
const recordMax = 900

// A console writes lines to the kernel's log, from where they reach the
// console without virtio. Lines begin with "plugstorm: ", so that nobody takes
// them for the kernel's. A write may block for as long as the console does.
type console struct{ file *os.File }

// newConsole opens the kernel's log, or the console while there is no /dev.
func newConsole() *console {
	if f, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0); err == nil {
		return &console{f}
	}
	return &console{os.Stdout} // PID 1 is born with /dev/console
}

func (c *console) printf(format string, args ...any) {
	for line := range strings.SplitSeq(strings.TrimSpace(fmt.Sprintf(format, args...)), "\n") {
		if len(line) > recordMax {
			line = line[:recordMax]
		}
		// One write is one record. An error has nowhere to go.
		_, _ = c.file.WriteString("<5>plugstorm: " + line + "\n")
	}
}

// guard is deferred in every goroutine: a panic ends that goroutine, is
// reported, and leaves PID 1 alive. After, if not nil, sees the panic's value.
func (c *console) guard(after func(any)) {
	p := recover()
	if p == nil {
		return
	}
	c.printf("agent panic: %v\n%s", p, debug.Stack())
	if after != nil {
		after(p)
	}
}
