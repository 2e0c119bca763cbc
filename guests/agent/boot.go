// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

type mountPoint struct{ fstype, dir, options string }

// mounts are in the order they need.
var mounts = []mountPoint{
	{"proc", "proc", ""},
	{"sysfs", "sys", ""},
	{"devtmpfs", "dev", ""},
	{"tmpfs", "tmp", "size=25%"},
	{"debugfs", "sys/kernel/debug", ""},
	{"tracefs", "sys/kernel/tracing", ""},
	{"cgroup2", "sys/fs/cgroup", ""},
}

// cgroupControllers are those that the workloads use.
var cgroupControllers = []string{"memory", "cpuset", "pids", "cpu"}

// mountAll mounts everything below root. What this kernel lacks is found out
// later, by looking (see missing): the errors are for the console only.
func mountAll(root string) []error {
	var errs []error
	for _, m := range mounts {
		if err := mount(root, m); err != nil {
			errs = append(errs, err)
		}
	}
	return append(errs, enableControllers(filepath.Join(root, "sys/fs/cgroup"))...)
}

func mount(root string, m mountPoint) error {
	dir := filepath.Join(root, m.dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("mount %s: %w", m.fstype, err)
	}
	err := unix.Mount(m.fstype, dir, m.fstype, unix.MS_NOSUID, m.options)
	if err != nil && !errors.Is(err, unix.EBUSY) { // EBUSY: mounted already
		return fmt.Errorf("mount %s: %w", m.fstype, err)
	}
	return nil
}

// enableControllers gives the controllers to the children of the root cgroup,
// or mounts those that only version 1 has (a kernel with a hybrid set-up).
func enableControllers(base string) []error {
	var errs []error
	control := filepath.Join(base, "cgroup.subtree_control")
	var version1 []string
	for _, name := range cgroupControllers {
		if os.WriteFile(control, []byte("+"+name), 0) != nil {
			version1 = append(version1, name)
		}
	}
	if len(version1) < len(cgroupControllers) {
		return nil
	}
	// Nothing in version 2: make room for version 1.
	if err := unix.Unmount(base, 0); err != nil && !errors.Is(err, unix.EINVAL) {
		return append(errs, fmt.Errorf("unmount cgroup2: %w", err))
	}
	if err := unix.Mount("tmpfs", base, "tmpfs", 0, "mode=755"); err != nil {
		return append(errs, fmt.Errorf("mount cgroup: %w", err))
	}
	for _, name := range version1 {
		if err := mount(base, mountPoint{"cgroup", name, name}); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// tuneKernel makes the kernel complain early, often, and on the console. The
// host fits the hung-task timeout to the guest's slowness once it is up, and says
// how often the kernel looks.
func tuneKernel(root string, s settings) []error {
	sysctls := []struct{ name, value string }{
		{"kernel/printk", "8"},
		{"kernel/printk_devkmsg", "on"}, // else our heartbeats are rate-limited
		{"kernel/sysrq", "1"},
		{"kernel/panic_on_oops", "0"},
		{"kernel/hung_task_warnings", "-1"},
		{"kernel/hung_task_timeout_secs", strconv.Itoa(s.hungSeconds)},
	}
	var errs []error
	for _, c := range sysctls {
		// printk_devkmsg takes nothing without its newline (devkmsg_sysctl_set_loglvl).
		err := os.WriteFile(filepath.Join(root, "proc/sys", c.name), []byte(c.value+"\n"), 0)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // what doesn't exist is in missing's list
			errs = append(errs, fmt.Errorf("sysctl %s: %w", c.name, err))
		}
	}
	return errs
}
