// SPDX-License-Identifier: Apache-2.0

package qmp_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	goqemu "github.com/digitalocean/go-qemu/qemu"

	"plugstorm/harness/blame"
	"plugstorm/harness/qmp"
)

// startQEMU starts a real QEMU without a machine and connects to it.
func startQEMU(t *testing.T) (*exec.Cmd, *qmp.Conn) {
	t.Helper()
	const emulator = "qemu-system-x86_64"
	if _, err := exec.LookPath(emulator); err != nil {
		t.Skip(emulator + " is not installed; apt-get install qemu-system-x86")
	}
	path := filepath.Join(t.TempDir(), "qmp")
	cmd := exec.CommandContext(t.Context(), emulator, "-machine", "none", "-S", "-nodefaults", "-display", "none",
		"-qmp", "unix:"+path+",server=on,wait=off")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait() // its error is the kill's
	})
	c, err := qmp.Dial(within(t, patience), path)
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		t.Fatalf("%v\n%s", err, &output)
	}
	t.Cleanup(func() { c.Close() })
	return cmd, c
}

func TestRealQEMU(t *testing.T) {
	_, c := startQEMU(t)
	ctx := within(t, patience)
	events := c.Watch(t.Context())

	var schema json.RawMessage
	if err := c.Do(ctx, "query-qmp-schema", nil, &schema); err != nil {
		t.Fatal(err)
	}
	if len(schema) <= 64<<10 || !json.Valid(schema) {
		t.Errorf("the schema has %d bytes", len(schema))
	}
	if s, err := qmp.QueryStatus(ctx, c); err != nil || s.Running {
		t.Errorf("status is %+v, %v", s, err)
	}
	var refusal *qmp.Error
	if err := qmp.DeviceDel(ctx, c, "nothing"); !errors.As(err, &refusal) || refusal.Class != "DeviceNotFound" {
		t.Errorf("deleting nothing: %v", err)
	}
	if err := qmp.ObjectAdd(ctx, c, "memory-backend-ram", "m1", map[string]any{"size": 1 << 20}); err != nil {
		t.Error(err)
	}
	if err := qmp.ObjectDel(ctx, c, "m1"); err != nil {
		t.Error(err)
	}
	if err := qmp.Quit(ctx, c); err != nil {
		t.Error(err)
	}
	e, ok := <-events
	if v, err := e.Decode(); !ok || err != nil || v != (qmp.Shutdown{Reason: "host-qmp-quit"}) {
		t.Errorf("event is %v (%v), %v", e, v, err)
	}
	checkEnded(t, c, qmp.ErrGone)
}

func TestRealQEMUThroughGoQEMU(t *testing.T) {
	_, c := startQEMU(t)
	d, err := goqemu.NewDomain(qmp.AsGoQEMU(within(t, patience), c), "plugstorm")
	if err != nil {
		t.Fatal(err)
	}
	if v, err := d.Version(); err != nil || v != c.Version().String() {
		t.Errorf("version is %q, %v; the greeting said %v", v, err, c.Version())
	}
	if s, err := d.Status(); err != nil || s != goqemu.StatusPreLaunch {
		t.Errorf("status is %v, %v", s, err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	checkError(t, c.Err(), qmp.ErrClosed, blame.Harness)
}

func TestRealQEMUKilled(t *testing.T) {
	cmd, c := startQEMU(t)
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() { result <- qmp.Stop(within(t, patience), c) }()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	checkError(t, <-result, qmp.ErrGone, blame.Hypervisor)
	checkEnded(t, c, qmp.ErrGone)
}
