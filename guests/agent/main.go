// SPDX-License-Identifier: Apache-2.0

// Command agent is PID 1 of a plugstorm guest: it mounts what the kernel
// offers, serves the host over a virtio-serial port or a spare serial line, and
// starts workloads, each in a process of its own (the same binary again).
//
// It has to survive what the workloads do. What it can't survive is a defect of
// its own in Go's runtime (exit code 2) or an error that leaves it without a
// channel: it then says "plugstorm: agent exits: REASON" and the kernel panics
// with "Attempted to kill init!".
package main

import (
	"fmt"
	"os"
)

// Exit codes of PID 1, as they show up (times 256) in the kernel's
// "Attempted to kill init! exitcode=0x…". 2 is the Go runtime's.
const (
	exitUsage = 64
	exitAgent = 70
)

func main() {
	switch {
	case len(os.Args) == 4 && os.Args[1] == childCommand:
		os.Exit(workloadMain(os.Args[2], os.Args[3]))
	case os.Getpid() == 1:
		reason := run()
		note := newConsole()
		note.printf("agent exits: %s", reason)
		os.Exit(exitAgent)
	default:
		fmt.Fprintln(os.Stderr, "agent: I am PID 1 of a plugstorm guest and do nothing elsewhere")
		os.Exit(exitUsage)
	}
}

// run is the life of the agent. It returns why it can't go on.
func run() (reason string) {
	defer func() {
		if p := recover(); p != nil {
			reason = fmt.Sprint("panic: ", p)
		}
	}()
	mountErrors := mountAll("/")
	note := newConsole()
	for _, err := range mountErrors {
		note.printf("%v", err)
	}
	s := readSettings("/proc/cmdline")
	for _, err := range append(toughen(), tuneKernel("/", s)...) {
		note.printf("%v", err)
	}
	if err := wakeKhugepaged("/proc"); err != nil {
		note.printf("khugepaged: %v", err)
	}
	port, transport, err := openPort("/", s, note)
	if err != nil {
		return err.Error()
	}
	a := newAgent("/", port, note, newChildren())
	a.transport = transport
	return a.serve()
}
