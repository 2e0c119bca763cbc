// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"plugstorm/guests"
	"plugstorm/harness/blame"
	"plugstorm/harness/vm"
	"plugstorm/images"
)

func (a *app) doctorCommand() *cobra.Command {
	var o installOptions
	c := &cobra.Command{
		Use:   "doctor",
		Short: "what this host can do, and what is missing",
		Long: `Doctor looks at this host: emulators and their known defects, KVM, build
tools, the cache. It prints the exact apt-get line for what is missing and
exits with 3 then. With --install it runs that line, after asking on a
terminal. QEMU from bookworm-backports is offered, never added without consent.`,
		Example: "  plugstorm doctor\n  plugstorm doctor --install\n  plugstorm doctor --install --yes --backports",
		RunE: func(c *cobra.Command, _ []string) error {
			if o.install {
				if err := a.install(c.Context(), o); err != nil {
					return err
				}
			}
			return a.doctor(c.Context())
		},
	}
	c.Flags().BoolVar(&o.install, "install", false, "install what is missing")
	c.Flags().BoolVarP(&o.yes, "yes", "y", false, "don't ask before installing Debian's own packages")
	c.Flags().BoolVar(&o.backports, "backports", false, "consent to bookworm-backports for a QEMU with fewer defects")
	return c
}

// doctor prints what there is and fails if something is missing.
func (a *app) doctor(ctx context.Context) error {
	packages := map[string]bool{}
	for _, m := range guests.Default() {
		a.examine(ctx, m, packages)
	}
	store, err := a.store()
	if err != nil {
		return err
	}
	for _, r := range missingTools(store) {
		fmt.Fprintf(a.stdout, "missing: %s, for %s (package %s)\n", r.Name, r.For, r.Package)
		packages[r.Package] = true
	}
	fmt.Fprintf(a.stdout, "cache: %s\n", store.Dir)
	if len(packages) == 0 {
		fmt.Fprintln(a.stdout, "nothing is missing")
		return nil
	}
	return blame.Errorf(blame.Host, aptLine(sorted(packages))+"   (or: plugstorm doctor --install)",
		"this host lacks %d packages: %s", len(packages), strings.Join(sorted(packages), " "))
}

// missingTools lists what kernel builds for the default machines lack.
func missingTools(store *images.Store) []images.Requirement {
	var archs []*images.Arch
	for _, m := range guests.Default() {
		if arch, err := images.Archs.Get(m.Arch); err == nil {
			archs = append(archs, arch)
		}
	}
	return store.Missing(archs...)
}

// examine prints what can be done with a machine, and notes the package that
// it lacks.
func (a *app) examine(ctx context.Context, m *vm.Machine, packages map[string]bool) {
	fmt.Fprintf(a.stdout, "%s: %s\n", m.Name, m.Doc)
	emulator, version, err := vm.Emulator(ctx, m)
	if err != nil {
		fmt.Fprintf(a.stdout, "  %v\n", err)
		packages[m.Package] = true
		return
	}
	fmt.Fprintf(a.stdout, "  QEMU %s (%s)\n", version, emulator)
	accel := vm.TCG
	usable, known := vm.KnownKVM(vm.Spec{Machine: m, Version: version}, filepath.Join(a.cache, "kvm.json"))
	switch {
	case !known:
		fmt.Fprintln(a.stdout, "  KVM: not tried yet; the first run boots a guest under it to find out, where the host can at all")
	case usable.OK:
		fmt.Fprintln(a.stdout, "  KVM: works, a guest has booted under it")
		accel = vm.KVM
	default:
		fmt.Fprintf(a.stdout, "  KVM: unusable (%s), guests run under TCG\n", usable.Why)
	}
	for _, d := range m.Defects {
		if d.Applies(accel, version) {
			fmt.Fprintf(a.stdout, "  known QEMU defect %s: %s\n", d.ID, d.Doc)
		}
	}
	budget := vm.BudgetOf(m, accel, version)
	fmt.Fprintf(a.stdout, "  vCPU removal: %s; vCPU adds per guest: %s\n", yesNo(budget.VCPURemove), limit(budget.VCPUAdds))
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func limit(n int) string {
	if n < 0 {
		return "no limit"
	}
	return fmt.Sprint(n)
}
