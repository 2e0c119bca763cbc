// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"

	"plugstorm/harness/verdict"
)

// waits says how far predicted deadlocks were looked for.
func (t *text) waits(v *verdict.Verdict) {
	if v.Waits == nil {
		return
	}
	t.prose("waits   ", fmt.Sprintf("of %d guests looked at for deadlocks that didn't happen", v.Waits.Guests))
	for _, why := range v.Waits.Why {
		t.prose("        ", why)
	}
}

type waitsJSON struct {
	Guests int      `json:"guests"`
	Why    []string `json:"why"`
}

func newWaitsJSON(w *verdict.Waits) *waitsJSON {
	if w == nil {
		return nil
	}
	return &waitsJSON{w.Guests, list(w.Why)}
}
