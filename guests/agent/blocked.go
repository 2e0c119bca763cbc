// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"plugstorm/harness/agent"
)

// blockedMax bounds how many tasks are listed.
const blockedMax = 64

// blocked lists the tasks that sleep uninterruptibly, kernel threads too. Idle
// ones don't count: their State is I (TASK_NOLOAD, fs/proc/array.c
// get_task_state), and khungtaskd leaves them out as well (kernel/hung_task.c).
//
// It is asked every few seconds of a storm, so it reads little: one line of each
// process, and more only of those that have threads or are blocked.
func (a *guestAgent) blocked() (any, error) {
	look := &a.glances
	if look.mu.TryLock() {
		defer look.mu.Unlock()
		defer look.end()
	} else { // another one is at it, or has got stuck there
		look = &glances{}
		defer look.close()
	}
	look.begin()
	processes, err := a.numbers("proc")
	if err != nil {
		return nil, err
	}
	if len(processes) == 0 {
		return nil, errors.New("proc shows no task")
	}
	reply := agent.BlockedReply{Tasks: []agent.BlockedTask{}}
	for _, pid := range processes {
		for _, tid := range a.mayBlock(look, pid) {
			text, err := a.tree.Peek(taskFile(pid, tid, "status"))
			if err != nil { // it has ended
				continue
			}
			task, blocked := parseStatus(text)
			if blocked && len(reply.Tasks) < blockedMax {
				reply.Tasks = append(reply.Tasks, task)
			}
		}
	}
	return reply, nil
}

// mayBlock lists the threads of a process that seemed blocked a moment ago.
func (a *guestAgent) mayBlock(look *glances, pid int) []int {
	state, threads := a.glance(look, taskFile(pid, pid, "stat"))
	if threads <= 1 {
		if state != blockedState {
			return nil
		}
		return []int{pid}
	}
	tids, _ := a.numbers(fmt.Sprintf("proc/%d/task", pid)) // it may have ended
	return slices.DeleteFunc(tids, func(tid int) bool {
		state, _ := a.glance(look, taskFile(pid, tid, "stat"))
		return state != blockedState
	})
}

// numbers lists the entries of a directory that are numbers.
func (a *guestAgent) numbers(dir string) ([]int, error) {
	d, err := os.Open(a.tree.Path(dir))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	var numbers []int
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, err
}

func taskFile(pid, tid int, name string) string {
	return fmt.Sprintf("proc/%d/task/%d/%s", pid, tid, name)
}

// blockedState is TASK_UNINTERRUPTIBLE, as proc shows it.
const blockedState = "D"

// glance reads a task's state and its process's number of threads off its stat.
func (a *guestAgent) glance(look *glances, file string) (state string, threads int) {
	text, err := look.read(a.tree.Path(file))
	if err != nil { // it has ended
		return "", 0
	}
	_, f := splitStat(text)
	if len(f) < 18 {
		return "", 0
	}
	threads, _ = strconv.Atoi(f[17])
	return f[0], threads
}

// splitStat splits "PID (NAME) STATE PPID ..." (fs/proc/array.c do_task_stat) into
// the name, which may have anything in it, and the fields behind it; none if it is
// something else.
func splitStat(text string) (name string, fields []string) {
	from, to := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if from < 0 || to < from {
		return "", nil
	}
	return text[from+1 : to], strings.Fields(text[to+1:])
}

// parseStatus reads /proc/PID/status. It reports whether the task is in D state.
func parseStatus(text string) (task agent.BlockedTask, blocked bool) {
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":\t")
		switch key {
		case "Name":
			task.Name = value
		case "State":
			blocked = strings.HasPrefix(value, blockedState)
		case "Pid":
			task.PID, _ = strconv.Atoi(value)
		case "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches":
			n, _ := strconv.ParseUint(value, 10, 64)
			task.Switches += n
		}
	}
	return task, blocked && task.PID != 0
}
