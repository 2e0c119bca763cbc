// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"plugstorm/harness/agent"
)

// blockedMax bounds what is told of blocked tasks: a handful is enough to see
// that something is stuck.
const blockedMax = 64

// blocked lists the tasks in state D. It takes no lock that a hotplug holds:
// /proc/TID/status needs only what belongs to the task.
func (a *guestAgent) blocked() (any, error) {
	files, err := filepath.Glob(a.tree.Path("proc/[0-9]*/task/[0-9]*/status"))
	if err != nil {
		return nil, err
	}
	reply := agent.BlockedReply{Tasks: []agent.BlockedTask{}}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil { // it has ended
			continue
		}
		task, ok := parseBlocked(string(text))
		if !ok {
			continue
		}
		if reply.Tasks = append(reply.Tasks, task); len(reply.Tasks) == blockedMax {
			break
		}
	}
	return reply, nil
}

// parseBlocked reads a task's status (fs/proc/array.c proc_pid_status). It
// reports false for a task that isn't blocked, and for a text it can't read.
func parseBlocked(text string) (agent.BlockedTask, bool) {
	var t agent.BlockedTask
	blocked, counted := false, 0
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch key {
		case "Name":
			t.Comm = value
		case "State":
			blocked = strings.HasPrefix(value, "D")
		case "Pid":
			t.TID, _ = strconv.Atoi(value)
		case "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches":
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return t, false
			}
			t.Switches += n
			counted++
		}
	}
	return t, blocked && t.TID > 0 && counted == 2
}
