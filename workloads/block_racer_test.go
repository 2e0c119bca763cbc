// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"strings"
	"testing"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

func TestParseEvent(t *testing.T) {
	for _, tt := range []struct {
		message string
		want    blockEvent
		ok      bool
	}{
		{"add@/devices/system/memory/memory40\x00ACTION=add\x00SUBSYSTEM=memory\x00", blockEvent{"add", 40}, true},
		{"offline@/devices/system/memory/memory7", blockEvent{"offline", 7}, true},
		{"add@/devices/system/cpu/cpu1\x00ACTION=add\x00", blockEvent{}, false},
		{"add@/devices/system/memory/memory40/../../x\x00", blockEvent{}, false},
		{"add@/devices/system/memory/memory", blockEvent{}, false},
		{"add@/devices/system/memory/memory99999999999\x00", blockEvent{}, false},
		{"libudev\x00@/devices/system/memory/memory4", blockEvent{}, false},
		{"", blockEvent{}, false},
	} {
		got, ok := parseEvent([]byte(tt.message))
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("%q: %+v, %v", tt.message, got, ok)
		}
	}
}

// scripted events, over and over.
type scripted struct {
	messages []string
	at       int
}

func (s *scripted) next(buffer []byte) (int, error) {
	s.at++
	if s.at%8 == 0 {
		time.Sleep(time.Millisecond)
		return 0, nil // as a wait that ended
	}
	return copy(buffer, s.messages[s.at%len(s.messages)]), nil
}

// TestBlockRacerAnswers: blocks that appear are written to, those that vanish
// and those that go offline uncontested aren't.
func TestBlockRacerAnswers(t *testing.T) {
	tree := sysfs.Tree(t.TempDir())
	for _, block := range []string{"memory3", "memory4", "memory5"} {
		writeFile(t, tree, "sys/devices/system/memory/"+block+"/state", "untouched")
		writeFile(t, tree, "sys/devices/system/memory/"+block+"/online", "untouched")
	}
	b := blockRacer{tree: tree, listen: func() (events, error) {
		return &scripted{messages: []string{
			"add@/devices/system/memory/memory3\x00", "remove@/devices/system/memory/memory4\x00",
			"offline@/devices/system/memory/memory5\x00", "add@/devices/system/memory/memory9\x00", // gone again
		}}, nil
	}}
	p := agent.Params{Threads: 1, Options: map[string]int64{"contest": 0, "movable": 100, "fifo": 0}}
	c, err := runFor(t, 40, p, b.run)
	if err != nil || c.done.Load() == 0 || c.refused.Load() == 0 {
		t.Fatalf("done %d, refused %d, %v", c.done.Load(), c.refused.Load(), err)
	}
	for file, want := range map[string]string{
		"memory3/state": "online_movable", "memory3/online": "1", "memory4/state": "untouched", "memory4/online": "untouched",
		"memory5/state": "untouched", "memory5/online": "untouched",
	} {
		if got, err := tree.Text("sys/devices/system/memory", file); err != nil || !strings.HasPrefix(got, want) {
			t.Errorf("%s holds %q, %v; want %q", file, got, err, want)
		}
	}
}
