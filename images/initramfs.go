// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/cavaliergopher/cpio"

	"plugstorm/harness/blame"
)

//go:embed agents
var agentFS embed.FS

// Initramfs returns an initramfs for a kernel, as an uncompressed newc archive
// (a guest under TCG is slow at unpacking): the agent as /init and the modules
// in /lib/plugstorm. Equal content gives an equal file.
func (s *Store) Initramfs(ctx context.Context, k *Kernel, arch *Arch) (string, error) {
	if err := s.prepare(); err != nil {
		return "", err
	}
	program, err := agentFS.ReadFile("agents/" + arch.GOARCH)
	if err != nil {
		return "", blame.Errorf(blame.Harness, "run: make build", "this plugstorm was built without the guest's agent for %s", arch.GOARCH)
	}
	modules := map[string][]byte{}
	for name, file := range k.Modules {
		if modules[name], err = os.ReadFile(file); err != nil {
			return "", blame.On(blame.Host, err, "something removed it from the cache; run again")
		}
	}
	data, err := archive(program, modules)
	if err != nil {
		return "", err
	}
	name := digest(data)[:keyLength]
	file := s.path("initramfs", name+".cpio")
	if exists(file) {
		s.touch(file)
		return file, nil
	}
	held, err := s.lock(ctx, "initramfs-"+name, "storing an initramfs", exclusive)
	if err != nil {
		return "", err
	}
	defer held.unlock()
	return file, s.blameDisk(writeFile(file, data))
}

// archive makes the newc archive.
func archive(agent []byte, modules map[string][]byte) ([]byte, error) {
	a := &archiver{}
	a.w = cpio.NewWriter(&a.out)
	for _, dir := range []string{"dev", "lib", "lib/plugstorm", "proc", "sys", "tmp"} {
		a.add(&cpio.Header{Name: dir, Mode: cpio.TypeDir | 0o755, Links: 2}, nil)
	}
	a.console()
	a.add(&cpio.Header{Name: "init", Mode: cpio.TypeReg | 0o755}, agent)
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		a.add(&cpio.Header{Name: "lib/plugstorm/" + name + ".ko", Mode: cpio.TypeReg | 0o644}, modules[name])
	}
	if a.err == nil {
		a.err = a.w.Close()
	}
	return a.out.Bytes(), a.err
}

// An archiver keeps the first error of a row of steps.
type archiver struct {
	out bytes.Buffer
	w   *cpio.Writer
	err error
}

// add appends a file. Times are zero for the archive to depend on content only.
func (a *archiver) add(h *cpio.Header, data []byte) {
	if a.err != nil {
		return
	}
	h.Size = int64(len(data))
	if a.err = a.w.WriteHeader(h); a.err == nil && len(data) > 0 {
		_, a.err = a.w.Write(data)
	}
}

// console appends /dev/console, character device 5:1. The library writes zero
// for device numbers, so they are put in afterwards, at their places in a newc
// header (Documentation/driver-api/early-userspace/buffer-format.rst).
func (a *archiver) console() {
	const rmajor, rminor = 78, 86
	if a.err == nil {
		a.err = a.w.Flush()
	}
	at := a.out.Len()
	a.add(&cpio.Header{Name: "dev/console", Mode: cpio.TypeChar | 0o600, Links: 1}, nil)
	if a.err == nil {
		header := a.out.Bytes()[at:]
		copy(header[rmajor:], fmt.Sprintf("%08X", 5))
		copy(header[rminor:], fmt.Sprintf("%08X", 1))
	}
}
