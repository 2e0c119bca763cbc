// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"plugstorm/harness/agent"
)

func startParams(id, name string) agent.StartWorkloadParams {
	return agent.StartWorkloadParams{ID: id, Name: name, Params: agent.Params{Options: map[string]int64{"rounds": 5}}}
}

// ended waits for the event that a workload has ended by itself.
func (g *guest) ended() agent.WorkloadStats {
	g.t.Helper()
	late := time.After(patience)
	for {
		select {
		case r := <-g.events:
			if r.Event != agent.EventWorkloadEnd {
				continue
			}
			var stats agent.WorkloadStats
			if err := json.Unmarshal(r.Result, &stats); err != nil {
				g.t.Error(err)
			}
			return stats
		case <-late:
			g.t.Fatal("no workload has ended")
		}
	}
}

// counted waits until a workload's counts have arrived, which they do twice a
// second. Before that, a stop may find a process that isn't set up yet.
func (g *guest) counted(id string, rounds uint64) {
	g.t.Helper()
	g.agent.work.mu.Lock()
	i := g.agent.work.instances[id]
	g.agent.work.mu.Unlock()
	for late := time.Now().Add(patience); i.stats().Rounds < rounds; {
		if time.Now().After(late) {
			g.t.Fatalf("workload %s counts %+v", id, i.stats())
		}
	}
}

func TestWorkloadStartsAndStops(t *testing.T) {
	g := newGuest(t)
	g.must(agent.MethodStartWorkload, startParams("a", "test-works"), nil)
	g.refuses("", agent.MethodStartWorkload, startParams("a", "test-works")) // the ID is taken
	g.must(agent.MethodStartWorkload, startParams("b", "test-works"), nil)
	if n := g.agent.work.running(); n != 2 {
		t.Errorf("%d are running", n)
	}
	g.counted("a", 5)
	var stats agent.WorkloadStats
	g.must(agent.MethodStopWorkload, agent.StopWorkloadParams{ID: "a", LimitMS: 10_000}, &stats)
	want := agent.WorkloadStats{ID: "a", Name: "test-works", Rounds: 5, Refused: 1}
	if stats != want {
		t.Errorf("got %+v, want %+v", stats, want)
	}
	g.must(agent.MethodStopWorkload, agent.StopWorkloadParams{ID: "b", LimitMS: 10_000}, &stats)
	if n := g.agent.work.running(); n != 0 {
		t.Errorf("%d are running after their stop", n)
	}
	g.refuses("", agent.MethodStopWorkload, agent.StopWorkloadParams{ID: "a"})
	g.must(agent.MethodStartWorkload, startParams("a", "test-works"), nil) // the ID is free again
	g.must(agent.MethodStopWorkload, agent.StopWorkloadParams{ID: "a", LimitMS: 10_000}, &stats)
}

func TestWorkloadRefused(t *testing.T) {
	g := newGuest(t)
	g.refuses("", agent.MethodStartWorkload, startParams("a", "no-such-workload"))
	g.refuses("", agent.MethodStartWorkload, startParams("", "test-works"))
	g.refuses("ENOENT", agent.MethodStartWorkload, startParams("a", "test-module"))
	if n := g.agent.work.running(); n != 0 {
		t.Errorf("%d are running", n)
	}
}

func TestWorkloadEndsByItself(t *testing.T) {
	g := newGuest(t)
	g.must(agent.MethodStartWorkload, startParams("f", "test-fails"), nil)
	if stats := g.ended(); stats.ID != "f" || stats.Error != "no more" {
		t.Errorf("got %+v", stats)
	}
	g.must(agent.MethodStartWorkload, startParams("p", "test-panics"), nil)
	if stats := g.ended(); stats.ID != "p" || !strings.Contains(stats.Error, "panic: out of luck") {
		t.Errorf("got %+v", stats)
	}
	var stats agent.WorkloadStats // stays known until it is stopped
	g.must(agent.MethodStopWorkload, agent.StopWorkloadParams{ID: "p"}, &stats)
	if !strings.Contains(stats.Error, "panic: out of luck") {
		t.Errorf("after the stop: %+v", stats)
	}
}

func TestDeafWorkloadIsKilled(t *testing.T) {
	g := newGuest(t)
	g.must(agent.MethodStartWorkload, startParams("d", "test-deaf"), nil)
	g.counted("d", 1)
	var stats agent.WorkloadStats
	g.must(agent.MethodStopWorkload, agent.StopWorkloadParams{ID: "d", LimitMS: 50}, &stats)
	if stats.Rounds != 1 || stats.Error != "" {
		t.Errorf("got %+v", stats)
	}
	if log, _ := os.ReadFile(g.console); !strings.Contains(string(log), "workload d doesn't stop") {
		t.Errorf("the console says %q", log)
	}
}

// TestStrangersAreReaped: a child that nobody has registered is reaped without
// disturbing those that are.
func TestStrangersAreReaped(t *testing.T) {
	c := processes()
	stranger := exec.Command("/bin/true")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	ours, err := c.start([]string{"/init", childCommand, "no-such-workload", "{}"}, []uintptr{null.Fd(), null.Fd(), null.Fd()})
	if err != nil {
		t.Fatal(err)
	}
	if !waitFor(ours.done, patience) {
		t.Fatal("our child isn't reaped")
	}
	if ours.status.ExitStatus() != 1 { // it had nowhere to write its counts
		t.Errorf("exit status %d", ours.status.ExitStatus())
	}
	for late := time.Now().Add(patience); ; {
		_, err := os.Stat(filepath.Join("/proc", strconv.Itoa(stranger.Process.Pid)))
		if os.IsNotExist(err) {
			break
		}
		if time.Now().After(late) {
			t.Fatal("the stranger is still a zombie")
		}
	}
}

func TestKernelStack(t *testing.T) {
	proc := t.TempDir()
	for task, text := range map[string][2]string{
		"7": {"[<0>] epoll_wait\n", "S (sleeping)"},
		"8": {"[<0>] percpu_rwsem_wait\n[<0>] mem_hotplug_begin\n", "D (disk sleep)"},
		"9": {"\n", "R (running)"},
	} {
		dir := filepath.Join(proc, "7/task", task)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(
			os.WriteFile(filepath.Join(dir, "stack"), []byte(text[0]), 0o644),
			os.WriteFile(filepath.Join(dir, "status"), []byte("Name:\texe\nState:\t"+text[1]+"\n"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	got := kernelStack(proc, 7)
	if !strings.Contains(got, "mem_hotplug_begin") || strings.Contains(got, "epoll_wait") {
		t.Errorf("got %q, want the thread in D state only", got)
	}
	if got := kernelStack(proc, 12); !strings.Contains(got, "no kernel stack") {
		t.Errorf("of no process: %q", got)
	}
}

func TestDies(t *testing.T) {
	open, closed := make(chan struct{}), make(chan struct{})
	close(closed)
	still := func() string { return "3 4" }
	if dies(open, still, time.Millisecond) {
		t.Error("a process that spends no CPU time and doesn't end is not stuck")
	}
	if !dies(closed, still, time.Hour) {
		t.Error("a process that has ended is stuck")
	}
	slow, looks := make(chan struct{}), 0
	moves := func() string {
		if looks++; looks == 4 {
			close(slow)
		}
		return strconv.Itoa(looks)
	}
	if !dies(slow, moves, time.Millisecond) {
		t.Error("a process that spends CPU time until it ends is stuck")
	}
}

func TestSpentTime(t *testing.T) {
	proc := t.TempDir()
	for pid, stat := range map[string]string{
		"7": "7 (a) b (c) R 1 7 7 0 -1 64 10 0 0 0 31 62 0 0 20 0 3 0 1 2 3",
		"8": "8 (cut) R 1",
	} {
		if err := os.MkdirAll(filepath.Join(proc, pid), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(proc, pid, "stat"), []byte(stat), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for pid, want := range map[int]string{7: "31 62", 8: "", 9: ""} {
		if got := spentTime(proc, pid); got != want {
			t.Errorf("process %d has spent %q, want %q", pid, got, want)
		}
	}
	if spentTime("/proc", os.Getpid()) == "" {
		t.Error("nothing is known of a process that runs")
	}
}
