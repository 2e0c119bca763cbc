// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"plugstorm/workloads/sysfs"
)

// cgroupHomes are two cgroups of the unified hierarchy, each with CPUs and nodes of its
// own, that the process is moved between.
type cgroupHomes struct {
	root string
	dirs [2]string
}

// hasCgroupV2 reports whether the unified hierarchy is there.
func hasCgroupV2(tree sysfs.Tree) bool {
	_, err := os.Stat(tree.Path("sys/fs/cgroup/cgroup.controllers"))
	return err == nil
}

// makeHomes makes them and gives each a limit, if the kernel knows it. Who makes homes
// removes them, also after an error.
func makeHomes(ctx context.Context, tree sysfs.Tree, name, limit, value string) (cgroupHomes, error) {
	h := cgroupHomes{root: tree.Path("sys/fs/cgroup")}
	for i, suffix := range []string{"a", "b"} {
		dir, err := h.mkdir(name + "-" + suffix)
		if err != nil {
			return h, err
		}
		h.dirs[i] = dir
		if err := setIfThere(ctx, filepath.Join(dir, limit), value); err != nil {
			return h, err
		}
	}
	return h, nil
}

// mkdir makes a cgroup of the process's own.
func (h cgroupHomes) mkdir(name string) (string, error) {
	dir := filepath.Join(h.root, fmt.Sprintf("plugstorm-%s-%d", name, os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return dir, nil
}

// move changes a home's CPUs and nodes and takes the process there. Nodes are
// never without the boot memory, see cgroupChurn.
func (h cgroupHomes) move(ctx context.Context, rng *rand.Rand) error {
	home := h.dirs[rng.IntN(len(h.dirs))]
	return errors.Join(
		setIfThere(ctx, filepath.Join(home, "cpuset.cpus"), []string{"0", "0-1", "1", "0-3"}[rng.IntN(4)]),
		setIfThere(ctx, filepath.Join(home, "cpuset.mems"), []string{"0", "0-1"}[rng.IntN(2)]),
		sysfs.Write(ctx, filepath.Join(home, "cgroup.procs"), strconv.Itoa(os.Getpid())))
}

// remove takes the process back to the root and removes the homes, and others that it
// has made. What can't be removed is left behind, empty.
func (h cgroupHomes) remove(others ...string) {
	_ = sysfs.Write(context.Background(), filepath.Join(h.root, "cgroup.procs"), strconv.Itoa(os.Getpid()))
	for _, dir := range append(others, h.dirs[:]...) {
		if dir != "" {
			_ = unix.Rmdir(dir)
		}
	}
}
