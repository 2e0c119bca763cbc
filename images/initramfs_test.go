// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cavaliergopher/cpio"
	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/blame"
)

// unarchive lists what is in an archive: "MODE NAME CONTENT". Nothing in it may
// have a time.
func unarchive(t *testing.T, data []byte) []string {
	t.Helper()
	var all []string
	r := cpio.NewReader(bytes.NewReader(data))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.ModTime.Unix() != 0 {
			t.Errorf("%s has the time %v", h.Name, h.ModTime)
		}
		all = append(all, fmt.Sprintf("%o %s %s%s", h.Mode, h.Name, text, h.Linkname))
	}
}

func TestArchive(t *testing.T) {
	modules := map[string][]byte{"b": []byte("module b"), "a": []byte("module a")}
	data, err := archive([]byte("agent"), modules)
	if err != nil {
		t.Fatal(err)
	}
	got := unarchive(t, data)
	want := []string{
		"40755 dev ", "40755 lib ", "40755 lib/plugstorm ", "40755 proc ", "40755 sys ", "40755 tmp ", "20600 dev/console ",
		"100755 init agent", "100644 lib/plugstorm/a.ko module a", "100644 lib/plugstorm/b.ko module b",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// The reader doesn't know device numbers: look at the header itself.
	at := bytes.Index(data, []byte("dev/console\x00")) - 110
	if header := string(data[at : at+110]); !strings.HasPrefix(header, "070701") || header[78:94] != "0000000500000001" {
		t.Errorf("/dev/console has the header %q", header)
	}
	again, err := archive([]byte("agent"), modules)
	if err != nil || !bytes.Equal(data, again) {
		t.Errorf("the same content gives another archive (%v)", err)
	}
}

func TestInitramfs(t *testing.T) {
	s := &Store{Dir: filepath.Join(t.TempDir(), "cache")}
	arch := *X8664
	arch.GOARCH = "README" // there in every checkout, which agents aren't
	module := filepath.Join(t.TempDir(), "a.ko")
	if err := os.WriteFile(module, []byte("module"), 0o644); err != nil {
		t.Fatal(err)
	}
	one, err := s.Initramfs(t.Context(), &Kernel{Modules: map[string]string{"a": module}}, &arch)
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.Initramfs(t.Context(), &Kernel{}, &arch)
	if err != nil || other == one {
		t.Errorf("without the module: %s, %v", other, err)
	}
	again, err := s.Initramfs(t.Context(), &Kernel{Modules: map[string]string{"a": module}}, &arch)
	if err != nil || again != one {
		t.Errorf("again: %s, %v; want %s", again, err, one)
	}
	arch.GOARCH = "vax"
	if _, err := s.Initramfs(t.Context(), &Kernel{}, &arch); blame.Of(err) != blame.Harness || blame.Next(err) != "run: make build" {
		t.Errorf("no agent: %v, next %q", err, blame.Next(err))
	}
}
