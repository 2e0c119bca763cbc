// SPDX-License-Identifier: Apache-2.0

// Command buildimg builds one kernel, for trying package images out by hand:
//
//	go run ./images/internal/buildimg -arch ppc64le -plant s0a
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"plugstorm/harness/blame"
	"plugstorm/images"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "buildimg: %v\n  (%s; next: %s)\n", err, blame.Of(err), blame.Next(err))
		os.Exit(2)
	}
}

func run(ctx context.Context) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	var (
		dir      = flag.String("cache", filepath.Join(cache, "plugstorm"), "cache directory")
		archName = flag.String("arch", "x86_64", "architecture")
		tree     = flag.String("tree", "", "kernel tree")
		patches  = flag.String("patch", "", "patch files, separated by commas")
		plants   = flag.String("plant", "", "plants, separated by commas")
		features = flag.String("features", "", "features, separated by commas")
		kernel   = flag.String("kernel", "", "a prebuilt kernel, or \"stock\"")
		modules  = flag.String("modules", "workloads/kmod", "sources of our modules")
	)
	flag.Parse()
	arch, err := images.Archs.Get(*archName)
	if err != nil {
		return err
	}
	s := &images.Store{
		Dir: *dir, Env: os.Environ(), Log: os.Stderr, Modules: os.DirFS(*modules), Progress: &printer{start: time.Now()},
	}
	var k *images.Kernel
	switch *kernel {
	case "":
		src := images.Source{Tree: *tree, Patches: list(*patches), Plants: list(*plants)}
		k, err = s.Build(ctx, arch, src, images.Options{Features: list(*features)})
	case "stock":
		k, err = s.Stock(ctx, arch)
	default:
		k, err = s.Prebuilt(ctx, arch, *kernel)
	}
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	return out.Encode(k)
}

func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// printer prints progress, each tenth of a stage.
type printer struct {
	start time.Time
	tenth int
}

func (p *printer) Stage(name string, estimate time.Duration) {
	p.tenth = 0
	fmt.Fprintf(os.Stderr, "%6.1fs  %s (about %v)\n", time.Since(p.start).Seconds(), name, estimate.Round(time.Second))
}

func (p *printer) Fraction(f float64) {
	if t := int(f * 10); t > p.tenth {
		p.tenth = t
		fmt.Fprintf(os.Stderr, "%6.1fs    %d %%\n", time.Since(p.start).Seconds(), t*10)
	}
}

func (p *printer) Line(line string) {
	fmt.Fprintf(os.Stderr, "%6.1fs  %s\n", time.Since(p.start).Seconds(), line)
}
