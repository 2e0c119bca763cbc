// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"plugstorm/harness/blame"
)

// buildStamp goes into the kernel instead of the time, the user and the host,
// so that equal inputs give equal kernels.
var buildStamp = []string{
	"KBUILD_BUILD_TIMESTAMP=Thu Jan  1 00:00:00 UTC 1970", "KBUILD_BUILD_USER=plugstorm",
	"KBUILD_BUILD_HOST=plugstorm", "KBUILD_BUILD_VERSION=1",
}

// runMake runs make for a job in its work tree. Its output goes to the log,
// and each line to watch. The work tree's lock is handed to make as well.
func (s *Store) runMake(ctx context.Context, j *job, w *workTree, watch func(line string), args ...string) error {
	log, err := os.OpenFile(s.logFile(j), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	all := append([]string{
		"-C", w.tree(), "O=" + objDir, "ARCH=" + j.arch.KernelARCH, "CROSS_COMPILE=" + j.arch.cross(), fmt.Sprintf("-j%d", s.jobs()),
	}, append(buildStamp, args...)...)
	fmt.Fprintf(log, "+ make %s\n", strings.Join(all, " "))
	out := &makeOutput{log: log, watch: watch}
	err = s.run(ctx, command{name: "make", args: all, env: s.makeEnv(), output: out, hold: w.held})
	if err == nil || ctx.Err() != nil || blame.Of(err) == blame.Host {
		return err
	}
	return s.makeError(j, out)
}

func (s *Store) logFile(j *job) string { return s.path("logs", j.buildKey+".log") }

// makeError explains a failed make by the lines that matter.
func (s *Store) makeError(j *job, out *makeOutput) error {
	err := fmt.Errorf("%s doesn't build:\n%s", j.what(), indent(out.reason()))
	if full(s.Dir, err) {
		return s.noSpace(err)
	}
	if out.killed {
		return blame.On(blame.Host, err, "the compiler was killed: free some memory and run again, the build resumes")
	}
	return blame.On(j.fault(), err, "see "+s.logFile(j))
}

func indent(lines []string) string { return "  " + strings.Join(lines, "\n  ") }

// makeOutput takes make's output apart into lines.
type makeOutput struct {
	log     *os.File
	watch   func(line string)
	partial []byte
	errors  []string // the first lines that speak of errors
	last    []string
	killed  bool // a compiler was killed, by the OOM killer as a rule
}

var (
	errorLine  = regexp.MustCompile(`(?i)\berror:|undefined reference|undefined!|No such file|No space left|No rule to make|internal compiler error`)
	killedLine = regexp.MustCompile(`Killed signal terminated program|: Killed$|Error 137\b`)
)

const keepLines = 6

// Write implements io.Writer.
func (o *makeOutput) Write(p []byte) (int, error) {
	if _, err := o.log.Write(p); err != nil {
		return 0, err
	}
	o.partial = append(o.partial, p...)
	for {
		i := bytes.IndexByte(o.partial, '\n')
		if i < 0 {
			return len(p), nil
		}
		o.line(string(o.partial[:i]))
		o.partial = o.partial[i+1:]
	}
}

func (o *makeOutput) line(line string) {
	if o.watch != nil {
		o.watch(line)
	}
	if strings.TrimSpace(line) == "" {
		return
	}
	o.killed = o.killed || killedLine.MatchString(line)
	if errorLine.MatchString(line) && len(o.errors) < keepLines {
		o.errors = append(o.errors, line)
	}
	if o.last = append(o.last, line); len(o.last) > keepLines {
		o.last = o.last[1:]
	}
}

// reason is what to show of a failure.
func (o *makeOutput) reason() []string {
	if len(o.errors) > 0 {
		return o.errors
	}
	return o.last
}

// stepLine is one of Kbuild's short log lines: "  CC [M]  lib/test_hmm.o".
var stepLine = regexp.MustCompile(`^  [A-Z][A-Z0-9_]+( \[M\])? +\S`)

// An effort is what a build took.
type effort struct {
	Steps   int // Kbuild's short log lines
	Seconds float64
}

// First guesses: 6.12 with our fragments. A full build parallelises well, so
// its seconds are those of one CPU; what a patch causes is mostly linking.
var (
	fullEffort   = effort{Steps: 1600, Seconds: 800}
	seededEffort = effort{Steps: 40, Seconds: 20}
)

// First guesses for stages whose length is never recorded.
const (
	fetchTime   = 60 * time.Second
	unpackTime  = 12 * time.Second
	lookTime    = 5 * time.Second
	copyTime    = 20 * time.Second
	prepareTime = 5 * time.Second
	configTime  = 10 * time.Second
	modulesTime = 10 * time.Second
)

// effortKey names the builds whose efforts are comparable.
func (j *job) effortKey(seeded bool) string {
	return fmt.Sprintf("%s %v seeded=%v", j.arch.Name, j.opt.Features, seeded)
}

// lastEffort recalls what a build like this one took last time.
func (s *Store) lastEffort(j *job, seeded bool) effort {
	efforts := s.efforts()
	if e, ok := efforts[j.effortKey(seeded)]; ok {
		return e
	}
	if seeded {
		return seededEffort
	}
	return effort{fullEffort.Steps, fullEffort.Seconds / float64(s.jobs())}
}

func (s *Store) efforts() map[string]effort {
	efforts := map[string]effort{}
	data, err := os.ReadFile(s.path("stat", "efforts.json"))
	if err != nil || json.Unmarshal(data, &efforts) != nil {
		return map[string]effort{} // only estimates suffer
	}
	return efforts
}

// recordEffort remembers a build for the next estimate. Two that end at once
// may lose one of the records.
func (s *Store) recordEffort(j *job, seeded bool, e effort) error {
	efforts := s.efforts()
	efforts[j.effortKey(seeded)] = e
	data, err := json.Marshal(efforts)
	if err != nil {
		return err
	}
	return writeFile(s.path("stat", "efforts.json"), data)
}
