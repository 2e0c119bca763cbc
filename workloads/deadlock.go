// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

const deadlockModule = "plugstorm_deadlock"

// Deadlocks are the kinds of deadlock that the module can make. The deadlock
// workload's option kind is an index here; numbers stand in recorded runs, so
// new kinds go to the end.
var Deadlocks = []string{"abba", "kthread-stop", "completion", "flush-work", "rwsem-queue", "kernfs-drain", "rwsem-drain"}

var deadlockOptions = map[string]int64{"kind": 0, "validate": 0, "seconds": 15}

// Deadlock makes one deadlock.
var Deadlock = agent.Workloads.Register(&agent.Workload{
	Name: "deadlock",
	Doc: "kthreads that lock each other out for good, in a way that is known, so that what is said of it can be checked; it ends " +
		"with the guest only; options kind (one of " + kindList() + "), validate (1 lets lockdep see the lock order), " +
		"seconds (after which the kernel calls a task hung, all tasks)",
	Modules: []string{deadlockModule},
	Options: deadlockOptions,
	Run:     deadlock{tree: guest, load: LoadModule}.run,
})

func kindList() string {
	kinds := make([]string, len(Deadlocks))
	for i, name := range Deadlocks {
		kinds[i] = fmt.Sprintf("%d %s", i, name)
	}
	return strings.Join(kinds, ", ")
}

type deadlock struct {
	tree sysfs.Tree
	load func(dir, name, params string) error
}

// run makes the deadlock, counts it as its one round, and waits for ctx: the
// module stays, with everything that hangs in it.
func (d deadlock) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	params, err := deadlockParams(p)
	if err != nil {
		return err
	}
	if err := d.hurryHungTask(p.Option("seconds", deadlockOptions["seconds"])); err != nil {
		return err
	}
	if err := d.load(ModuleDir, deadlockModule, params); err != nil {
		return err
	}
	m.Done()
	// The attribute exists for the drain kinds only, whose reader is us: this
	// thread doesn't come back.
	text, err := d.tree.Text("sys/kernel", deadlockModule, "state")
	switch {
	case err == nil:
		return fmt.Errorf("the reader of the attribute that goes away doesn't hang: it got %q", text)
	case !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("the reader of the attribute that goes away doesn't hang: %w", err)
	}
	<-ctx.Done()
	return nil
}

// deadlockParams is the parameter string of the module.
func deadlockParams(p agent.Params) (string, error) {
	kind := p.Option("kind", deadlockOptions["kind"])
	if kind < 0 || kind >= int64(len(Deadlocks)) {
		return "", fmt.Errorf("no deadlock of kind %d: choose one of %s", kind, kindList())
	}
	return fmt.Sprintf("kind=%s validate=%d", Deadlocks[kind], p.Option("validate", deadlockOptions["validate"])), nil
}

// hurryHungTask has khungtaskd call a task hung after so many seconds. The
// usual minute and more spares tasks that are merely slow; this deadlock stays
// one however long one waits.
func (d deadlock) hurryHungTask(seconds int64) error {
	err := os.WriteFile(d.tree.Path("proc/sys/kernel/hung_task_timeout_secs"), []byte(strconv.FormatInt(seconds, 10)), 0)
	if err != nil {
		return fmt.Errorf("without hung-task detection nobody would notice: %w", err)
	}
	return nil
}
