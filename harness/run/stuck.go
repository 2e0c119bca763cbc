// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"slices"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/history"
)

// A hang is younger than khungtaskd's patience when the guest's time ends, and
// would go with the guest unseen: a turn is shorter than that patience. So a
// guest in which somebody is stuck is kept, with no new steps, until the kernel
// has spoken or the stuck have moved.

const (
	// stuckLook is how far two looks are apart: whoever has not been scheduled in
	// between is stuck, for the time being. Stretched.
	stuckLook = time.Second

	// stuckAnswer is for the agent to look. Stretched.
	stuckAnswer = 5 * time.Second

	// stuckLimit bounds how long a guest is kept: khungtaskd's timeout, the look
	// that it may come late by, and its report. Stretched.
	stuckLimit = hungTask + hungTask/hungTaskLooks + 5*time.Second
)

// endAfter ends the guest's storm after length, or as soon as nobody is stuck
// any more. It blocks until then.
func (g *guest) endAfter(length time.Duration, why error) {
	end := time.Now().Add(length)
	if !pause(g.ctx, length-g.vm.Deadline(stuckLook)) {
		return
	}
	// A guest too slow to answer by then isn't kept: its storm would go on meanwhile.
	look, cancel := context.WithDeadline(g.ctx, end)
	was := g.blocked(look)
	cancel()
	if !pause(g.ctx, time.Until(end)) {
		return
	}
	g.over.Store(true)
	g.waitForStuck(was)
	g.end(why)
}

// waitForStuck waits for those of some blocked tasks that have been blocked ever
// since, but not for ever.
func (g *guest) waitForStuck(was []agent.BlockedTask) {
	ctx, cancel := context.WithTimeout(g.ctx, g.vm.Deadline(stuckLimit))
	defer cancel()
	for first := true; len(was) > 0; first = false {
		now := g.blocked(ctx)
		was = slices.DeleteFunc(was, func(t agent.BlockedTask) bool { return !slices.Contains(now, t) })
		if first && len(was) > 0 {
			g.history.Add(history.Event{Type: history.Stuck, Guest: g.number, Text: stuckText(was)})
		}
		if len(was) > 0 && !pause(ctx, g.vm.Deadline(stuckLook)) {
			return
		}
	}
}

// blocked lists who is blocked in the guest; nobody if it doesn't say.
func (g *guest) blocked(ctx context.Context) []agent.BlockedTask {
	ctx, cancel := context.WithTimeout(ctx, g.vm.Deadline(stuckAnswer))
	defer cancel()
	var reply agent.BlockedReply
	if g.vm.Agent.Call(ctx, agent.MethodBlocked, nil, &reply) != nil {
		return nil
	}
	return reply.Tasks
}

// stuckNames is how many tasks a history names.
const stuckNames = 8

// stuckText names the stuck. The names are the guest's: the history quotes them.
func stuckText(tasks []agent.BlockedTask) string {
	text := ""
	for i, t := range tasks {
		switch {
		case i == stuckNames:
			return text + ", ..."
		case i > 0:
			text += ", "
		}
		text += t.Comm
	}
	return text
}
