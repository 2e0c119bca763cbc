// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"plugstorm": main})
}

// TestScripts runs the command as its users do, in an empty directory with an
// empty cache. The scripts read as a manual of what it says to whom, and with
// which exit code.
//
// $PLUGSTORM is the directory of the command, $QEMU one of emulators that only
// know their version, 10.0.2. PATH holds both and the host's own programs.
func TestScripts(t *testing.T) {
	plugstorm, err := exec.LookPath("plugstorm")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			dir := filepath.Dir(plugstorm)
			qemu := filepath.Join(e.WorkDir, ".qemu")
			e.Setenv("PLUGSTORM", dir)
			e.Setenv("QEMU", qemu)
			e.Setenv("PATH", dir+":"+qemu+":/usr/bin:/bin")
			e.Setenv("HOME", filepath.Join(e.WorkDir, ".home"))
			e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, ".cache"))
			return writeEmulators(qemu)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		Condition: func(name string) (bool, error) {
			if name != "root" {
				return false, fmt.Errorf("unknown condition %s", name)
			}
			return os.Geteuid() == 0, nil
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// writeEmulators writes programs that answer --version as QEMU does.
func writeEmulators(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"qemu-system-x86_64", "qemu-system-ppc64"} {
		const text = "#!/bin/sh\necho 'QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)'\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// exits is the scripts' command "exits CODE COMMAND ARGS...": the command must
// exit with that code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}
