// SPDX-License-Identifier: Apache-2.0

package waitfor

import (
	"regexp"
	"strconv"
	"strings"

	"plugstorm/harness/frame"
)

// Bounds on what an input can make a Reader keep.
const (
	maxTasks   = 4096
	maxFrames  = 48  // of a stack, innermost first
	maxLocks   = 48  // of a task; MAX_LOCK_DEPTH is 48
	maxSources = 256 // streams of messages read at once
)

// A Reader collects what the kernel's dumps say of tasks: the reports of
// khungtaskd, of SysRq-d, -t and -w, of the soft lockup detector and RCU, and
// the state of the workqueues. Of each task it keeps the latest. Its memory is
// bounded and its time linear in the input. It isn't safe for concurrent use.
type Reader struct {
	tasks   map[int]*task // by pid
	sources map[string]*section
	clock   int // counts dumps and lists of locks

	lists    int            // lists of all locks held that began
	complete int            // the latest of them that was printed to its end
	barriers map[int]int    // who flushes a running work item -> the worker that runs it
	flushed  map[int]string // who flushes a pending work item -> its function
	running  map[int]string // worker -> function
	stalled  map[int]bool   // tasks that RCU names as in its way
	owners   map[int]Block  // who waits for a lock -> whom the kernel takes for its owner
}

// A task is what is known of one. Its zero pid is the idle task's, which never
// waits and is not kept.
type task struct {
	comm    string
	pid     int
	state   byte // as printed: D, S, R, ...; 0 if it was only listed
	kthread bool
	worker  string // function of its work item
	stack   []frame.Frame
	dumped  int // Reader.clock of the stack

	locks   []string // as printed, without "#0: "
	list    int      // number of the list that they are from
	listed  int      // Reader.clock of the locks
	awaited string   // the last lock of the first list after the stack
}

// A section is where a source is in what it prints.
type section struct {
	task    *task  // whose stack goes on; nil: nobody's
	dumped  int    // Reader.clock of that
	done    bool   // the kernel's part of that stack is over
	partial string // a stack's first line, so far
	whole   int    // number of the list of all locks held that goes on; 0: none

	holder *task // whose locks are being listed; nil: nobody's
	want   int   // how many there are
	locks  []string
	begun  int // Reader.clock of that
	number int // of the list of all locks that this is part of
}

// NewReader returns a Reader that has read nothing.
func NewReader() *Reader {
	return &Reader{
		tasks: map[int]*task{}, sources: map[string]*section{},
		barriers: map[int]int{}, flushed: map[int]string{}, running: map[int]string{},
		stalled: map[int]bool{}, owners: map[int]Block{},
	}
}

// Line takes the next message of a source: the task or CPU that printed it, if
// printk's caller ids tell. Messages of one source come in order, without
// prefix; between them there may be those of others.
func (r *Reader) Line(source, message string) {
	s := r.sources[source]
	if s == nil {
		if len(r.sources) == maxSources {
			r.commitAll()
			clear(r.sources)
		}
		s = &section{}
		r.sources[source] = s
	}
	m := strings.TrimLeft(message, " ")
	if s.partial != "" && strings.HasPrefix(m, "stack:") {
		m = s.partial + " " + m // printk's continuation lost its line
	}
	s.partial = ""
	switch {
	case m == "":
	case r.heading(s, m), r.lockLine(s, message), r.stackLine(s, message):
	default:
		r.other(m)
	}
}

var (
	// sched_show_task (kernel/sched/core.c), since 5.10 and before.
	taskRE    = regexp.MustCompile(`^task:(.{1,16}?) +state:([A-Za-z])(?:  ?running task)? +stack: *\d+ +pid: *(\d+) (?: *tgid: *\d+)? *(?:ppid: *(\d+))?`)
	oldTaskRE = regexp.MustCompile(`^(\S.{0,15}?) +([RSDTtXZPI])(?: +running task +| *)\d+ +(\d+) +(\d+) +0x[0-9a-f]{8}`)
	// dump_stack_print_info (lib/dump_stack.c)
	cpuRE = regexp.MustCompile(`^CPU: \d+ (?:UID: \d+ )?PID: (\d+) Comm: (.{1,16}?) (?:Not tainted|Tainted)`)
	// lockdep_print_held_locks (kernel/locking/lockdep.c)
	heldRE = regexp.MustCompile(`^(?:(\d+) locks?|no locks) held by (.{1,16})/(\d+)[:.]`)
	// debug_show_blocker (kernel/hung_task.c), since 6.16
	ownerRE = regexp.MustCompile(`^INFO: task .{1,16}:(\d+)(?: is| <\w+>)? blocked on an? [\w-]+ likely (?:owned|last held) by task (.{1,16}):(\d+)\.?(?: <(reader|writer)>)?$`)
)

// heading takes a line that begins something new.
func (r *Reader) heading(s *section, m string) bool {
	switch {
	case strings.HasPrefix(m, "task:"):
		if f := taskRE.FindStringSubmatch(m); f != nil {
			r.dump(s, f[1], f[3], f[2][0], f[4])
		} else {
			s.partial = m
		}
	case strings.HasPrefix(m, "CPU: "):
		f := cpuRE.FindStringSubmatch(m)
		if f == nil {
			return false
		}
		r.dump(s, f[2], f[1], 'R', "")
	case strings.HasPrefix(m, "INFO: task "):
		r.commit(s)
		s.task = nil
		if f := ownerRE.FindStringSubmatch(m); f != nil {
			r.owner(f)
		}
	case strings.Contains(m, " held by "):
		return r.heldHeading(s, m)
	case strings.HasPrefix(m, "Showing all locks held in the system"):
		r.commit(s)
		r.lists++
		s.task, s.whole = nil, r.lists
	case s.whole > 0 && strings.HasPrefix(m, "======"):
		r.commit(s)
		r.complete = max(r.complete, s.whole)
		s.whole = 0
	case len(m) < 100 && strings.Contains(m, " 0x"):
		f := oldTaskRE.FindStringSubmatch(m)
		if f == nil {
			return false
		}
		r.dump(s, f[1], f[3], f[2][0], f[4])
	default:
		return false
	}
	return true
}

// dump begins the stack of a task.
func (r *Reader) dump(s *section, comm, pid string, state byte, ppid string) {
	r.commit(s)
	s.task, s.done = r.task(comm, pid), false
	t := s.task
	if t == nil {
		return
	}
	r.clock++
	s.dumped = r.clock
	t.state, t.dumped, t.worker, t.stack, t.awaited = state, r.clock, "", nil, ""
	t.kthread = t.kthread || ppid == "2" || t.pid == 2 || strings.HasPrefix(comm, "kworker/")
}

// task returns the task of a pid, or nil for one that isn't kept.
func (r *Reader) task(comm, pid string) *task {
	n, err := strconv.Atoi(pid)
	if err != nil || n == 0 {
		return nil
	}
	t := r.tasks[n]
	if t != nil && t.comm == comm {
		return t
	}
	if t == nil && len(r.tasks) >= maxTasks {
		return nil
	}
	t = &task{comm: strings.Clone(comm), pid: n}
	r.tasks[n] = t
	return t
}

func (t *task) name() string { return t.comm + "/" + strconv.Itoa(t.pid) }

// owner takes ownerRE's match.
func (r *Reader) owner(f []string) {
	pid, err := strconv.Atoi(f[1])
	if err != nil || len(r.owners) >= maxTasks {
		return
	}
	mode := map[string]Mode{"reader": Read, "writer": Write}[f[4]]
	r.owners[pid] = Block{Task: f[2] + "/" + f[3], Why: Holds, Mode: mode}
}
