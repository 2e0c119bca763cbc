// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/console"
	"plugstorm/harness/qmp"
	"plugstorm/harness/qmp/qmptest"
)

// fakeMode is the environment variable that makes the test binary play QEMU,
// or a controller. A child inherits it.
const fakeMode = "PLUGSTORM_TEST_QEMU"

func TestMain(m *testing.M) {
	switch mode := os.Getenv(fakeMode); mode {
	case "":
		os.Exit(m.Run())
	case "controller":
		controller()
	default:
		fakeQEMU(mode, os.Args[1:])
	}
}

// fakeQEMU does what QEMU does with its sockets, in the current directory.
func fakeQEMU(mode string, args []string) {
	data, err := json.Marshal(args)
	check(err)
	check(os.WriteFile("args.json", data, 0o644))
	switch mode {
	case "args":
		return
	case "exits":
		fmt.Fprintln(os.Stderr, "qemu: -machine q36: unsupported machine type")
		os.Exit(1)
	case "hangs":
		select {}
	}
	check(os.WriteFile(ConsoleLog, []byte("Booting Linux\n"), 0o644))
	channel, spare := agentSocket, spareSocket
	if mode == "spare" {
		channel, spare = spare, channel
	}
	listen(spare, func(net.Conn) { select {} })
	listen(channel, func(c net.Conn) { fakeAgent(mode, c) })
	listen(consoleSocket, func(c net.Conn) { fakeConsole(mode, c) })
	_, err = qmptest.Listen(qmpSocket, func(p *qmptest.Peer) error { return fakeMonitor(mode, p) })
	check(err)
	select {}
}

func fakeMonitor(mode string, p *qmptest.Peer) error {
	if mode == "deaf" {
		select {}
	}
	if err := p.Greet(); err != nil {
		return err
	}
	return p.Serve(func(c qmptest.Command) (any, error) {
		switch {
		case c.Execute == "quit" && mode == "stubborn":
		case c.Execute == "quit":
			fmt.Fprintln(os.Stderr, "qemu: terminating on quit")
			defer os.Exit(0)
			return struct{}{}, p.Return(c, struct{}{})
		case c.Execute == "stop" && mode == "aborts":
			abort()
		case strings.HasPrefix(c.Execute, "migrate"):
			return fakeMigration(mode, p, c)
		case c.Execute == "chardev-send-break":
			typed([]byte("<break>"))
		case c.Execute == "query-status":
			return qmp.Status{Status: "running", Running: true}, nil
		}
		return struct{}{}, nil
	})
}

// toldFile is where a fake QEMU notes what it was told about migration.
const toldFile = "told"

// fakeMigration reads and saves states, as far as QMP shows it: a state that is
// saved is what it was told so far. Mode "shares" does, others fail.
func fakeMigration(mode string, p *qmptest.Peer, c qmptest.Command) (any, error) {
	var args struct {
		URI          string
		Capabilities []struct{ Capability string }
	}
	if len(c.Arguments) > 0 {
		check(json.Unmarshal(c.Arguments, &args))
	}
	file := strings.TrimPrefix(args.URI, "file:")
	told, err := os.OpenFile(toldFile, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	check(err)
	defer told.Close()
	for _, each := range args.Capabilities {
		fmt.Fprintln(told, "capability", each.Capability)
	}
	status := ""
	switch c.Execute {
	case "migrate-incoming":
		if mode == "refuses" {
			return nil, &qmp.Error{Class: "GenericError", Desc: "not now"}
		}
		state, err := os.ReadFile(file)
		check(err)
		fmt.Fprintln(told, "incoming", string(state))
		status = "completed"
	case "migrate":
		text, err := os.ReadFile(toldFile)
		check(err)
		check(os.WriteFile(file, text, 0o644))
		status = "completed"
	}
	if status == "" {
		return struct{}{}, nil
	}
	if mode != "shares" {
		status = "failed"
	}
	return struct{}{}, p.Emit(qmp.EventMigration, map[string]string{"status": status})
}

// abort dies as QEMU does of an assertion. Go would turn SIGABRT into an exit.
func abort() {
	for range 8 {
		fmt.Fprintln(os.Stderr, "qemu: warning: TCG doesn't support requested feature: CPUID.01H:ECX.pcid [bit 17]")
	}
	fmt.Fprintln(os.Stderr, "\nERROR:../tcg/tcg.c:1040:tcg_register_thread: assertion failed: (n < tcg_max_ctxs)")
	check(syscall.Exec("/bin/sh", []string{"sh", "-c", "kill -ABRT $$"}, nil))
}

func fakeAgent(mode string, c net.Conn) {
	lines := agent.NewLineReader(c)
	for {
		line, err := lines.Next()
		if err != nil {
			return
		}
		var request agent.Request
		if mode == "mute" || json.Unmarshal(line, &request) != nil {
			continue
		}
		hello, err := agent.EncodeRaw(agent.Hello{Protocol: agent.ProtocolVersion, Release: "6.12.0-fake"})
		check(err)
		for _, reply := range []agent.Reply{{ID: request.ID, Result: hello}, {Event: agent.EventHeartbeat, Result: []byte(`{"seq":1}`)}} {
			line, err := agent.EncodeLine(reply)
			check(err)
			if _, err := c.Write(line); err != nil {
				return
			}
		}
	}
}

// fakeConsole keeps what is typed, and echoes it.
func fakeConsole(mode string, c net.Conn) {
	var key [16]byte
	for {
		n, err := c.Read(key[:])
		if err != nil {
			return
		}
		typed(key[:n])
		if mode != "mute" {
			_, _ = c.Write(key[:n])
		}
	}
}

const typedFile = "typed"

func typed(keys []byte) {
	f, err := os.OpenFile(typedFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	check(err)
	_, err = f.Write(keys)
	check(err)
	check(f.Close())
}

// listen makes a socket and serves its clients from then on.
func listen(path string, serve func(net.Conn)) {
	l, err := net.Listen("unix", path)
	check(err)
	go func() {
		for {
			c, err := l.Accept()
			check(err)
			go serve(c)
		}
	}()
}

// check ends a fake whose world has broken.
func check(err error) {
	if err != nil {
		panic(err)
	}
}

// controller starts a fake QEMU and lives until it is killed.
func controller() {
	check(os.Setenv(fakeMode, "well"))
	_, err := startProcess(os.Args[1], os.Args[0], nil)
	check(err)
	select {}
}

// testMachine has one vCPU and little memory.
var testMachine = &Machine{
	Name: "test", Type: "q35", CPU: map[Accel]string{TCG: "max", KVM: "host"}, Console: "ttyS0", Spare: "ttyS1",
	VirtioPort: "virtio-serial-pci", MemMiB: 64, MaxMemMiB: 128, DIMM: DIMMGeometry{UnitMiB: 128, Slots: 1, Node: 1},
	VCPU: VCPUModel{SMP: "1,maxcpus=%d", Boot: 1, Max: 1}, BootReference: time.Hour,
}

// patience ends a test that hangs; no test passes by waiting for it.
const patience = time.Minute

// A recorder is a guest's console and its agent's events.
type recorder struct {
	mu     sync.Mutex
	text   strings.Builder
	events chan agent.Reply
}

func (r *recorder) console(c console.Chunk) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.Offset != int64(r.text.Len()) {
		return fmt.Errorf("a piece at %d follows %d bytes", c.Offset, r.text.Len())
	}
	r.text.Write(c.Data)
	return nil
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// fakeSpec is a guest on a fake QEMU. It sets the environment, so its test
// can't be parallel.
func fakeSpec(t *testing.T, mode string) (Spec, *recorder) {
	t.Helper()
	t.Setenv(fakeMode, mode)
	r := &recorder{events: make(chan agent.Reply, 16)}
	return Spec{
		Machine: testMachine, Accel: TCG, Emulator: executable(t), Kernel: "/k", Initramfs: "/i",
		Dir: filepath.Join(t.TempDir(), "guest"), Console: r.console, OnEvent: func(e agent.Reply) { r.events <- e },
	}, r
}

func executable(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func start(t *testing.T, s Spec) *VM {
	t.Helper()
	v, err := QEMU.Start(within(t, patience), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// await fails the test if c isn't closed in time.
func await(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-within(t, patience).Done():
		t.Fatalf("%s didn't happen", what)
	}
}
