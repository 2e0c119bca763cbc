// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
)

const patience = time.Minute

// TestMain lets the test binary be what the agent starts: itself.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == childCommand {
		os.Exit(workloadMain(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

// processes are the test binary's: several agents share them.
var processes = sync.OnceValue(newChildren)

// Workloads that need no kernel, each with one way to end.
var (
	_ = agent.Workloads.Register(&agent.Workload{Name: "test-works", Doc: "counts until it is stopped",
		Run: func(ctx context.Context, p agent.Params, m agent.Meter) error {
			for range p.Options["rounds"] {
				m.Done()
			}
			m.Refused(unix.EBUSY)
			<-ctx.Done()
			return nil
		}})
	_ = agent.Workloads.Register(&agent.Workload{Name: "test-fails", Doc: "ends by itself",
		Run: func(context.Context, agent.Params, agent.Meter) error { return errors.New("no more") }})
	_ = agent.Workloads.Register(&agent.Workload{Name: "test-panics", Doc: "panics",
		Run: func(context.Context, agent.Params, agent.Meter) error { panic("out of luck") }})
	_ = agent.Workloads.Register(&agent.Workload{Name: "test-deaf", Doc: "doesn't end when it is asked to",
		Run: func(_ context.Context, _ agent.Params, m agent.Meter) error { m.Done(); select {} }})
	_ = agent.Workloads.Register(&agent.Workload{Name: "test-module", Doc: "needs a module",
		Modules: []string{"plugstorm_nowhere"},
		Run:     func(context.Context, agent.Params, agent.Meter) error { return nil }})
)

// A guest is an agent with a tree of its own, and the host's end of its port.
type guest struct {
	*agent.Client
	t       *testing.T
	agent   *guestAgent
	root    string
	console string
	events  chan agent.Reply
}

// newGuest starts an agent, after before has made what its kernel shows at boot.
func newGuest(t *testing.T, before ...func(*guest)) *guest {
	t.Helper()
	root := t.TempDir()
	host, port := net.Pipe()
	log := filepath.Join(root, "console")
	file, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	g := &guest{t: t, root: root, console: log, events: make(chan agent.Reply, 1000)}
	for _, prepare := range before {
		prepare(g)
	}
	g.agent = newAgent(root, port, &console{file}, processes())
	g.agent.transport = serialTransport
	g.Client = agent.NewClient(host, agent.OnEvent(func(r agent.Reply) { g.events <- r }))
	served := make(chan string, 1)
	go func() { served <- g.agent.serve() }()
	t.Cleanup(func() {
		g.Close()
		select {
		case <-served:
		case <-time.After(patience):
			t.Error("the agent outlives its port")
		}
	})
	return g
}

// file makes a file below the guest's root.
func (g *guest) file(path, text string) string {
	g.t.Helper()
	path = filepath.Join(g.root, path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		g.t.Fatal(err)
	}
	return path
}

func (g *guest) call(method string, params, reply any) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return g.Call(ctx, method, params, reply)
}

func (g *guest) must(method string, params, reply any) {
	g.t.Helper()
	if err := g.call(method, params, reply); err != nil {
		g.t.Fatalf("%s: %v", method, err)
	}
}

// refuses wants the guest's own error, with this errno.
func (g *guest) refuses(errno, method string, params any) {
	g.t.Helper()
	err := g.call(method, params, nil)
	var refused *agent.Error
	if !errors.As(err, &refused) || refused.Errno != errno {
		g.t.Errorf("%s: got %v, want an *agent.Error with errno %q", method, err, errno)
	}
}

func (g *guest) memoryTree() {
	g.file("sys/devices/system/memory/block_size_bytes", "8000000\n")
	for _, id := range []string{"memory0", "memory2", "memory33"} {
		g.file("sys/devices/system/memory/"+id+"/state", "online\n")
	}
	g.file("sys/devices/system/memory/memory33/node1/x", "")
}

func TestHelloAndMissing(t *testing.T) {
	g := newGuest(t, func(g *guest) {
		g.memoryTree()
		g.file("lib/plugstorm/plugstorm_slab.ko", "")
		g.file("proc/lockdep", "")
		g.file("sys/fs/cgroup/cgroup.controllers", "cpuset memory\n")
	})
	var h agent.Hello
	g.must(agent.MethodHello, nil, &h)
	if h.Protocol != agent.ProtocolVersion || h.BlockBytes != 128<<20 || h.Transport != serialTransport || h.Release == "" || h.UptimeMS == 0 {
		t.Errorf("got %+v", h)
	}
	if !slices.Equal(h.Modules, []string{"plugstorm_slab"}) {
		t.Errorf("modules %q", h.Modules)
	}
	for feature, want := range map[string]bool{
		"memory hotplug": false, "lockdep": false, "cgroup cpuset": false, "cgroup memory": false,
		"cgroup pids": true, "CPU hotplug": true, "debugfs": true,
	} {
		if got := slices.Contains(h.Missing, feature); got != want {
			t.Errorf("missing %q: %v, want %v (%q)", feature, got, want, h.Missing)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if event, err := g.Hello(ctx); err != nil || event.Protocol != agent.ProtocolVersion {
		t.Errorf("the event: %+v, %v", event, err)
	}
}

func TestMemory(t *testing.T) {
	g := newGuest(t)
	g.refuses("", agent.MethodMemory, agent.MemoryParams{})
	g.memoryTree()
	var all, gap, dimm agent.MemoryReply
	g.must(agent.MethodMemory, agent.MemoryParams{}, &all)
	if !all.Present || len(all.Blocks) != 3 {
		t.Errorf("all of memory: %+v", all)
	}
	g.must(agent.MethodMemory, agent.MemoryParams{Start: 0, Size: 3 * 128 << 20}, &gap)
	if gap.Present || len(gap.Blocks) != 2 {
		t.Errorf("a range with a gap: %+v", gap)
	}
	g.must(agent.MethodMemory, agent.MemoryParams{Start: 33 * 128 << 20, Size: 128 << 20}, &dimm)
	want := agent.Block{ID: 33, State: "online"}
	if !dimm.Present || len(dimm.Blocks) != 1 || dimm.Blocks[0] != want {
		t.Errorf("one block: %+v, want %+v", dimm, want)
	}
	var many agent.MemoryReply
	if g.must(agent.MethodMemory, agent.MemoryParams{Start: 128 << 20, Size: 100 * 128 << 20}, &many); many.Present || len(many.Blocks) != 2 {
		t.Errorf("a large range: %+v", many)
	}
	g.refuses("", agent.MethodMemory, agent.MemoryParams{Start: ^uint64(0), Size: 2})
}

func TestSetBlock(t *testing.T) {
	g := newGuest(t)
	g.memoryTree()
	g.must(agent.MethodSetBlock, agent.SetBlockParams{ID: 33, Via: "state", Value: "offline"}, nil)
	text, err := os.ReadFile(filepath.Join(g.root, "sys/devices/system/memory/memory33/state"))
	if err != nil || !strings.HasPrefix(string(text), "offline") {
		t.Errorf("the attribute holds %q, %v", text, err)
	}
	g.refuses("ENOENT", agent.MethodSetBlock, agent.SetBlockParams{ID: 4, Via: "state", Value: "offline"})
	g.refuses("", agent.MethodSetBlock, agent.SetBlockParams{ID: 33, Via: "../../x", Value: "offline"})
	g.refuses("", agent.MethodSetBlock, agent.SetBlockParams{ID: 33, Via: "online", Value: "offline"})
}

// TestStuckWrite has one request that sticks, and others that go on meanwhile.
func TestStuckWrite(t *testing.T) {
	g := newGuest(t)
	path := filepath.Join(g.root, "sys/devices/system/memory/memory5/state")
	fifo := fillFIFO(t, path)
	stuck := make(chan error, 1)
	go func() {
		stuck <- g.call(agent.MethodSetBlock, agent.SetBlockParams{ID: 5, Via: "state", Value: "offline", LimitMS: 2 * patience.Milliseconds()}, nil)
	}()
	g.must(agent.MethodPing, nil, nil)
	select {
	case err := <-stuck:
		t.Fatalf("the write didn't stick: %v", err)
	default:
	}
	if _, err := unix.Read(fifo, make([]byte, 8192)); err != nil { // room for it
		t.Fatal(err)
	}
	if err := <-stuck; err != nil {
		t.Errorf("with room for it: %v", err)
	}
}

func TestWriteBeyondItsLimit(t *testing.T) {
	g := newGuest(t)
	fillFIFO(t, filepath.Join(g.root, "sys/devices/system/memory/memory5/state"))
	g.refuses("EINTR", agent.MethodSetBlock, agent.SetBlockParams{ID: 5, Via: "state", Value: "offline", LimitMS: 50})
}

// fillFIFO makes a FIFO at path that takes no more bytes, and returns its file
// descriptor.
func fillFIFO(t *testing.T, path string) int {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), unix.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	for err == nil {
		_, err = unix.Write(fd, make([]byte, 4096))
	}
	if !errors.Is(err, unix.EAGAIN) {
		t.Fatal(err)
	}
	return fd
}

func TestCPUs(t *testing.T) {
	g := newGuest(t)
	g.refuses("ENOENT", agent.MethodCPUs, agent.CPUsParams{})
	g.file("sys/devices/system/cpu/possible", "0-3\n")
	g.file("sys/devices/system/cpu/present", "0-1\n")
	g.file("sys/devices/system/cpu/online", "0\n")
	g.file("sys/devices/system/cpu/cpu1/physical_id", "0x8\n")
	online := g.file("sys/devices/system/cpu/cpu1/online", "0\n")
	var r agent.CPUsReply
	g.must(agent.MethodCPUs, agent.CPUsParams{}, &r)
	if len(r.Possible) != 4 || len(r.Present) != 2 || len(r.Online) != 1 || r.Hardware[1] != 8 || len(r.Hardware) != 1 {
		t.Errorf("got %+v", r)
	}
	g.must(agent.MethodSetCPU, agent.SetCPUParams{CPU: 1, Online: true, LimitMS: 1000}, nil)
	if text, _ := os.ReadFile(online); !strings.HasPrefix(string(text), "1") {
		t.Errorf("the attribute holds %q", text)
	}
	g.refuses("ENOENT", agent.MethodSetCPU, agent.SetCPUParams{CPU: 7})
	g.refuses("", agent.MethodSetCPU, agent.SetCPUParams{CPU: -1})
}

func TestFiles(t *testing.T) {
	g := newGuest(t)
	big := g.file("big", strings.Repeat("[<ffff>] -> & lock\n", 100_000))
	var r agent.FileReply
	g.must(agent.MethodReadFile, agent.FileParams{Path: big}, &r)
	if len(r.Data) != readDefault {
		t.Errorf("read %d bytes by default", len(r.Data))
	}
	g.must(agent.MethodReadFile, agent.FileParams{Path: big, Max: 1 << 30}, &r)
	if len(r.Data) != 1_900_000 {
		t.Errorf("read %d bytes", len(r.Data))
	}
	binary := g.file("binary", strings.Repeat("\x00", 1<<20)) // six times as long in JSON
	g.refuses("", agent.MethodReadFile, agent.FileParams{Path: binary, Max: 1 << 30})
	small := g.file("small", "")
	g.must(agent.MethodWriteFile, agent.FileParams{Path: small, Data: "w"}, nil)
	if text, _ := os.ReadFile(small); string(text) != "w" {
		t.Errorf("wrote %q", text)
	}
	g.refuses("ENOENT", agent.MethodReadFile, agent.FileParams{Path: big + "ger"})
	g.refuses("ENOENT", agent.MethodWriteFile, agent.FileParams{Path: big + "ger"})
}

func TestModulesByNameOnly(t *testing.T) {
	g := newGuest(t)
	g.refuses("", agent.MethodLoadModule, agent.ModuleParams{Name: "../../etc/passwd"})
	g.refuses("ENOENT", agent.MethodLoadModule, agent.ModuleParams{Name: "plugstorm_nowhere"})
	g.refuses("", agent.MethodUnloadModule, agent.ModuleParams{Name: "a b"})
}

func TestJunkOnThePort(t *testing.T) {
	g := newGuest(t)
	g.refuses("", "no-such-method", nil)
	g.refuses("", agent.MethodSetCPU, "not an object")
}

func TestPanicOfAMethod(t *testing.T) {
	methods["test-panic"] = bare(func(*guestAgent) (any, error) { panic("oh") })
	defer delete(methods, "test-panic")
	g := newGuest(t)
	g.refuses("", "test-panic", nil)
	g.must(agent.MethodPing, nil, nil)
	if log, _ := os.ReadFile(g.console); !strings.Contains(string(log), "plugstorm: agent panic: oh") {
		t.Errorf("the console says %q", log)
	}
}

func TestHeartbeats(t *testing.T) {
	g := newGuest(t)
	late := time.After(patience)
	for {
		select {
		case r := <-g.events:
			if r.Event != agent.EventHeartbeat {
				continue
			}
			var beat agent.Heartbeat
			if err := json.Unmarshal(r.Result, &beat); err != nil || beat.Seq == 0 || beat.FreeKiB == 0 || beat.UptimeMS == 0 {
				t.Errorf("got %+v, %v", beat, err)
			}
			return
		case <-late:
			t.Fatal("no heartbeat")
		}
	}
}

func TestPowerOff(t *testing.T) {
	g := newGuest(t)
	off := make(chan struct{})
	g.agent.powerOff = func() error { close(off); return nil }
	g.must(agent.MethodPowerOff, nil, nil)
	select {
	case <-off:
	case <-time.After(patience):
		t.Error("no power off")
	}
}
