// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"

	"plugstorm/harness/blame"
)

// sourcePackage is Debian's package of the kernel source that we build from by
// default, and sourceTarball the one file of interest in it.
const (
	sourcePackage = "linux-source-6.12"
	sourceTarball = "usr/src/linux-source-6.12.tar.xz"
)

// debianTree is Debian's kernel source: the installed package if there is one,
// else the same package fetched into the cache.
func (s *Store) debianTree(ctx context.Context) (*tree, error) {
	tarball := s.debianTarball
	if tarball == "" {
		tarball = "/" + sourceTarball
	}
	if !exists(tarball) {
		var err error
		if tarball, err = s.fetchSource(ctx); err != nil {
			return nil, err
		}
	}
	sum, err := s.hashFile(tarball)
	if err != nil {
		return nil, err
	}
	return &tree{
		key: key("tarball", sum), name: sourcePackage,
		fill: func(ctx context.Context, part string) error { return s.untar(ctx, tarball, part) },
	}, nil
}

// untar unpacks a kernel source without its top directory.
func (s *Store) untar(ctx context.Context, tarball, dir string) error {
	if _, err := s.lookPath("xz"); err != nil {
		return err
	}
	s.stage("unpack "+filepath.Base(tarball), unpackTime)
	err := s.run(ctx, command{
		name: "tar", args: []string{"-C", dir, "--strip-components=1", "--no-same-owner", "-xf", tarball}, env: s.env(),
	})
	if err != nil {
		return onHost(ctx, fmt.Errorf("unpacking the kernel source: %w", err), "see what tar says about "+tarball)
	}
	_, err = checkTree(dir)
	return err
}

// fetchSource fetches the source package into the cache, without root, and
// returns the tarball. It is fetched once.
func (s *Store) fetchSource(ctx context.Context) (string, error) {
	dir := s.path("debian", sourcePackage)
	tarball := filepath.Join(dir, sourceTarball)
	held, err := s.lock(ctx, "debian-"+sourcePackage, "fetching "+sourcePackage, exclusive)
	if err != nil {
		return "", err
	}
	defer held.unlock()
	if exists(tarball) {
		return tarball, nil
	}
	s.stage("fetch "+sourcePackage, fetchTime)
	if err := s.updateLists(ctx, X8664.DebArch); err != nil {
		return "", err
	}
	err = replace(dir, func(part string) error {
		return s.fetchPackage(ctx, X8664.DebArch, sourcePackage, part)
	})
	if err != nil {
		return "", fmt.Errorf("fetching the kernel source: %w", err)
	}
	return tarball, nil
}

// fetchPackage fetches a Debian package and unpacks it into dir. It uses the
// host's sources and keys and a private apt state, and needs no root. The
// lists must be up to date.
func (s *Store) fetchPackage(ctx context.Context, debArch, name, dir string) error {
	opts, err := s.aptOptions(debArch)
	if err != nil {
		return err
	}
	const next = "check the network and /etc/apt/sources.list, or name a kernel tree with --tree"
	debs := dir + "-deb.part"
	if err := os.RemoveAll(debs); err != nil {
		return err
	}
	if err := os.MkdirAll(debs, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(debs)
	err = s.run(ctx, command{dir: debs, name: "apt-get", args: append(opts, "download", name), env: s.env()})
	if err != nil {
		return onHost(ctx, err, next)
	}
	files, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	if err != nil || len(files) != 1 {
		return blame.Errorf(blame.Host, next, "apt-get download %s left %d packages", name, len(files))
	}
	return s.run(ctx, command{name: "dpkg-deb", args: []string{"-x", files[0], dir}, env: s.env()})
}

// aptOptions prepares a private apt state for one Debian architecture. The
// lists in it are filled by updateLists.
func (s *Store) aptOptions(debArch string) ([]string, error) {
	root := s.path("debian", "apt-"+debArch)
	for _, sub := range []string{"state/lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(root, sub), 0o755); err != nil {
			return nil, err
		}
	}
	status := filepath.Join(root, "status")
	if !exists(status) {
		if err := writeFile(status, nil); err != nil {
			return nil, err
		}
	}
	return []string{
		"-q",
		"-o", "Dir::State=" + root + "/state",
		"-o", "Dir::State::status=" + status,
		"-o", "Dir::Cache=" + root + "/cache",
		"-o", "APT::Architecture=" + debArch,
		"-o", "APT::Architectures=" + debArch,
		"-o", "APT::Sandbox::User=", // there is no need for root, so there is nothing to drop
		// One source out of reach must not hold the others up, and we want
		// package lists only.
		"-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=15", "-o", "Acquire::https::Timeout=15",
		"-o", "Acquire::Languages=none", "-o", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
	}, nil
}

// updateLists brings the private package lists up to date. Sources that don't
// answer are left out; whether the others suffice shows at the download.
func (s *Store) updateLists(ctx context.Context, debArch string) error {
	opts, err := s.aptOptions(debArch)
	if err != nil {
		return err
	}
	err = s.run(ctx, command{name: "apt-get", args: append(opts, "update"), env: s.env()})
	if err == nil || ctx.Err() != nil || errors.Is(err, exec.ErrNotFound) {
		return err
	}
	s.logf("%v", err)
	return nil
}

var dependency = regexp.MustCompile(`(?m)^Depends: (?:.*, )?(linux-image-[^ ,]+)`)

// stockPackage finds the package behind Debian's meta package of an
// architecture's kernel.
func (s *Store) stockPackage(ctx context.Context, arch *Arch) (string, error) {
	opts, err := s.aptOptions(arch.DebArch)
	if err != nil {
		return "", err
	}
	text, err := s.output(ctx, "apt-cache", append(opts, "show", "--no-all-versions", arch.StockPackage)...)
	if err != nil {
		return "", onHost(ctx, err, "check /etc/apt/sources.list")
	}
	m := dependency.FindSubmatch(text)
	if m == nil {
		return "", blame.Errorf(blame.Host, "check /etc/apt/sources.list", "%s depends on no kernel", arch.StockPackage)
	}
	return string(m[1]), nil
}
