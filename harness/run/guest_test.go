// SPDX-License-Identifier: Apache-2.0

package run

import (
	"testing"
	"time"

	"plugstorm/harness/vm"
)

// TestShareOf: a boot on a busy host has the more time the more QEMU waits for it.
func TestShareOf(t *testing.T) {
	for _, tt := range []struct {
		host vm.HostTime
		want time.Duration
	}{
		{vm.HostTime{}, time.Minute}, // the host doesn't tell
		{vm.HostTime{Ran: time.Minute}, time.Minute},
		{vm.HostTime{Ran: 10 * time.Second, Waited: 30 * time.Second}, 15 * time.Second},
		{vm.HostTime{Waited: time.Minute}, 0},
	} {
		if got := shareOf(time.Minute, tt.host); got != tt.want {
			t.Errorf("%+v: %s of a minute, want %s", tt.host, got, tt.want)
		}
	}
}
