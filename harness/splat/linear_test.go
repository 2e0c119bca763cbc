// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"bytes"
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// adversaries make inputs of about n bytes that are meant to be expensive.
var adversaries = []struct {
	name string
	log  func(n int) []byte
}{
	{"headings of stacks", repeat("BUG: KASAN: x in f+0x1/0x2\n", "Call Trace:\n")},
	{"frames", repeat("BUG: KASAN: x in f+0x1/0x2\nCall Trace:\n", " f+0x1/0x2\n")},
	{"stacks", repeat("BUG: KASAN: x in f+0x1/0x2\n", "Call Trace:\n f+0x1/0x2\n")},
	{"one line of anchors", repeat("", "BUG: KASAN: ")},
	{"one line of brackets", repeat("BUG: KASAN: ", "[")},
	{"one line of blanks", repeat("BUG: KASAN: x in f", " ")},
	{"one line of quote marks", repeat("", "> >")},
	{"one line of escapes", repeat("BUG: KASAN: ", "\x1b[3")},
	{"lines of almost a stamp", repeat("BUG: KASAN: x in f+0x1/0x2\n", strings.Repeat("[  1.23456", 40)+"\n")},
	{"symbols without end", repeat("BUG: KASAN: x in f+0x1/0x2\n", strings.Repeat("a<b::", 80)+"+0x\n")},
	{"openings", repeat("", "WARNING: CPU: 1 PID: 1 at a.c:1 f+0x1/0x2\n")},
	{"openings of other kinds", repeat("", "BUG: KASAN: x in f\nINFO: task a:1 blocked for more than 120 seconds.\nBUG: Bad page state\n")},
	{"preludes", repeat("", "list_add corruption. next\npage dumped because: VM_BUG_ON(x)\n")},
	{"panics", repeat("", "Kernel panic - not syncing: x\n---[ end Kernel panic - not syncing: x ]---\n")},
	{"callers", func(n int) []byte {
		return lines(n, "[   12.000000][T%d] WARNING: CPU: 1 PID: 1 at a.c:1 f+0x1/0x2\n[   12.000000][T%[2]d] Call Trace:\n", 97, 89)
	}},
	{"callers' frames", func(n int) []byte {
		return append(lines(2000, "[   12.000000][T%d] BUG: KASAN: x in f\n", 31, 1), lines(n, "[   12.000000][T%d]  f%[2]d+0x1/0x2\n", 31, 7)...)
	}},
	{"replays", repeat("", "BUG: KASAN: x in f+0x1/0x2\n** replaying previous printk message **\n")},
	{"replays of one message", repeat("", "BUG: KASAN: x in f+0x1/0x2** replaying previous printk message **\nBUG: KASAN: x in f+0x1/0x2\n")},
	{"links of a chain", func(n int) []byte {
		return append([]byte(circular), lines(n, "-> #%d (l%[2]d){+.+.}-{3:3}:\n       f+0x1/0x2\n", 9000, 9001)...)
	}},
	{"locks held", func(n int) []byte {
		return append([]byte(circular), lines(n, " #%d: ffff888000000000 (l%[2]d){+.+.}-{3:3}, at: f+0x1/0x2\n", 48, 9001)...)
	}},
	{"hung tasks", func(n int) []byte {
		return lines(n, "INFO: task a%d:%[2]d blocked for more than 120 seconds.\nCall Trace:\n __schedule+0x1/0x2\n mutex_lock+0x1/0x2\n f+0x1/0x2\n", 9000, 9001)
	}},
	{"locks of all tasks", func(n int) []byte {
		return append([]byte("INFO: task a:1 blocked for more than 120 seconds.\nShowing all locks held in the system:\n"),
			lines(n, "1 lock held by a%d/%[2]d:\n #0: ffff888000000000 (l){+.+.}-{3:3}, at: f+0x1/0x2\n", 9000, 9001)...)
	}},
	{"tasks of a dump", func(n int) []byte {
		return append([]byte("INFO: task a:1 blocked for more than 120 seconds.\n"),
			lines(n, "task:a%d state:D stack:0 pid:%[2]d tgid:1 ppid:2 flags:0x0\nCall Trace:\n mutex_lock+0x1/0x2\n f+0x1/0x2\n", atMost, atMost)...)
	}},
}

// atMost is how many tasks blocked at once are put into an input. A wait-for
// graph costs the square of its tasks, of which package waitfor keeps a bounded
// number.
const atMost = 50

const circular = "WARNING: possible circular locking dependency detected\na/1 is trying to acquire lock:\nffff888000000000 (a){+.+.}-{3:3}, at: f+0x1/0x2\n" +
	"but task is already holding lock:\nffff888000000008 (b){+.+.}-{3:3}, at: f+0x1/0x2\nthe existing dependency chain (in reverse order) is:\n"

func repeat(head, unit string) func(int) []byte {
	return func(n int) []byte { return append([]byte(head), bytes.Repeat([]byte(unit), n/len(unit))...) }
}

// lines repeats a format with two numbers that count in circles.
func lines(n int, format string, a, b int) []byte {
	var log bytes.Buffer
	for i := 0; log.Len() < n; i++ {
		line := fmt.Sprintf(format, i%a, i%b)
		line, _, _ = strings.Cut(line, "%!(EXTRA")
		log.WriteString(line)
	}
	return log.Bytes()
}

// usage returns the user time of this process in microseconds. Other
// processes don't enter into it. The kernel's account of it is coarse: what is
// measured must last for some ticks.
func usage(t testing.TB) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return u.Utime.Nano() / 1000
}

// TestLinear: an input costs about as much as eight of an eighth of its size.
// Quadratic work would cost eight times as much; thrice is forgiven, and 30 ms.
func TestLinear(t *testing.T) {
	const size, factor, limit, forgiven = 4 << 10, 8, 3, 30_000
	const lasting = 20_000 // µs of measurement at least
	for _, a := range adversaries {
		small, large := a.log(size), a.log(factor*size)
		var whole, parts, n int64
		for start := usage(t); whole < lasting && n < 1000; whole = usage(t) - start {
			Find(large)
			n++
		}
		start := usage(t)
		for range n * factor {
			Find(small)
		}
		parts = usage(t) - start
		t.Logf("%-26s %5.1f MB/s, in parts %5.1f MB/s", a.name, rate(n*int64(len(large)), whole), rate(n*factor*int64(len(small)), parts))
		if whole > limit*parts+forgiven {
			t.Errorf("%s: %d µs as a whole, %d µs in %d parts, %d times", a.name, whole, parts, factor, n)
		}
	}
}

// rate converts bytes and microseconds to MB/s.
func rate(n, usec int64) float64 { return float64(n) / float64(max(usec, 1)) }
