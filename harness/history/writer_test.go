// SPDX-License-Identifier: Apache-2.0

package history_test

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"plugstorm/harness/blame"
	"plugstorm/harness/history"
)

// recordInto names the directory that a child process of TestKilled records
// into until it is killed.
const recordInto = "PLUGSTORM_TEST_RECORD_INTO"

func TestMain(m *testing.M) {
	if dir := os.Getenv(recordInto); dir != "" {
		fmt.Fprintln(os.Stderr, recordForEver(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// recorders is how many goroutines of the child record at once.
const recorders = 4

// recordForEver records steps and says which ones on stdout, each after Add
// has returned.
func recordForEver(dir string) error {
	w, err := history.Create(dir, time.Now())
	if err != nil {
		return err
	}
	c := history.Case{Version: history.Version}
	w.Add(history.Event{Type: history.RunStart, Case: &c})
	var all sync.WaitGroup
	for guest := 1; guest <= recorders; guest++ {
		all.Go(func() {
			for seq := 1; w.Err() == nil; seq++ {
				w.Add(history.Event{Type: history.StepEnd, Guest: guest, Seq: seq, Text: strings.Repeat("x", seq%5000)})
				fmt.Printf("%d %d\n", guest, seq)
			}
		})
	}
	all.Wait()
	return w.Err()
}

// TestKilled: what Add returned from survives a SIGKILL of the controller.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), recordInto+"="+dir)
	child.Stderr = os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	type key struct{ guest, seq int }
	var said []key
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var k key
		if _, err := fmt.Sscan(lines.Text(), &k.guest, &k.seq); err != nil {
			continue // the last line may be cut
		}
		said = append(said, k)
		if len(said) == 500 {
			_ = child.Process.Kill() // what it said until then is still to be read
		}
	}
	_ = child.Wait() // killed, as it must be
	if len(said) < 500 {
		t.Fatalf("the child ended by itself after %d events", len(said))
	}
	h, err := history.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	recorded := map[key]bool{}
	for _, e := range h.Events {
		recorded[key{e.Guest, e.Seq}] = true
	}
	for _, k := range said {
		if !recorded[k] {
			t.Errorf("event %d of recorder %d is lost", k.seq, k.guest)
		}
	}
	onlyHistory(t, dir)
}

// onlyHistory insists that a directory holds a history and nothing else.
func onlyHistory(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != history.File {
			t.Errorf("left behind: %s", e.Name())
		}
	}
}

// TestConcurrentAdds: lines never mix, and an event added before another one
// stands before it.
func TestConcurrentAdds(t *testing.T) {
	dir := t.TempDir()
	w, err := history.Create(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c := testCase()
	w.Add(history.Event{Type: history.RunStart, Case: &c})
	const each = 200
	var all sync.WaitGroup
	for guest := 1; guest <= 8; guest++ {
		all.Go(func() {
			for seq := 1; seq <= each; seq++ {
				w.Add(history.Event{Type: history.StepEnd, Guest: guest, Seq: seq, Text: strings.Repeat("y", 100*guest)})
			}
		})
	}
	all.Wait()
	if err := errors.Join(w.Err(), w.Close()); err != nil {
		t.Fatal(err)
	}
	h, err := history.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	last := map[int]int{}
	for _, e := range h.Events[1:] {
		if e.Seq != last[e.Guest]+1 {
			t.Fatalf("recorder %d: %d comes after %d", e.Guest, e.Seq, last[e.Guest])
		}
		last[e.Guest] = e.Seq
	}
	for guest, seq := range last {
		if seq != each {
			t.Errorf("recorder %d: %d events, want %d", guest, seq, each)
		}
	}
}

func TestCreateErrors(t *testing.T) {
	dir := write(t, everyType(t))
	if _, err := history.Create(dir, start); !errors.Is(err, fs.ErrExist) || blame.Of(err) != blame.Host {
		t.Errorf("a directory that holds one: %v", err)
	}
	if _, err := history.Read(dir); err != nil {
		t.Errorf("the history that was there has suffered: %v", err)
	}
	onlyHistory(t, dir)
	if _, err := history.Create(filepath.Join(dir, "missing"), start); !errors.Is(err, fs.ErrNotExist) || blame.Next(err) == "" {
		t.Errorf("no directory: %v", err)
	}
}

// smallDisk mounts a file system of some KiB.
func smallDisk(t *testing.T, kib int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dk", kib)); err != nil {
		t.Skipf("mounting a small tmpfs: %v", err) // writer_full_test.go injects the errors
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmounting %s: %v", dir, err)
		}
	})
	return dir
}

func TestFullDisk(t *testing.T) {
	dir := smallDisk(t, 1024)
	w, err := history.Create(dir, start)
	if err != nil {
		t.Fatal(err)
	}
	c := testCase()
	w.Add(history.Event{Type: history.RunStart, Case: &c})
	written := 1
	for ; w.Err() == nil; written++ {
		w.Add(history.Event{Type: history.Fault, Text: strings.Repeat("z", 4000)})
	}
	first := w.Err()
	if !errors.Is(first, syscall.ENOSPC) || blame.Of(first) != blame.Host || !strings.Contains(blame.Next(first), dir) {
		t.Errorf("%v, next: %s", first, blame.Next(first))
	}
	w.Add(history.Event{Type: history.GuestEnd, Text: "recording failed"})
	written++
	if err := w.Err(); err != first {
		t.Errorf("the first failure became %v", err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	h, err := history.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Events) != written || h.Cut {
		t.Errorf("%d events, cut %v; want all %d, the last one whole", len(h.Events), h.Cut, written)
	}
	if last := h.Events[len(h.Events)-1]; last.Type != history.GuestEnd {
		t.Errorf("the run's end is not recorded, but %s", last.Type)
	}
	onlyHistory(t, dir)
}

func TestNoRoomToBegin(t *testing.T) {
	dir := smallDisk(t, 128)
	if _, err := history.Create(dir, start); !errors.Is(err, syscall.ENOSPC) || blame.Of(err) != blame.Host || blame.Next(err) == "" {
		t.Errorf("%v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v %v", entries, err)
	}
}

// TestWriteFileIsAtomic: whoever reads the file meanwhile sees the old one or
// the new one, and a failure leaves the old one and nothing else.
func TestWriteFileIsAtomic(t *testing.T) {
	dir := smallDisk(t, 256)
	path := filepath.Join(dir, "report.txt")
	if err := history.WriteFile(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	err := history.WriteFile(path, make([]byte, 1<<20))
	if !errors.Is(err, syscall.ENOSPC) || blame.Of(err) != blame.Host {
		t.Errorf("%v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "old" {
		t.Errorf("%q, %v", data, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestWriteJSON(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "case.json")
	var readers sync.WaitGroup
	stop := make(chan struct{})
	if err := history.WriteJSON(path, map[string]int{"n": 0}); err != nil {
		t.Fatal(err)
	}
	readers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if data, err := os.ReadFile(path); err != nil || !strings.HasSuffix(string(data), "\n}\n") {
				t.Errorf("a reader sees %q, %v", data, err)
				return
			}
		}
	})
	for n := range 300 {
		if err := history.WriteJSON(path, map[string]any{"n": n, "long": strings.Repeat("x", 20000)}); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	readers.Wait()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info, err)
	}
	if err := history.WriteJSON(path, func() {}); err == nil {
		t.Error("a function was written as JSON")
	}
	if err := history.WriteJSON(filepath.Join(dir, "missing", "case.json"), 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
