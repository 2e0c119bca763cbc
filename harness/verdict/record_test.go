// SPDX-License-Identifier: Apache-2.0

package verdict_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/schedule"
	"plugstorm/harness/verdict"
)

const second = time.Second

// warning is a complaint of the kernel in fn, as a console has it.
func warning(fn string) string {
	return fmt.Sprintf(`[    4.941857][    T0] ------------[ cut here ]------------
[    4.942019][    T0] WARNING: CPU: 1 PID: 0 at arch/powerpc/mm/mmu_context.c:106 %[1]s+0x10c/0x12c
[    4.942505][    T0] Modules linked in:
[    4.942733][    T0] CPU: 1 UID: 0 PID: 0 Comm: swapper/1 Not tainted 6.12.117-plugstorm #1 
[    4.942986][    T0] NIP:  c00000000004ff94 LR: c00000000004ff7c CTR: c00000000008368c
[    4.944245][    T0] NIP [c00000000004ff94] %[1]s+0x10c/0x12c
[    4.944286][    T0] LR [c00000000004ff7c] %[1]s+0xf4/0x12c
[    4.944428][    T0] Call Trace:
[    4.944481][    T0] [c0000000035e9d90] [c00000000004ff7c] %[1]s+0xf4/0x12c (unreliable)
[    4.944596][    T0] [c0000000035e9de0] [c0000000000ccc14] idle_task_exit+0xb4/0xf4
[    4.944650][    T0] [c0000000035e9e20] [c0000000000836d0] pseries_cpu_offline_self+0x44/0x118
[    4.945763][    T0] ---[ end trace 0000000000000000 ]---
`, fn)
}

// bootLog is what a guest says that complains of nothing.
const bootLog = "[    0.000000][    T0] Linux version 6.12.117-plugstorm\n[    4.625983][   T64] plugstorm: heartbeat seq=1 up=4434ms\n"

// lostSight is lockdep's word that it is out of memory.
const lostSight = "[    5.000000][   T12] BUG: MAX_LOCKDEP_ENTRIES too low!\n[    5.000001][   T12] turning off the locking correctness validator.\n"

// hungTask is khungtaskd's report of one task.
const hungTask = "[   30.1][   T20] INFO: task kcompactd1:41 blocked for more than 10 seconds.\n" +
	"[   30.1][   T20]       Not tainted 6.12.117-plugstorm #1\n" +
	"[   30.1][   T20] \"echo 0 > /proc/sys/kernel/hung_task_timeout_secs\" disables this message.\n" +
	"[   30.1][   T20] task:kcompactd1      state:D stack:0     pid:41    tgid:41    ppid:2      flags:0x00004000\n" +
	"[   30.1][   T20] Call Trace:\n[   30.1][   T20]  <TASK>\n[   30.1][   T20]  __schedule+0x1/0x2\n[   30.1][   T20]  get_online_mems+0x1/0x2\n[   30.1][   T20]  kcompactd+0x1/0x2\n[   30.1][   T20]  </TASK>\n"

// step makes a step of a kind from the kind's arguments in JSON.
func step(lane, kind, args string) *schedule.Step {
	var s schedule.Step
	text := fmt.Sprintf(`{"lane":%q,"op":{"kind":%q,"args":%s}}`, lane, kind, args)
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		panic(err) // a mistake in a test
	}
	return &s
}

func addDIMM(id string) *schedule.Step {
	return step("dimm", "dimm-add", fmt.Sprintf(`{"id":%q,"mib":128,"node":1}`, id))
}

// A record is a run in the making. Its times are seconds since the start.
type record struct {
	events   []history.Event
	consoles map[int][]byte
	seq      int
}

// begin makes a record with its first event.
func begin() *record {
	c := history.Case{
		Version: history.Version, Machine: "pseries", Suite: "smoke", Seed: 1, Duration: time.Minute, Accel: "tcg", QEMU: "10.0.2",
		Kernel: history.Kernel{Name: "6.12.117", Release: "6.12.117-plugstorm"},
	}
	r := &record{consoles: map[int][]byte{}}
	return r.at(0, history.Event{Type: history.RunStart, Case: &c})
}

// at records an event where its time belongs.
func (r *record) at(s float64, e history.Event) *record {
	e.At = time.Duration(s * float64(second))
	r.events = append(r.events, e)
	slices.SortStableFunc(r.events, func(a, b history.Event) int { return cmp.Compare(a.At, b.At) })
	return r
}

// guest starts a guest, whose agent is up 10 s later.
func (r *record) guest(number int, s float64) *record {
	r.consoles[number] = []byte{}
	r.at(s, history.Event{Type: history.GuestStart, Guest: number})
	r.say(number, s+2, bootLog)
	return r.at(s+10, history.Event{Type: history.AgentUp, Guest: number})
}

// say appends to a guest's console and marks when it came.
func (r *record) say(guest int, s float64, text string) *record {
	r.at(s, history.Event{Type: history.Console, Guest: guest, Offset: int64(len(r.consoles[guest]))})
	r.consoles[guest] = append(r.consoles[guest], text...)
	return r
}

// step records a whole step.
func (r *record) step(guest int, from, to float64, s *schedule.Step, o op.Outcome) *record {
	seq := r.begun(guest, from, s)
	return r.at(to, history.Event{Type: history.StepEnd, Guest: guest, Seq: seq, Outcome: o})
}

// begun records the beginning of a step.
func (r *record) begun(guest int, s float64, what *schedule.Step) (seq int) {
	r.seq++
	r.at(s, history.Event{Type: history.StepBegin, Guest: guest, Seq: r.seq, Step: what})
	return r.seq
}

// end ends a guest.
func (r *record) end(guest int, s float64, shutdown string) *record {
	return r.at(s, history.Event{Type: history.GuestEnd, Guest: guest, Text: "the run's time is up", Shutdown: shutdown})
}

func (r *record) finished(s float64) *record {
	return r.at(s, history.Event{Type: history.RunEnd})
}

func (r *record) input() verdict.Input {
	return verdict.Input{History: &history.History{Case: *r.events[0].Case, Events: r.events}, Consoles: r.consoles}
}

func (r *record) judge() *verdict.Verdict { return verdict.Judge(r.input()) }

// clean is a run that shows nothing, and that ends cleanly.
func clean() *record {
	return begin().guest(1, 1).
		step(1, 12, 13, addDIMM("dimm0"), op.Done).
		step(1, 13, 14, step("dimm", "dimm-remove", `{"id":"dimm0"}`), op.Refused).
		end(1, 60, "host-qmp-quit").finished(61)
}

// without is a record without the events of a type.
func (r *record) without(drop history.Type) *record {
	var kept []history.Event
	for _, e := range r.events {
		if e.Type != drop {
			kept = append(kept, e)
		}
	}
	r.events = kept
	return r
}

// lines is the history as its file has it, a line an event.
func (r *record) lines(t testing.TB) []string {
	t.Helper()
	var all []string
	for _, e := range r.events {
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(line)+"\n")
	}
	return all
}

// file is the history as its file has it.
func (r *record) file(t testing.TB) string { return strings.Join(r.lines(t), "") }
