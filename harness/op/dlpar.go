// SPDX-License-Identifier: Apache-2.0

package op

import (
	"context"
	"syscall"

	"plugstorm/harness/vm"
)

// dlparFile takes a pseries guest's own requests (arch/powerpc/platforms/pseries/dlpar.c
// dlpar_store).
const dlparFile = "/sys/kernel/dlpar"

// dlpar has a pseries guest add what is plugged or remove what is asked back, at
// its own request. It returns when the guest has done or refused it.
func dlpar(ctx context.Context, v *vm.VM, request string) error {
	err := write(ctx, v, dlparFile, request)
	if isErrno(err, syscall.EPERM, syscall.EIO) { // what firmware doesn't do (dlpar_acquire_drc, dlpar_release_drc)
		return refused("%v", err)
	}
	return guestRefusal(err)
}
