// SPDX-License-Identifier: Apache-2.0

package run

import "testing"

// TestOurselves: a process that runs has memory, and its CPU time grows.
func TestOurselves(t *testing.T) {
	memory, before := ourselves()
	if memory < 1<<20 || memory > 1<<40 || before <= 0 {
		t.Errorf("%d bytes, %s", memory, before)
	}
	for {
		if _, cpu := ourselves(); cpu > before {
			return
		}
	}
}
