// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"plugstorm/harness/blame"
	"plugstorm/harness/console"
	"plugstorm/harness/run"
)

// A ui tells a person what is going on, on stderr: a progress bar on a
// terminal, plain lines elsewhere, nothing with quiet. It is safe for
// concurrent use. It implements images.Progress.
type ui struct {
	out             io.Writer
	terminal, color bool
	quiet           bool

	mu    sync.Mutex
	bars  *mpb.Progress
	bar   *mpb.Bar
	label string
	began map[string]time.Time // stages, by name
	said  time.Time            // when the last plain line of this stage was written
}

// plainEvery is how often a stage tells of its progress without a terminal.
const plainEvery = 30 * time.Second

// barScale is what a full bar counts to.
const barScale = 1000

func newUI(out io.Writer, terminal, color bool) *ui {
	return &ui{out: out, terminal: terminal, color: color, began: map[string]time.Time{}}
}

// Stage begins a stage of work, or goes on with one of that name. estimate may be 0
// for unknown.
func (u *ui) Stage(name string, estimate time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.endBar()
	if u.quiet {
		return
	}
	name = console.Escape(name) // a kernel has the names of its patches' files
	u.label, u.said = name, time.Now()
	if u.began[name].IsZero() {
		u.began[name] = u.said
	}
	if !u.terminal {
		about := ""
		if estimate >= time.Second {
			about = fmt.Sprintf(" (about %s)", estimate.Round(time.Second))
		}
		fmt.Fprintf(u.out, "%s%s\n", name, about)
		return
	}
	if u.bars == nil {
		u.bars = mpb.New(mpb.WithOutput(u.out), mpb.WithWidth(40))
	}
	u.bar = u.bars.New(barScale, mpb.BarStyle(), mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(name+" ")),
		mpb.AppendDecorators(decor.Percentage(), decor.Name(" "), decor.NewElapsed(decor.ET_STYLE_MMSS, u.began[name]), remaining(estimate, u.began[name])))
}

// remaining shows the time left: by the estimate at first, then by what has
// been done in the time that it took.
func remaining(estimate time.Duration, began time.Time) decor.Decorator {
	return decor.Any(func(s decor.Statistics) string {
		elapsed := time.Since(began)
		left := estimate - elapsed
		if s.Current > barScale/20 {
			left = time.Duration(float64(elapsed) * (float64(s.Total)/float64(s.Current) - 1))
		}
		if left <= 0 {
			return ""
		}
		return fmt.Sprintf(", %s left", left.Round(time.Second))
	})
}

// Fraction says how much of the stage is done.
func (u *ui) Fraction(f float64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.bar != nil:
		u.bar.SetCurrent(int64(f * (barScale - 1))) // a full bar would end itself
	case !u.quiet && !u.terminal && time.Since(u.said) >= plainEvery:
		u.said = time.Now()
		fmt.Fprintf(u.out, "%s: %.0f%% after %s\n", u.label, 100*f, time.Since(u.began[u.label]).Round(time.Second))
	}
}

// Line says something that isn't a stage.
func (u *ui) Line(line string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.quiet {
		return
	}
	if u.bars != nil {
		fmt.Fprintln(u.bars, console.Escape(line))
		return
	}
	fmt.Fprintln(u.out, console.Escape(line))
}

// run shows how a run goes.
func (u *ui) run(p run.Progress) {
	u.mu.Lock()
	label := p.Machine
	if u.label != label {
		u.mu.Unlock()
		u.Stage(label, p.Total)
		u.mu.Lock()
	}
	bar := u.bar
	u.mu.Unlock()
	if bar != nil {
		u.Fraction(min(1, float64(p.Elapsed)/float64(p.Total)))
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.quiet && !u.terminal && time.Since(u.said) >= plainEvery {
		u.said = time.Now()
		fmt.Fprintf(u.out, "%s: %s, %s of %s, guest %d, %d steps, %d complaints\n",
			p.Machine, p.Phase, p.Elapsed.Round(time.Second), p.Total, p.Guest, p.Steps, p.Findings)
	}
}

// error tells of an error: what happened, whose fault it is, what to do next.
func (u *ui) error(err error) {
	red, reset := "", ""
	if u.color {
		red, reset = "\x1b[31m", "\x1b[m"
	}
	text := fmt.Sprintf("%splugstorm: %s%s\n", red, escapeLines(err.Error()), reset)
	if owner := blame.Of(err); owner != blame.User {
		text += fmt.Sprintf("  fault: %s\n", owner)
	}
	if next := blame.Next(err); next != "" {
		text += fmt.Sprintf("  next:  %s\n", escapeLines(next))
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	fmt.Fprint(u.out, text)
}

// escapeLines makes text safe to print and keeps its lines.
func escapeLines(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = console.Escape(lines[i])
	}
	return strings.Join(lines, "\n")
}

func (u *ui) endBar() {
	if u.bar != nil {
		u.bar.Abort(true)
		u.bar.Wait()
		u.bar = nil
	}
	u.label = ""
}

// close takes the bars off the terminal.
func (u *ui) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.endBar()
	if u.bars != nil {
		u.bars.Wait()
		u.bars = nil
	}
}
