// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
	"plugstorm/workloads/sysfs"
)

// PerfEvents has performance events on CPUs that go.
var PerfEvents = agent.Workloads.Register(&agent.Workload{
	Name: "perf-events",
	Doc: "opens software events of each CPU and of its own thread, alone and in groups, with a ring buffer or without, switches them on and off, reads and closes them while " +
		"their CPUs go and come, and changes perf's sysctls and the PMUs' attributes: pmus_lock, the contexts' mutexes, calls to other CPUs, cpu_hotplug_lock for reading",
	Touches: []string{
		"kernel/events/core.c:perf_event_init_cpu", "kernel/events/core.c:perf_event_exit_cpu", "kernel/events/core.c:perf_event_exit_cpu_context",
		"kernel/events/core.c:find_get_context", "kernel/events/core.c:perf_install_in_context", "kernel/events/core.c:perf_remove_from_context",
		"kernel/events/core.c:perf_event_read", "kernel/events/core.c:perf_mmap", "kernel/events/core.c:perf_ioctl", "kernel/events/core.c:perf_event_mux_interval_ms_store",
		"kernel/events/core.c:perf_cpu_time_max_percent_handler", "kernel/events/core.c:perf_event_max_sample_rate_handler", "kernel/events/core.c:perf_swevent_init",
		"kernel/events/core.c", "kernel/events/ring_buffer.c", "kernel/events/", "arch/x86/events/core.c",
	},
	Run: perfEvents{tree: guest}.run,
})

type perfEvents struct{ tree sysfs.Tree }

var perfKnobs = []knob{
	{"proc/sys/kernel/perf_cpu_time_max_percent", []string{"10", "25", "50"}},
	{"proc/sys/kernel/perf_event_max_sample_rate", []string{"50000", "100000"}},
	{"sys/bus/event_source/devices/*/perf_event_mux_interval_ms", []string{"1", "4", "8"}},
	{"sys/bus/event_source/devices/*/cpumask", nil},
	{"sys/bus/event_source/devices/*/type", nil},
}

// perfHold is how long a round's events count, for their CPU to go meanwhile.
const perfHold = 20 * time.Millisecond

func (e perfEvents) run(ctx context.Context, p agent.Params, m agent.Meter) error {
	k := knobs{tree: e.tree, list: perfKnobs}
	before := k.save()
	defer k.restore(before)
	l := loop{params: p, meter: m, threads: 2, refuses: append([]unix.Errno{unix.ESRCH, unix.EEXIST, unix.EOVERFLOW}, knobRefusals...)}
	return l.run(ctx, same(func(ctx context.Context, rng *rand.Rand) error {
		if rng.IntN(8) == 0 {
			return k.turn(ctx, rng)
		}
		err := e.round(ctx, rng)
		if errors.Is(err, unix.ENOSYS) {
			return errIdle // a kernel without CONFIG_PERF_EVENTS
		}
		return err
	}))
}

// round opens a group of two events, has them count for a while and closes them.
func (e perfEvents) round(ctx context.Context, rng *rand.Rand) (err error) {
	pid, cpu, err := e.target(rng)
	if err != nil {
		return err
	}
	var fds []int
	defer func() { err = errors.Join(err, closeAll(fds)) }()
	for leader := -1; len(fds) < 2; leader = fds[0] {
		fd, err := openEvent(rng, pid, cpu, leader)
		if err != nil {
			return err
		}
		fds = append(fds, fd)
	}
	if rng.IntN(2) == 0 {
		ring, err := unix.Mmap(fds[0], 0, 2*os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED) // a page of data behind one of state
		if err != nil {
			return fmt.Errorf("mmap of a perf event: %w", err)
		}
		defer func() { _ = unix.Munmap(ring) }()
	}
	pause(ctx, perfHold)
	for _, request := range []uint{unix.PERF_EVENT_IOC_DISABLE, unix.PERF_EVENT_IOC_RESET, unix.PERF_EVENT_IOC_ENABLE} {
		if err := unix.IoctlSetInt(fds[0], request, 1); err != nil { // PERF_IOC_FLAG_GROUP
			return fmt.Errorf("perf ioctl: %w", err)
		}
	}
	var value [8]byte
	if _, err := unix.Read(fds[0], value[:]); err != nil {
		return fmt.Errorf("read of a perf event: %w", err)
	}
	return nil
}

// target is a CPU that is online now, with whoever runs there, or this process
// wherever it runs.
func (e perfEvents) target(rng *rand.Rand) (pid, cpu int, err error) {
	if rng.IntN(4) == 0 {
		return 0, -1, nil
	}
	text, err := e.tree.Text("sys/devices/system/cpu/online")
	if err != nil {
		return 0, 0, err
	}
	online, err := sysfs.ParseList(text)
	if err != nil {
		return 0, 0, err
	}
	cpu, err = pick(rng, online)
	return -1, cpu, err
}

// perfSample is after how many occurrences an event that samples does so: rarely, since
// nobody reads them.
const perfSample = 1 << 20

// openEvent opens a software event, sampling or not.
func openEvent(rng *rand.Rand, pid, cpu, leader int) (int, error) {
	attr := unix.PerfEventAttr{
		Type: unix.PERF_TYPE_SOFTWARE, Size: unix.PERF_ATTR_SIZE_VER0, Config: uint64(rng.IntN(unix.PERF_COUNT_SW_DUMMY + 1)),
	}
	if rng.IntN(2) == 0 {
		attr.Sample, attr.Sample_type = perfSample, unix.PERF_SAMPLE_IP
	}
	fd, err := unix.PerfEventOpen(&attr, pid, cpu, leader, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("perf_event_open: %w", err)
	}
	return fd, nil
}

// closeAll closes descriptors, the last one first.
func closeAll(fds []int) error {
	var err error
	for i := range fds {
		err = errors.Join(err, unix.Close(fds[len(fds)-1-i]))
	}
	return err
}
