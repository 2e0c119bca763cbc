// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"plugstorm/harness/blame"
	"plugstorm/harness/detect"
	"plugstorm/harness/verdict"
)

// A bench is a detection benchmark in progress.
type bench struct {
	app     *app
	flags   *benchFlags
	plan    detect.Plan
	targets []target
	known   knownFile
	dir     string
	fresh   *plan // made dir; nil: it was there

	// What a benchmark does to the world; tests put their own here.
	prepare func(context.Context, *plan) error
	tell    func(context.Context, *plan) error // what is to be known of a prepared plan
	run     func(context.Context, *plan, detect.Cell, string) (detect.Result, error)

	mu      sync.Mutex // of what follows, and of results.ndjson
	results []detect.Result
	done    int // runs of this call
	todo    int
}

// load reads the results that there are. A line that was being written when
// the last call was killed goes: its run is repeated.
func (b *bench) load() error {
	path := filepath.Join(b.dir, resultsFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return blame.On(blame.Host, err, "")
	}
	results, whole, err := detect.ParseResults(data)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	b.results = results
	if whole < len(data) {
		return blame.On(blame.Host, os.Truncate(path, int64(whole)), "")
	}
	return nil
}

// attempts is how often a run is made that tells nothing.
const attempts = 2

// measure does all runs that have not told anything yet. A kernel that can't
// be built and a run that fails leave their cells unmeasured; the error is
// about what ends the whole benchmark, such as a patch of the user's that no
// kernel can be built with.
func (b *bench) measure(parent context.Context) error {
	cells := b.plan.Cells()
	if err := b.tryPatches(parent, cells); err != nil {
		return err
	}
	for _, c := range cells {
		b.todo += len(b.missing(c))
	}
	b.app.ui.Line(fmt.Sprintf("%d kernels and machines, %d runs to do; results in %s", len(cells), b.todo, b.dir))
	runs, ctx := errgroup.WithContext(parent)
	runs.SetLimit(b.flags.jobs)
	for _, c := range cells {
		seeds := b.missing(c)
		if len(seeds) == 0 || ctx.Err() != nil {
			continue
		}
		if err := b.prepareCell(ctx, c); err != nil {
			b.fail(ctx, c, err)
			continue
		}
		if err := b.tellOf(ctx, c); err != nil {
			b.fail(ctx, c, err)
			continue
		}
		b.app.ui.Stage("bench detect", 0)
		for _, seed := range seeds {
			runs.Go(func() error { return b.seed(ctx, c, seed) })
		}
	}
	err := runs.Wait()
	if parent.Err() != nil {
		b.app.ui.Line("go on with --resume " + b.dir)
		return blame.Errorf(blame.User, "", "interrupted: %w", context.Cause(parent))
	}
	return err
}

// missing lists the seeds of a cell that have not told anything yet.
func (b *bench) missing(c detect.Cell) []int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	var seeds []int64
	for i := range b.plan.Seeds {
		seed := b.plan.First + int64(i)
		if r := b.plan.Measured(c, seed, b.results); r == nil || !r.Told() {
			seeds = append(seeds, seed)
		}
	}
	return seeds
}

// tryPatches builds the kernels of the user's patches before anything is booted
// and counted: one that doesn't apply, isn't compiled or doesn't compile is the
// user's to correct. What else goes wrong is told when its cell's turn comes.
func (b *bench) tryPatches(ctx context.Context, cells []detect.Cell) error {
	for _, c := range cells {
		if b.target(c).patch == "" || len(b.missing(c)) == 0 {
			continue
		}
		if err := b.prepareCell(ctx, c); blame.Of(err) == blame.User && ctx.Err() == nil {
			b.forget()
			return fmt.Errorf("%s: %w", c, err)
		}
	}
	return nil
}

func (b *bench) prepareCell(ctx context.Context, c detect.Cell) error {
	p, err := b.planRun(c, b.plan.First, "")
	if err != nil {
		return err
	}
	return b.prepare(ctx, p)
}

// tellOf says where a cell's runs look first, once for all of them.
func (b *bench) tellOf(ctx context.Context, c detect.Cell) error {
	p, err := b.planRun(c, b.plan.First, "")
	if err != nil {
		return err
	}
	return b.tell(ctx, p)
}

// fail tells why a cell's runs are not measured.
func (b *bench) fail(ctx context.Context, c detect.Cell, err error) {
	if ctx.Err() == nil {
		b.app.ui.close()
		b.app.ui.error(fmt.Errorf("%s: %w", c, err))
	}
}

// seed makes one run of a cell, and a second one if the first tells nothing.
// Its error ends the benchmark.
func (b *bench) seed(ctx context.Context, c detect.Cell, seed int64) error {
	for range attempts {
		if ctx.Err() != nil {
			return nil
		}
		dir, err := b.runDir(c, seed)
		if err != nil {
			return err
		}
		p, err := b.planRun(c, seed, filepath.Join(b.dir, dir))
		if err != nil {
			return err
		}
		r, err := b.run(ctx, p, c, dir)
		switch {
		case ctx.Err() != nil:
			return nil // half a run is none
		case err != nil:
			b.fail(ctx, c, err)
			continue
		}
		if err := b.keep(r); err != nil {
			return err
		}
		b.app.ui.Line(fmt.Sprintf("%s, seed %d: %s%s", c, seed, outcome(c, &r), reached(r.Reach)))
		if r.Told() {
			break
		}
	}
	b.mu.Lock()
	b.done++
	done := float64(b.done) / float64(b.todo)
	b.mu.Unlock()
	b.app.ui.Fraction(done)
	return nil
}

// outcome says what a run showed.
func outcome(c detect.Cell, r *detect.Result) string {
	first := r.First()
	switch {
	case first != nil && len(c.Subject.Match) == 0:
		return fmt.Sprintf("detected %.1fs after QEMU's start: %s", first.At.Seconds(), first.Title)
	case first != nil && r.Expected(c.Subject):
		return fmt.Sprintf("detected %.1fs after QEMU's start, as expected: %s", first.At.Seconds(), first.Title)
	case first != nil:
		return fmt.Sprintf("detected %.1fs after QEMU's start, but not as expected: %s", first.At.Seconds(), first.Title)
	case r.Told() && c.Silent:
		return "silent, as it must be"
	case r.Told():
		return "missed"
	}
	return "unknown: " + strings.Join(r.Why, "; ")
}

// reached says how much of what the bug's patch changes was called in a run; "" if
// it is the patch of none, or changes no function.
func reached(r *verdict.Reach) string {
	if r == nil || len(r.Functions) == 0 {
		return ""
	}
	text := fmt.Sprintf("; reached %d of %d changed functions", r.Run(), len(r.Functions))
	if n := r.Unknown(); n > 0 {
		text += fmt.Sprintf(", %d unknown", n)
	}
	return text
}

// runDir makes a directory for a run, below the benchmark's. Earlier runs of
// the same seed, which told nothing or were interrupted, keep theirs.
func (b *bench) runDir(c detect.Cell, seed int64) (string, error) {
	const next = "free some space or choose another directory with --out"
	parent := filepath.Join(c.Subject.Name, c.Machine, c.By)
	if err := os.MkdirAll(filepath.Join(b.dir, parent), 0o755); err != nil {
		return "", blame.On(blame.Host, err, next)
	}
	dir := filepath.Join(parent, fmt.Sprintf("seed-%d", seed))
	for n := 1; ; n++ {
		err := os.Mkdir(filepath.Join(b.dir, dir), 0o755)
		if !errors.Is(err, fs.ErrExist) {
			return dir, blame.On(blame.Host, err, next)
		}
		dir = filepath.Join(parent, fmt.Sprintf("seed-%d.%d", seed, n+1))
	}
}

// keep records a result, in one write to the end of results.ndjson: a killed
// benchmark loses none that was recorded.
func (b *bench) keep(r detect.Result) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := appendLine(filepath.Join(b.dir, resultsFile), r, "go on with --resume "+b.dir); err != nil {
		return err
	}
	b.results = append(b.results, r)
	return nil
}

// errIncomplete is the exit code of a benchmark that has not measured
// everything.
var errIncomplete = errors.New("not everything was measured")

// report prints the table, rewrites pages, and says whether it is complete.
func (b *bench) report() error {
	t := detect.NewTable(&b.plan, b.results)
	host := b.host()
	var err error
	if b.flags.json {
		err = detect.WriteJSON(b.app.stdout, t, host, b.dir)
	} else {
		err = detect.WriteText(b.app.stdout, t)
	}
	if err != nil {
		return blame.On(blame.Host, err, "")
	}
	for _, page := range b.flags.docs {
		if err := writePage(page, "detect", detect.Sections(t, host, time.Now())); err != nil {
			return err
		}
	}
	if !t.Complete() {
		return blame.On(blame.Harness, errIncomplete, "see the runs below "+b.dir+"; go on with --resume "+b.dir)
	}
	return nil
}

func (b *bench) host() detect.Host {
	return detect.Host{Cores: runtime.NumCPU(), Jobs: b.flags.jobs, CPU: hostCPU()}
}

// readJSON reads a JSON file.
func readJSON(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
