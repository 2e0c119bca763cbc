// SPDX-License-Identifier: Apache-2.0

package sysfs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A CPUStep is a step of CPU hotplug.
type CPUStep struct {
	Number int
	Name   string
}

// OnlyDead reports whether a step does something only when a CPU is dead: it
// may be told to fail while the CPU is offline, doesn't on the way up, and does
// when somebody else takes the CPU down before it is told not to. Nothing can
// be undone then, and _cpu_down() warns ("DEAD callback error", kernel/cpu.c).
func (s CPUStep) OnlyDead() bool { return strings.HasSuffix(strings.ToLower(s.Name), ":dead") }

// ParseCPUSteps reads hotplug/states (kernel/cpu.c states_show), in order: the
// last one is a CPU that is online.
func ParseCPUSteps(text string) ([]CPUStep, error) {
	var steps []CPUStep
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		number, name, ok := strings.Cut(lines.Text(), ":")
		n, err := strconv.Atoi(strings.TrimSpace(number))
		if !ok || err != nil {
			return nil, fmt.Errorf("hotplug/states: %q is no state", lines.Text())
		}
		steps = append(steps, CPUStep{n, strings.TrimSpace(name)})
	}
	if len(steps) == 0 {
		return nil, errors.New("hotplug/states is empty")
	}
	return steps, nil
}

// noStep is CPUHP_INVALID (include/linux/cpuhotplug.h).
const noStep = "-1"

// SetCPUFailing is SetCPU with a step on the way failing: the nth of those that
// can, going round. ENOENT if the kernel has no cpuN/hotplug/fail.
func (t Tree) SetCPUFailing(ctx context.Context, cpu int, online bool, nth int) error {
	text, err := t.Text(cpuDir, "hotplug/states")
	if err != nil {
		return err
	}
	steps, err := ParseCPUSteps(text)
	if err != nil {
		return err
	}
	steps = slices.DeleteFunc(steps, CPUStep.OnlyDead)
	fail := t.Path(cpuDir, "cpu"+strconv.Itoa(cpu), "hotplug/fail")
	for i := range steps {
		// EINVAL for a step that can't fail, and for one on the other side of the CPU.
		err := Write(ctx, fail, strconv.Itoa(steps[(nth+i)%len(steps)].Number))
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EINVAL) {
			return err
		}
	}
	// The step isn't left to fail for whoever sets the CPU next.
	return errors.Join(t.SetCPU(ctx, cpu, online), Write(context.WithoutCancel(ctx), fail, noStep))
}
