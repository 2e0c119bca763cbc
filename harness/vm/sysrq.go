// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"context"
	"net"
	"slices"

	"plugstorm/harness/blame"
	"plugstorm/harness/qmp"
)

// TypeSysRq types a magic SysRq on the guest's console. The kernel acts on it
// in its interrupt handler, so it works without user space.
func (v *VM) TypeSysRq(ctx context.Context, key byte) error {
	dir, err := shortDir(v.Spec.Dir)
	if err != nil {
		return err
	}
	defer dir.close()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", dir.path(consoleSocket))
	if err != nil {
		return blame.On(blame.Hypervisor, err, "")
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	typed := slices.Clone(v.Spec.Machine.BreakSysRq)
	if len(typed) == 0 {
		if err := qmp.SendBreak(ctx, v.Monitor, "console"); err != nil {
			return err
		}
	}
	if _, err = conn.Write(append(typed, key)); err != nil {
		return blame.On(blame.Hypervisor, err, "")
	}
	// QEMU hands typed bytes on when the guest takes them: the first byte of its
	// echo or report says that it did.
	_, err = conn.Read(make([]byte, 1))
	return blame.On(blame.Hypervisor, err, "")
}
