// SPDX-License-Identifier: Apache-2.0

package vmtest

import (
	"os"
	"path/filepath"
	"strings"

	"plugstorm/harness/agent"
	"plugstorm/harness/qmp"
	"plugstorm/harness/vm"
)

// savedState is what a fake QEMU saves of its guest: all of them are alike.
const savedState = "the state of a fake guest\n"

// migrate saves the guest into a file.
func (g *Guest) migrate(uri string) {
	status := "completed"
	file, ok := strings.CutPrefix(uri, "file:")
	if !ok || os.WriteFile(file, []byte(savedState), 0o600) != nil {
		status = "failed"
	}
	g.emit(qmp.EventMigration, map[string]string{"status": status})
}

// resume goes on from a saved state, or ends like a QEMU that can't.
func (g *Guest) resume() {
	data, err := os.ReadFile(g.spec.Incoming)
	if err != nil || string(data) != savedState {
		go g.Die("exit status 1", "qemu: load of migration failed: Invalid argument")
		return
	}
	if !g.now().NoAgent {
		go g.serveAgent()
	}
}

// appendLog does what QEMU does with the console's output: it is in the log
// before anybody hears of it.
func (g *Guest) appendLog(text string) {
	if g.spec.Dir == "" {
		return
	}
	f, err := os.OpenFile(filepath.Join(g.spec.Dir, vm.ConsoleLog), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return // the directory is gone: its test has ended
	}
	defer f.Close()
	_, _ = f.WriteString(text)
}

// wake takes entropy, and works at a steady pace.
func (k *kernel) wake(p agent.WakeParams) (any, error) {
	k.entropy = append(k.entropy, p.Entropy)
	return agent.WakeReply{WorkNS: []int64{1000, 1000, 1000}}, nil
}

// Entropy lists the random numbers that the guest was given.
func (g *Guest) Entropy() [][]byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([][]byte{}, g.kernel.entropy...)
}
