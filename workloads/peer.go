// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"plugstorm/harness/agent"
)

// A peerProgram is a workload that is a program of somebody else's, run again
// and again. It needs a userland in the initramfs (package images).
type peerProgram struct {
	name  string
	argv  [][]string    // the commands of a round
	env   []string      // beside PATH
	limit time.Duration // of one command; TCG included
	codes []int         // exit codes that are no failure of the program's own
}

// peerNoteEvery is how often the console is told how far a peer is.
const peerNoteEvery = 10 * time.Second

// run works until ctx ends. A program that can't do its work ends it: nobody
// shall be said to have missed what he could not look for.
func (p peerProgram) run(ctx context.Context, m agent.Meter) error {
	var said time.Time
	for round := 1; ctx.Err() == nil; round++ {
		for _, argv := range p.argv {
			if err := p.command(ctx, argv); err != nil && ctx.Err() == nil {
				return err
			}
		}
		m.Done()
		if time.Since(said) >= peerNoteEvery {
			said = time.Now()
			note("%s: round %d", p.name, round)
		}
	}
	return nil
}

// outputGrace is how long output is waited for that children of a command which
// has ended keep open.
const outputGrace = time.Second

// command runs one command. What it says is only told when it fails.
func (p peerProgram) command(ctx context.Context, argv []string) error {
	ctx, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	var out tail
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.Env = append([]string{"PATH=/bin:/sbin"}, p.env...)
	c.Dir, c.Stdout, c.Stderr = "/tmp", &out, &out
	c.WaitDelay = outputGrace
	err := c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		for _, code := range p.codes {
			if exit.ExitCode() == code {
				return nil
			}
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, out.text())
	}
	return nil
}

// note tells the kernel's log, if there is one.
func note(format string, args ...any) {
	if f, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0); err == nil {
		fmt.Fprintf(f, "<5>plugstorm: "+format+"\n", args...)
		f.Close()
	}
}

// tailMax is how much of a program's output is kept.
const tailMax = 400

// A tail keeps the end of what is written to it.
type tail struct{ kept []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if extra := len(t.kept) - tailMax; extra > 0 {
		t.kept = bytes.Clone(t.kept[extra:])
	}
	return len(p), nil
}

func (t *tail) text() string { return strings.Join(strings.Fields(string(t.kept)), " ") }
