// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"

	"plugstorm/guests"
	"plugstorm/harness/blame"
	"plugstorm/harness/vm"
)

type installOptions struct {
	install, yes, backports bool
}

// betterQEMU is the version that backports has and that loses most of the
// defects we know of older ones.
var betterQEMU = vm.Version{Major: 10}

// backportsFile is the source list that we add, with consent.
const backportsFile = "/etc/apt/sources.list.d/plugstorm-backports.list"

// aptLine is the command that installs packages, for a person to paste.
func aptLine(packages []string) string {
	return "apt-get install --no-install-recommends " + strings.Join(packages, " ")
}

func sorted(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }

// install installs what is missing. It says what, and asks on a terminal.
func (a *app) install(ctx context.Context, o installOptions) error {
	store, err := a.store()
	if err != nil {
		return err
	}
	packages := map[string]bool{}
	for _, r := range missingTools(store) {
		packages[r.Package] = true
	}
	old := map[string]bool{} // QEMU packages that are missing or have defects that a newer one hasn't
	for _, m := range guests.Default() {
		_, version, err := vm.Emulator(ctx, m)
		if err != nil {
			packages[m.Package] = true
		}
		if version.Less(betterQEMU) {
			old[m.Package] = true
		}
	}
	backports := len(old) > 0 && a.wantBackports(ctx, o, sorted(old))
	if backports {
		for p := range old {
			delete(packages, p)
		}
	}
	if len(packages) == 0 && !backports {
		return nil
	}
	return a.installPackages(ctx, o, sorted(packages), old, backports)
}

func (a *app) installPackages(ctx context.Context, o installOptions, packages []string, old map[string]bool, backports bool) error {
	fmt.Fprintf(a.stderr, "about to install: %s\n", strings.Join(packages, " "))
	if !a.root {
		return blame.Errorf(blame.Host, "sudo "+aptLine(packages), "installing packages takes root")
	}
	if !o.yes && a.interactive && !a.ask("install them?") {
		return blame.Errorf(blame.User, aptLine(packages), "not installed: you said no")
	}
	if err := a.apt(ctx, "update"); err != nil {
		return err
	}
	if len(packages) > 0 {
		if err := a.apt(ctx, append([]string{"install", "-y", "--no-install-recommends"}, packages...)...); err != nil {
			return err
		}
	}
	if backports {
		return a.installBackports(ctx, sorted(old))
	}
	return nil
}

// wantBackports asks for consent to a further package source. Without a
// terminal only --backports is consent.
func (a *app) wantBackports(ctx context.Context, o installOptions, packages []string) bool {
	if codename(ctx) != "bookworm" {
		return false
	}
	if o.backports {
		return true
	}
	fmt.Fprintf(a.stderr, "bookworm's QEMU 7.2 loses vCPU removal under TCG to a defect; bookworm-backports has QEMU 10 (%s)\n", strings.Join(packages, " "))
	return a.interactive && a.ask("add bookworm-backports to this host's package sources and install it from there?")
}

// installBackports adds the source, next to where bookworm itself comes from,
// and installs packages from it.
func (a *app) installBackports(ctx context.Context, packages []string) error {
	fmt.Fprintf(a.stderr, "about to add %s and to install from bookworm-backports: %s\n", backportsFile, strings.Join(packages, " "))
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI)|$(RELEASE)|$(SIGNED_BY)", "Created-By: Packages").Output()
	if err != nil {
		return blame.On(blame.Host, fmt.Errorf("apt-get indextargets: %w", err), "apt-get update")
	}
	line, ok := backportsSource(string(out))
	if !ok {
		return blame.Errorf(blame.Host, "add bookworm-backports to /etc/apt/sources.list.d by hand", "no package source for bookworm is configured here")
	}
	if err := os.WriteFile(backportsFile, []byte(line), 0o644); err != nil {
		return blame.On(blame.Host, err, "")
	}
	if err := a.apt(ctx, "update"); err != nil {
		_ = os.Remove(backportsFile) // a source that apt can't use breaks all of apt
		return err
	}
	return a.apt(ctx, append([]string{"install", "-y", "--no-install-recommends", "-t", "bookworm-backports"}, packages...)...)
}

// backportsSource makes the source line from apt's list of index targets, one
// URI|RELEASE|KEY a line. Where apt knows no key of a source it leaves the
// variable as it is (apt 2.6 with a deb822 source): the keys that it trusts for
// every source, Debian's own among them, serve then.
func backportsSource(targets string) (string, bool) {
	for line := range strings.Lines(targets) {
		fields := strings.Split(strings.TrimSpace(line), "|")
		if len(fields) != 3 || fields[0] == "" || fields[1] != "bookworm" {
			continue
		}
		options := ""
		if fields[2] != "" && !strings.Contains(fields[2], "$(") {
			options = "[signed-by=" + fields[2] + "] "
		}
		return fmt.Sprintf("deb %s%s bookworm-backports main\n", options, strings.TrimSuffix(fields[0], "/")), true
	}
	return "", false
}

// codename is Debian's name of this host's release, "" elsewhere.
func codename(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "sh", "-c", `. /etc/os-release && [ "$ID" = debian ] && echo "$VERSION_CODENAME"`).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// apt runs apt-get; what it prints goes to stderr.
func (a *app) apt(ctx context.Context, args ...string) error {
	c := exec.CommandContext(ctx, "apt-get", args...)
	c.Env = append(slices.Clone(a.env), "DEBIAN_FRONTEND=noninteractive")
	c.Stdout, c.Stderr = a.stderr, a.stderr
	if err := c.Run(); err != nil {
		return blame.Errorf(blame.Host, "run it by hand and see what it lacks", "apt-get %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// ask asks a yes-or-no question. No answer means no.
func (a *app) ask(question string) bool {
	fmt.Fprintf(a.stderr, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(a.stdin).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true
	}
	return false
}
