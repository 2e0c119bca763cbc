// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"context"
	"os"
	"path/filepath"

	"plugstorm/harness/blame"
	"plugstorm/harness/qmp"
)

// RegistersFile holds the registers of a guest's CPUs as they were when it ended by
// itself: all there is to see of a triple fault, of which no console says a word.
const RegistersFile = "registers.txt"

// SaveRegisters writes them down, for people. It needs Spec.HoldEnd, or a guest that
// goes on.
func (v *VM) SaveRegisters(ctx context.Context) error {
	text, err := qmp.Human(ctx, v.Monitor, "info registers -a")
	if err != nil {
		return blame.On(blame.Hypervisor, err, "")
	}
	return blame.On(blame.Host, os.WriteFile(filepath.Join(v.Spec.Dir, RegistersFile), []byte(text), 0o644), "")
}
