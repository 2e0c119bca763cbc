// SPDX-License-Identifier: Apache-2.0

// Package images makes what a guest boots: kernels with our modules, and
// initramfs images around the agent. Everything is kept in a cache, keyed by
// the content it was made from.
//
// Below Store.Dir:
//
//	src/KEY/tree       a pristine kernel source, KEY being its content
//	build/KEY/tree     a work tree: hard links to a source, patched files, and
//	                   the object directory inside (relative paths in Kbuild's
//	                   .cmd files are what makes objects reusable elsewhere)
//	kernels/KEY        a result, with meta.json; appears by rename when whole
//	initramfs/KEY.cpio
//	guests/KEY         a booted guest, saved (vm.Snapshot); by the same rules
//	debian/            what came from Debian's mirrors, and apt's private state
//	locks/ logs/ stat/
//
// A name that ends in ".part" is unfinished, belongs to the holder of the lock
// of the same name, and may be removed by the next one.
package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"plugstorm/harness/blame"
)

// A Store is the cache and the workshop in it. Its methods may be called
// concurrently, by several processes too; who wants what another one is
// building waits for it. Fields are not changed after the first call.
type Store struct {
	Dir      string    // <cache>/plugstorm; made if need be
	Modules  fs.FS     // our kernel modules, each NAME.c or NAME/*.c; nil for none
	Progress Progress  // nil for silence
	Log      io.Writer // one line per step taken, for --verbose; nil for none

	// Env is the environment of the programs that we start; main hands
	// os.Environ() over. make sees PATH, HOME, TMPDIR and CCACHE_* of it only,
	// so that no KCFLAGS or CROSS_COMPILE of the user gets into a kernel.
	Env  []string
	Jobs int // make -j; 0 for the number of CPUs

	// KeepTrees is how many work trees (300 MB each) of patched kernels stay
	// around to be built upon, and how many of builds that were interrupted, to be
	// gone on with; 0 for 4. Kernels themselves stay until GC.
	KeepTrees int

	// GuestBytes bounds what saved guests take of the disk; 0 for 8 GiB.
	GuestBytes int64

	debianTarball string // tests only: instead of Debian's source package
}

// A Source says what to build a kernel from.
type Source struct {
	Tree    string   // a kernel tree of the user's, never modified; "" for Debian's linux-source-6.12
	Patches []string // patch files: patch -p1, git or mail format, mbox
	Plants  []string // names, or prefixes of names

	// Baseline says whether the baseline patches are applied first. nil means
	// that plants imply them: without them an unmodified 6.12 reports first,
	// lockdep is off then, and the plant drowns.
	Baseline *bool
}

// Options are choices beyond the source.
type Options struct {
	Features []string // see Features
}

// A Kernel is something that QEMU can boot. Paths are absolute, and empty for
// what doesn't exist.
type Kernel struct {
	Key     string
	Name    string // for people: "6.12.117 +s0a"
	Release string // uname -r
	Arch    string // name of an Arch

	Image     string // what QEMU boots
	Vmlinux   string
	SystemMap string
	Config    string
	Modules   map[string]string // name without .ko -> file; the kernel's own and ours

	Prebuilt bool
	Omitted  []string // what a prebuilt kernel goes without, for the report
}

// Progress is told how far a build is. Its methods are called from one
// goroutine at a time and must not block.
type Progress interface {
	// Stage begins the next stage. estimate is how long it took last time, or
	// a guess; 0 for too short to matter.
	Stage(name string, estimate time.Duration)
	// Fraction says how much of the stage is done, 0 to 1, never falling.
	Fraction(float64)
	// Line is something to know that isn't a stage ("waiting for ...").
	Line(string)
}

func (s *Store) stage(name string, estimate time.Duration) {
	if s.Progress != nil {
		s.Progress.Stage(name, estimate)
	}
	s.logf("%s", name)
}

func (s *Store) fraction(f float64) {
	if s.Progress != nil {
		s.Progress.Fraction(f)
	}
}

func (s *Store) line(format string, args ...any) {
	if s.Progress != nil {
		s.Progress.Line(fmt.Sprintf(format, args...))
	}
	s.logf(format, args...)
}

func (s *Store) logf(format string, args ...any) {
	if s.Log != nil {
		fmt.Fprintf(s.Log, format+"\n", args...)
	}
}

// path joins names below the cache directory.
func (s *Store) path(names ...string) string {
	return filepath.Join(append([]string{s.Dir}, names...)...)
}

func (s *Store) jobs() int {
	if s.Jobs > 0 {
		return s.Jobs
	}
	return runtime.NumCPU()
}

// badInPath are characters that make, Kbuild or a shell in between trips over.
const badInPath = " \t\n:#$%&;'\"`\\()*?[]<>|!,"

// prepare checks the cache directory and makes it.
func (s *Store) prepare() error {
	const next = "choose a cache directory with a plain absolute path"
	if !filepath.IsAbs(s.Dir) {
		return blame.Errorf(blame.User, next, "the cache directory %q is not an absolute path", s.Dir)
	}
	if i := strings.IndexAny(s.Dir, badInPath); i >= 0 {
		return blame.Errorf(blame.User, next,
			"the cache directory %q has the character %q in its path, which the kernel's build can't cope with", s.Dir, s.Dir[i])
	}
	for _, sub := range []string{"src", "build", "kernels", "initramfs", guestKind.dir, "debian", "locks", "logs", "stat"} {
		if err := os.MkdirAll(s.path(sub), 0o755); err != nil {
			return blame.On(blame.Host, fmt.Errorf("cache: %w", err), "make the cache directory writable, or choose another one")
		}
	}
	return nil
}

// replace has dir+".part" filled, and renames it to dir when it succeeds.
// The caller holds the lock of dir.
func replace(dir string, fill func(part string) error) error {
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	if err := os.MkdirAll(part, 0o755); err != nil {
		return err
	}
	if err := fill(part); err != nil {
		return errors.Join(err, os.RemoveAll(part))
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(part, dir)
}

// writeFile writes a file so that nobody ever sees half of it.
func writeFile(file string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*.part")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // gone already when all went well
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}

// exists reports whether a file is there, whatever it is.
func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}

// ended returns why a context is over, nil if it isn't. The error is the
// context's own and its cause.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if err == nil || errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}
