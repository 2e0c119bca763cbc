// SPDX-License-Identifier: Apache-2.0

package triage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/splat"
)

// consoles returns the golden samples of package splat, by detector and name.
func consoles(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("../splat/testdata/*/*.txt")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d samples: %v", len(files), err)
	}
	all := map[string][]byte{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		input, _, ok := bytes.Cut(data, []byte("======== expected ========\n"))
		if ok {
			all[filepath.Base(filepath.Dir(file))+"/"+filepath.Base(file)] = input
		}
	}
	return all
}

func splats(found []Finding) []splat.Finding {
	var all []splat.Finding
	for _, f := range found {
		all = append(all, f.Finding)
	}
	return all
}

// TestReadFindsTheSame: a stream shows what the whole log in memory shows,
// however it comes.
func TestReadFindsTheSame(t *testing.T) {
	for name, input := range consoles(t) {
		want := splat.Find(input)
		splits := map[string]io.Reader{
			"whole": bytes.NewReader(input), "in halves": iotest.HalfReader(bytes.NewReader(input)), "with the end": iotest.DataErrReader(bytes.NewReader(input)),
		}
		if len(input) < 8<<10 { // it takes its time
			splits["in bytes"] = iotest.OneByteReader(bytes.NewReader(input))
		}
		for split, in := range splits {
			found, dropped, err := Read(in)
			if diff := cmp.Diff(want, splats(found)); diff != "" || dropped != 0 || err != nil {
				t.Errorf("%s, %s: %d dropped, %v %s", name, split, dropped, err, diff)
			}
			for _, f := range found {
				if len(f.Lines) == 0 {
					t.Errorf("%s, %s: %s has no lines", name, split, f.Title)
				}
			}
		}
	}
}

const warning = `[    9.100000][   T41] ------------[ cut here ]------------
[    9.100001][   T41] WARNING: CPU: 0 PID: 41 at drivers/base/memory.c:311 memory_subsys_offline+0x21/0x80
[    9.100001][   T42] somebody else
[    9.100002][   T41] CPU: 0 UID: 0 PID: 41 Comm: kworker/u8:2 Not tainted 6.12.117-plugstorm #1
[    9.100003][   T41] RIP: 0010:memory_subsys_offline+0x21/0x80
[    9.100004][   T41] Call Trace:
[    9.100006][   T41]  device_offline+0xd0/0x110
[    9.200000][   T64] plugstorm: heartbeat seq=9 up=9500ms free=942400 workloads=0
[    9.100010][   T41] ---[ end trace 0000000000000000 ]---
`

func TestSurroundings(t *testing.T) {
	input := warning +
		"SeaBIOS (version 1.16)\n[    0.000000] Linux version 6.1.0 (a@b) #2 SMP\n[    0.000000] DMI: QEMU Standard PC (Q35), BIOS 1\n" + warning +
		"Preparing to boot Linux version 6.2.0\n[    0.000000] Linux version 6.3.0 (a@b) #3\r\n" +
		strings.Replace(warning, "[    9.100003]", "[    9.100002][   T41] Hardware name: IBM pSeries\n[    9.100003]", 1)
	found, _, err := Read(iotest.OneByteReader(strings.NewReader(input)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range found {
		if f.Detector == "warning" {
			got = append(got, fmt.Sprintf("%s|%s|%s", f.Kernel, f.Release(), f.Hardware))
		}
	}
	want := []string{
		"6.12.117-plugstorm #1|6.12.117-plugstorm|",
		"Linux version 6.1.0 (a@b) #2 SMP|6.1.0|QEMU Standard PC (Q35), BIOS 1",
		"Linux version 6.3.0 (a@b) #3|6.3.0|IBM pSeries",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	lines := []string{
		"WARNING: CPU: 0 PID: 41 at drivers/base/memory.c:311 memory_subsys_offline+0x21/0x80",
		"CPU: 0 UID: 0 PID: 41 Comm: kworker/u8:2 Not tainted 6.12.117-plugstorm #1",
		"RIP: 0010:memory_subsys_offline+0x21/0x80", "Call Trace:", " device_offline+0xd0/0x110", "---[ end trace 0000000000000000 ]---",
	}
	if diff := cmp.Diff(lines, found[0].Lines); diff != "" {
		t.Errorf("lines of other sources are left out: %s", diff)
	}
}

func TestRelease(t *testing.T) {
	for line, want := range map[string]string{
		"6.12.117-plugstorm #1 Not tainted":                                       "6.12.117-plugstorm #1",
		"4.14.0-rc3+ #47 Tainted: G        W":                                     "4.14.0-rc3+ #47",
		"CPU: 1 PID: 41 Comm: a b Tainted: G        W  O       6.12.0 #1 PREEMPT": "6.12.0 #1 PREEMPT",
		"CPU: 1 UID: 0 PID: 4 Comm: x Tainted: G  O  6.13.0-rc1-g0123456789ab #1": "6.13.0-rc1-g0123456789ab #1",
		"CPU: 1 PID: 41 Comm: x Not tainted 6.12.0 #1":                            "6.12.0 #1",
		"version 1.2 #3": "",
		"hda: 6.12.0 #1": "",
		"      Tainted: G        W           6.12.117-plugstorm #1 (hung_task's form)": "6.12.117-plugstorm #1",
	} {
		if got := release([]string{"x", line}); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

var errBroken = errors.New("broken")

// TestReadKeepsWhatItHas: an error doesn't take away what came before it.
func TestReadKeepsWhatItHas(t *testing.T) {
	found, _, err := Read(io.MultiReader(strings.NewReader(warning), iotest.ErrReader(errBroken)))
	if len(found) != 1 || !errors.Is(err, errBroken) {
		t.Errorf("%d findings, %v", len(found), err)
	}
	l, err := ReadInput("x.log", io.MultiReader(strings.NewReader(warning), iotest.ErrReader(errBroken)), 1)
	if len(l.Findings) != 1 || !errors.Is(err, errBroken) || !strings.HasPrefix(err.Error(), "x.log: ") || l.Error == "" {
		t.Errorf("%+v, %v", l, err)
	}
}

// TestMemoryIsBounded: a long text with no end of lines, and a hang that nobody
// explains, leave a bounded window.
func TestMemoryIsBounded(t *testing.T) {
	hang := "[  242.0][ T1] x\n[  242.000000][   T27] INFO: task a:11 blocked for more than 120 seconds.\n[  242.000001][   T27] Call Trace:\n[  242.000002][   T27]  f+0x1/0x2\n"
	block := []byte(strings.Repeat("[  300.000000][    T1] an ordinary line, as there are many\n", 1<<10))
	for _, head := range []string{"", hang} {
		r := newReader(nil)
		r.behind, r.hangFor = 2*int64(len(block)), 8*int64(len(block))
		feed := func(p []byte) {
			r.window = append(r.window, p...)
			r.take(len(p))
			r.forget()
		}
		feed([]byte(head))
		total := len(head)
		for ; total < 3*int(r.hangFor); total += len(block) {
			feed(block)
			if len(r.window) > int(r.hangFor+2*r.behind)+len(block) {
				t.Fatalf("%q: the window has grown to %d bytes", head, len(r.window))
			}
		}
		if r.base+int64(len(r.window)) != int64(total) {
			t.Errorf("the window ends at %d, the text at %d", r.base+int64(len(r.window)), total)
		}
		if head != "" && (len(r.found) != 1 || r.hang >= 0) {
			t.Errorf("%d findings, hang at %d", len(r.found), r.hang)
		}
	}
}

// TestManyOfOneHideNoOther: repetitions are dropped first.
func TestManyOfOneHideNoOther(t *testing.T) {
	other := strings.ReplaceAll(warning, "memory_subsys_offline", "another_function")
	found, dropped, err := Read(strings.NewReader(strings.Repeat(warning, maxFindings+5) + other))
	if err != nil || dropped != 5 || len(found) != maxFindings+1 || !strings.Contains(found[maxFindings].Title, "another_function") {
		t.Errorf("%d found, %d dropped, %v", len(found), dropped, err)
	}
}

// TestParts: offsets count in each part's own text, quote marks cut.
func TestParts(t *testing.T) {
	mail := "From a Sat Nov 21 20:00:00 2026\nFrom: a\nSubject: b\n\n> " + strings.ReplaceAll(warning, "\n", "\n> ") + "\n" +
		"\nFrom a Sat Nov 21 20:00:00 2026\nFrom: a\nSubject: b\n\nnothing\n\nFrom a Sat Nov 21 20:00:00 2026\nFrom: a\nSubject: b\n\n" + warning
	l, err := ReadInput("m", strings.NewReader(mail), 1)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range l.Findings {
		got = append(got, fmt.Sprintf("%s %d", f.Part, f.Start))
	}
	if diff := cmp.Diff([]string{"mail 1 60", "mail 3 60"}, got); diff != "" {
		t.Error(diff)
	}
}
