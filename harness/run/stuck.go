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
// guest in which somebody is stuck is kept, its storm going on, until the
// kernel has spoken or the stuck have moved.

const (
	// stuckLook is how far two looks are apart: whoever has not been scheduled in
	// between is stuck, for the time being. Stretched.
	stuckLook = time.Second

	// stuckLimit bounds how long a guest is kept: khungtaskd's timeout, the look
	// that it may come late by, and its report. Stretched.
	stuckLimit = hungTask + hungTask/hungTaskLooks + 5*time.Second
)

// endUnlessStuck ends the guest's storm, as soon as nobody is stuck any more.
func (g *guest) endUnlessStuck(why error) {
	ctx, cancel := context.WithTimeout(g.ctx, g.vm.Deadline(stuckLimit))
	defer cancel()
	was := g.blocked(ctx)
	for first := true; len(was) > 0 && pause(ctx, g.vm.Deadline(stuckLook)); first = false {
		now := g.blocked(ctx)
		was = slices.DeleteFunc(was, func(t agent.BlockedTask) bool { return !slices.Contains(now, t) })
		if first && len(was) > 0 {
			g.history.Add(history.Event{Type: history.Stuck, Guest: g.number, Text: stuckText(was)})
		}
	}
	g.end(why)
}

// blocked lists who is blocked in the guest; nobody if it doesn't say.
func (g *guest) blocked(ctx context.Context) []agent.BlockedTask {
	ctx, cancel := context.WithTimeout(ctx, g.vm.Deadline(answerLimit))
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
