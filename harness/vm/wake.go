// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"context"
	"crypto/rand"
	"time"

	"plugstorm/harness/agent"
)

// entropyBytes is what a guest gets for its random numbers: 256 bits are the
// kernel's own measure of enough (drivers/char/random.c POOL_READY_BITS).
const entropyBytes = 64

// Wake gives the guest random numbers and the time, and measures how fast it
// works. Guests that were restored from one snapshot would go on with the same
// random numbers otherwise, and with the time at which it was saved.
func (v *VM) Wake(ctx context.Context) (agent.WakeReply, error) {
	params := agent.WakeParams{Entropy: make([]byte, entropyBytes), UnixNS: time.Now().UnixNano()}
	_, _ = rand.Read(params.Entropy) // never fails
	var reply agent.WakeReply
	err := v.Agent.Call(ctx, agent.MethodWake, params, &reply)
	return reply, err
}

// Pace is how fast the guest was so far. woken is the answer to its Wake.
func (v *VM) Pace(woken agent.WakeReply) Pace {
	return Pace{Boot: time.Duration(v.boot.Load()), Starved: v.HostTime().Starved(HostTime{}), Work: best(rounds(woken))}
}
