// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/calls"
	"plugstorm/harness/vm"
)

// A Reporter is an op that has more to tell than its outcome: what came of the
// calls that were to fail. It is asked when the op has ended.
type Reporter interface{ Reports() []calls.Report }

// callFailing has calls of kernel functions fail in the course of an op: see
// harness/calls for which may.
type callFailing struct {
	Calls []calls.Call `json:"calls"`

	reports []calls.Report
}

// Reports says what came of the calls.
func (c *callFailing) Reports() []calls.Report { return c.reports }

// ownDeck names the deck of the lane's own sites in the course of something.
func ownDeck(course string) string { return "own " + course }

// courses are what the ops that have calls fail do, and what that touches.
var courses = map[string][]string{
	"memory-add": dimmAddTouches, "memory-remove": dimmRemoveTouches, "block-online": blockOnlineTouches, "block-offline": blockOfflineTouches,
	"vcpu-add": vcpuTouches, "vcpu-remove": vcpuTouches, "cpu-online": cpuTouches, "cpu-offline": cpuTouches, "pgmap": pgmapTouches,
}

// CourseTouches is what an op that has calls fail in the course of something touches
// (see Kind); course is one of calls.Ops.
func CourseTouches(course string) []string { return courses[course] }

// drawCalls draws up to n calls in the course of something; ok is false if no
// call of it can fail on the machine. With own sites half of the calls of every
// other op are theirs, and come first: nobody knows what leads to them. Only what is
// called once comes before them, for it is now or never: an op that succeeds while
// another call is waited for in vain has used the first time up.
func drawCalls(r *rand.Rand, s *State, course string, n int) (callFailing, bool) {
	deck := s.callDeck(r, course)
	firsts := min(n, deck.Firsts())
	var mine []calls.Call
	if own := s.now(calls.For(s.sites, course, s.machine)); len(own) > 0 && (s.aside || r.IntN(2) == 0) {
		mine = s.deck(r, ownDeck(course), func() []calls.Site { return own }).Draw(r, max(1, n/2))
	}
	drawn := deck.Draw(r, max(firsts, n-len(mine)))
	drawn = slices.Insert(drawn, min(firsts, len(drawn)), mine...)
	return callFailing{Calls: drawn}, len(drawn) > 0
}

// callDeck is that of our lists' sites in the course of something.
func (s *State) callDeck(r *rand.Rand, course string) *calls.Deck {
	return s.deck(r, course, func() []calls.Site { return s.now(calls.For(calls.Sites, course, s.machine)) })
}

// deck is the one of that name, shuffled of sites when it is first asked for.
func (s *State) deck(r *rand.Rand, name string, sites func() []calls.Site) *calls.Deck {
	if s.decks[name] == nil {
		s.decks[name] = calls.NewDeck(r, sites())
	}
	return s.decks[name]
}

// now are those of some sites that may fail now: some at a guest's end only.
func (s *State) now(sites []calls.Site) []calls.Site {
	return slices.DeleteFunc(slices.Clone(sites), func(site calls.Site) bool { return site.Last && !s.aside })
}

// dealt says that the op is begun: other calls have their turn next. A replayed
// lane has no deck.
func (c *callFailing) dealt(s *State, course string) {
	for _, call := range c.Calls {
		name := course
		if call.Own() {
			name = ownDeck(course)
		}
		if deck := s.decks[name]; deck != nil {
			deck.Deal(1)
		}
	}
}

// arm has a call fail. A kernel without the module goes without: that is
// reported, and the op goes on.
func (c *callFailing) arm(ctx context.Context, v *vm.VM, call calls.Call) (armed bool, err error) {
	err = write(ctx, v, calls.ArmFile, call.Arm())
	if isErrno(err, syscall.ENOENT) {
		err = v.Agent.Call(ctx, agent.MethodLoadModule, agent.ModuleParams{Name: calls.Module}, nil)
		if err == nil || isErrno(err, syscall.EEXIST) { // another lane was first
			err = write(ctx, v, calls.ArmFile, call.Arm())
		}
	}
	var ge *agent.Error
	if errors.As(err, &ge) {
		c.reports = append(c.reports, calls.Report{Call: call, Unavailable: "the module can't: " + ge.Errno}) // EBUSY: another lane has it fail just now
		return false, nil
	}
	return err == nil, err
}

// disarm calls it off and notes what came of it, also when the op's own time
// is up. Until then it waits: a probe is removed with cpu_hotplug_lock held, and
// a kernel that keeps that lock hangs here as well.
func (c *callFailing) disarm(ctx context.Context, v *vm.VM, call calls.Call) error {
	if ctx.Err() != nil {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), v.Deadline(resetLimit))
		defer cancel()
		ctx = late
	}
	report, err := askCall(ctx, v, call)
	if err == nil {
		c.reports = append(c.reports, report)
	}
	return errors.Join(err, write(ctx, v, calls.ArmFile, call.Disarm()))
}

// during does something while a call fails.
func (c *callFailing) during(ctx context.Context, v *vm.VM, call calls.Call, do func() error) error {
	armed, err := c.arm(ctx, v, call)
	if err != nil {
		return err
	}
	err = do()
	if armed {
		err = errors.Join(err, c.disarm(ctx, v, call))
	}
	return err
}

// firedGrace is how long a guest may take to finish what a call failed in.
const firedGrace = 500 * time.Millisecond

// plug begins an op of the hypervisor's while a call fails, and confirm waits
// for its end, but not for ever: a machine need not say that the guest has
// given up.
func (c *callFailing) plug(ctx context.Context, v *vm.VM, begin func(context.Context, *vm.VM) error) error {
	if len(c.Calls) == 0 {
		return refused("the recorded op names no call")
	}
	armed, err := c.arm(ctx, v, c.Calls[0])
	if err != nil {
		return err
	}
	err = begin(ctx, v)
	if err != nil && armed {
		err = errors.Join(err, c.disarm(ctx, v, c.Calls[0]))
	}
	return err
}

func (c *callFailing) confirm(ctx context.Context, v *vm.VM, wait func(context.Context, *vm.VM) error) error {
	armed := len(c.reports) == 0
	short, cancel := context.WithTimeout(ctx, v.Deadline(failingLimit))
	defer cancel()
	go func() {
		if armed && awaitFired(short, v, c.Calls[0]) == nil && Pause(short, v.Deadline(firedGrace)) {
			cancel()
		}
	}()
	err := wait(short, v)
	late := ctx.Err() == nil && short.Err() != nil
	var disarmed error
	if armed {
		disarmed = c.disarm(ctx, v, c.Calls[0])
	}
	if late && err != nil && !Gone(err) {
		err = refused("the guest doesn't do it while %s fails: %v", c.Calls[0].Func, err)
	}
	return errors.Join(err, disarmed)
}

// awaitFired waits until a call has failed. One that can't is no error: nothing
// more is to come.
func awaitFired(ctx context.Context, v *vm.VM, call calls.Call) error {
	return poll(ctx, func() (bool, error) {
		report, err := askCall(ctx, v, call)
		return report.Fired || report.Unavailable != "", err
	})
}

// askCall asks the module about a call.
func askCall(ctx context.Context, v *vm.VM, call calls.Call) (calls.Report, error) {
	var reply agent.FileReply
	if err := v.Agent.Call(ctx, agent.MethodReadFile, agent.FileParams{Path: calls.StatusFile, Max: calls.MaxAnswer}, &reply); err != nil {
		return calls.Report{}, err
	}
	return calls.ParseStatus(reply.Data, call)
}

func write(ctx context.Context, v *vm.VM, path, data string) error {
	return v.Agent.Call(ctx, agent.MethodWriteFile, agent.FileParams{Path: path, Data: data}, nil)
}

// isErrno reports whether a system call in the guest failed with one of errnos.
func isErrno(err error, errnos ...syscall.Errno) bool {
	var ge *agent.Error
	return errors.As(err, &ge) && slices.ContainsFunc(errnos, func(e syscall.Errno) bool { return ge.Errno == errnoName(e) })
}
