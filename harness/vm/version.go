// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"

	"plugstorm/harness/blame"
)

// A Version is a QEMU version. The zero Version means "none".
type Version struct{ Major, Minor, Micro int }

// Floor is the oldest QEMU that plugstorm runs with: what Debian 12 ships.
var Floor = Version{7, 2, 0}

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Micro) }

// Less reports whether v is older than w.
func (v Version) Less(w Version) bool {
	if v.Major != w.Major {
		return v.Major < w.Major
	}
	if v.Minor != w.Minor {
		return v.Minor < w.Minor
	}
	return v.Micro < w.Micro
}

var versionPattern = regexp.MustCompile(`version (\d+)\.(\d+)\.(\d+)`)

// ParseVersion reads what `qemu-system-* --version` prints.
func ParseVersion(text string) (Version, error) {
	m := versionPattern.FindStringSubmatch(text)
	if m == nil {
		return Version{}, blame.Errorf(blame.Host, "reinstall QEMU", "QEMU names no version in %.80q", text)
	}
	var v Version
	for i, field := range []*int{&v.Major, &v.Minor, &v.Micro} {
		*field, _ = strconv.Atoi(m[i+1]) // digits only, see the pattern
	}
	return v, nil
}

// Emulator finds the machine's QEMU and its version. It fails, with the
// package to install, when there is none or it is older than Floor.
func Emulator(ctx context.Context, m *Machine) (path string, v Version, err error) {
	install := "apt-get install " + m.Package
	path, err = exec.LookPath(m.QEMU)
	if err != nil {
		return "", Version{}, blame.Errorf(blame.Host, install, "%s is not installed", m.QEMU)
	}
	out, err := exec.CommandContext(ctx, path, "--version").CombinedOutput()
	if err != nil {
		return "", Version{}, blame.Errorf(blame.Host, install, "%s --version: %w", path, err)
	}
	if v, err = ParseVersion(string(out)); err != nil {
		return "", Version{}, err
	}
	if v.Less(Floor) {
		return "", v, blame.Errorf(blame.Host, install, "%s is version %s, plugstorm needs %s", path, v, Floor)
	}
	return path, v, nil
}

// Budget says what the machine's known defects leave of vCPU hotplug.
type Budget struct {
	VCPURemove bool
	VCPUAdds   int // of vCPUs after boot, -1 for no limit
}

// limitAdds lowers the number of adds to n.
func (b *Budget) limitAdds(n int) {
	if b.VCPUAdds < 0 || n < b.VCPUAdds {
		b.VCPUAdds = n
	}
}

// BudgetOf applies the defects of a machine to a QEMU version and accelerator.
func BudgetOf(m *Machine, a Accel, v Version) Budget {
	b := Budget{VCPURemove: true, VCPUAdds: -1}
	for _, d := range m.Defects {
		if !d.Applies(a, v) {
			continue
		}
		if d.NoVCPURemove {
			b.VCPURemove = false
		}
		if d.VCPUAddsMax {
			adds := m.VCPU.Max - m.VCPU.Boot
			if m.VCPU.ColdPlugged {
				adds -= m.VCPU.Plug
			}
			b.limitAdds(adds)
		}
		if d.VCPUReAdds > 0 {
			b.limitAdds(d.VCPUReAdds)
		}
	}
	return b
}
