// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"testing"

	"plugstorm/harness/splat"
)

// A stuck worker pool is a complaint about time, a warning is none.
func TestAboutTime(t *testing.T) {
	found := splat.Find([]byte("[  243.907216][    C0] BUG: workqueue lockup - pool cpus=0 node=0 flags=0x1 nice=0 stuck for 49s!\n"))
	if len(found) != 1 || !aboutTime(found[0]) {
		t.Errorf("workqueue lockup: %+v", found)
	}
	if aboutTime(splat.Finding{Type: "WARNING", Detector: "warning"}) || !aboutTime(splat.Finding{Type: splat.TypeHang}) {
		t.Error("a warning is not about time, a hang is")
	}
}
