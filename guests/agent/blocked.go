// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"plugstorm/harness/agent"
)

// blockedMax bounds how many tasks are listed.
const blockedMax = 64

// blocked lists the tasks that sleep uninterruptibly, kernel threads too. Idle
// ones don't count: their State is I (TASK_NOLOAD, fs/proc/array.c
// get_task_state), and khungtaskd leaves them out as well (kernel/hung_task.c).
func (a *guestAgent) blocked() (any, error) {
	files, err := filepath.Glob(a.tree.Path("proc/[0-9]*/task/[0-9]*/status"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("proc shows no task")
	}
	reply := agent.BlockedReply{Tasks: []agent.BlockedTask{}}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil { // it has ended
			continue
		}
		task, blocked := parseStatus(string(text))
		if blocked && len(reply.Tasks) < blockedMax {
			reply.Tasks = append(reply.Tasks, task)
		}
	}
	return reply, nil
}

// parseStatus reads /proc/PID/status. It reports whether the task is in D state.
func parseStatus(text string) (task agent.BlockedTask, blocked bool) {
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":\t")
		switch key {
		case "Name":
			task.Name = value
		case "State":
			blocked = strings.HasPrefix(value, "D")
		case "Pid":
			task.PID, _ = strconv.Atoi(value)
		case "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches":
			n, _ := strconv.ParseUint(value, 10, 64)
			task.Switches += n
		}
	}
	return task, blocked && task.PID != 0
}
