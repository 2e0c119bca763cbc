// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"path/filepath"

	"golang.org/x/term"

	"plugstorm/harness/blame"
	"plugstorm/images"
	"plugstorm/workloads"
)

// An app is the command's surroundings: everything that comes from the
// environment is read here and nowhere else.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	ui             *ui
	color          bool   // stdout is a terminal that may be coloured
	cache          string // our cache directory
	env            []string
	interactive    bool // somebody can be asked
	root           bool // packages can be installed
}

func newApp() *app {
	terminal := term.IsTerminal(int(os.Stderr.Fd())) && os.Getenv("TERM") != "dumb"
	plain := os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" // https://no-color.org
	return &app{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		ui:          newUI(os.Stderr, terminal, terminal && !plain),
		color:       term.IsTerminal(int(os.Stdout.Fd())) && !plain,
		cache:       cacheDir(),
		env:         os.Environ(),
		interactive: terminal && term.IsTerminal(int(os.Stdin.Fd())),
		root:        os.Geteuid() == 0,
	}
}

// cacheDir is ${XDG_CACHE_HOME:-~/.cache}/plugstorm, or "" without a home.
func cacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "plugstorm")
}

// store opens the cache of kernels and initramfs images.
func (a *app) store() (*images.Store, error) {
	if a.cache == "" {
		return nil, blame.Errorf(blame.Host, "set XDG_CACHE_HOME", "neither XDG_CACHE_HOME nor HOME is set, so there is no place for the cache")
	}
	return &images.Store{Dir: a.cache, Modules: workloads.Modules, Progress: a.ui, Env: a.env}, nil
}
