// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"plugstorm/harness/frame"
)

// corrupted stands in a title for a function that the report doesn't show.
const corrupted = "corrupted"

// in sets the title to prefix and the culprit of the frames. Without one, the
// title says so and the finding is marked corrupted.
func (f *Finding) in(prefix string, frames []string, own ...string) {
	fn := culprit(frames, own...)
	if fn == "" {
		fn, f.Corrupted = corrupted, true
	}
	short := syscallName(fn)
	f.Title = prefix + " in " + short
	if short != fn {
		f.alt(prefix + " in " + fn)
		if body := syscallBody(fn); body != fn {
			f.alt(prefix + " in sys_" + body)
		}
	}
	for _, top := range frames {
		if top = frame.Bare(top); !isNoise(top) {
			f.alt(prefix + " in " + top)
			break
		}
	}
}

// culprit returns the function that the title ends in, or "".
func (f *Finding) culprit() string {
	_, fn, _ := cutCulprit(f.Title)
	if fn == corrupted {
		return ""
	}
	return fn
}

// also adds the title that a family of complaints shares ("bad-access"), so
// that the same bug seen in two ways can be told to be one.
func (f *Finding) also(family string) {
	prefix, fn, ok := cutCulprit(f.Title)
	if !ok {
		return
	}
	f.alt(family + " in " + fn)
	for _, alt := range f.Alt {
		p, spelling, _ := cutCulprit(alt)
		if p == prefix && strings.HasSuffix(spelling, "sys_"+strings.TrimPrefix(fn, "sys_")) {
			f.alt(family + " in " + spelling)
		}
	}
}

// cutCulprit splits a title into what happened and where.
func cutCulprit(title string) (what, fn string, ok bool) {
	i := strings.LastIndex(title, " in ")
	if i < 0 {
		return title, "", false
	}
	return title[:i], title[i+4:], true
}

// syscallBody cuts what SYSCALL_DEFINE adds to the name of a call's body.
func syscallBody(fn string) string {
	for _, p := range []string{"__se_sys_", "__do_sys_"} {
		if rest, ok := strings.CutPrefix(fn, p); ok {
			return rest
		}
	}
	return fn
}

// wrapperPrefix is what each architecture's wrappers add to a call's name.
var wrapperPrefix = regexp.MustCompile(`^(?:__(?:x64|ia32|arm64|s390x?|powerpc|riscv)_|(?:compat_)?(?:SyS|SYSC)_)`)

// syscallName names a system call the same on every architecture.
func syscallName(fn string) string {
	fn = syscallBody(fn)
	if m := wrapperPrefix.FindString(fn); len(m) < len(fn) {
		return fn[len(m):]
	}
	return fn
}

func (f *Finding) alt(title string) {
	if title != f.Title && !slices.Contains(f.Alt, title) {
		f.Alt = append(f.Alt, title)
	}
}

var (
	cpuRE  = regexp.MustCompile(`\bCPU: (\d+) (?:UID: \d+ )?PID: (\d+) Comm: (.+?) (?:Not tainted|Tainted)`)
	warnRE = regexp.MustCompile(`\bCPU: (\d+) PID: (\d+) at `)
	atCPU  = regexp.MustCompile(`(?:\bCPU ?#?|\bcpu )(\d+)`)
)

// finish fills in what detectors have in common.
func (r *Report) finish(f *Finding) {
	r.who(f)
	if r.Has("Disabling lock debugging due to kernel taint") {
		f.Blinds = true
	}
	if r.Has("Kernel panic - not syncing") {
		f.Fatal, f.Blinds = true, true
	}
	if f.Stack == nil {
		f.Stack = []string{}
	}
	for i, fn := range f.Stack {
		f.Stack[i] = frame.Bare(fn)
	}
	f.Title = sanitize(f.Title)
	if strings.Contains(f.Title, "[") && strayStamp.MatchString(f.Title) {
		f.Corrupted = true
	}
	if r.hollow() {
		f.Corrupted = true
	}
	for i, alt := range f.Alt {
		f.Alt[i] = sanitize(alt)
	}
	if f.Identity == "" {
		f.Identity = identity(f, r.fault)
	}
	f.Identity, f.Task = frame.Printable(f.Identity), frame.Printable(f.Task)
}

// who fills in task and CPU.
func (r *Report) who(f *Finding) {
	for i := range r.lines {
		if !strings.Contains(r.lines[i].Message, " Comm: ") {
			continue
		}
		if m := cpuRE.FindStringSubmatch(r.lines[i].Message); m != nil {
			f.setCPU(m[1])
			if f.Task == "" {
				f.Task = m[3] + "/" + m[2]
			}
			return
		}
	}
	if m := warnRE.FindStringSubmatch(r.Head()); m != nil {
		f.setCPU(m[1])
	} else if m := atCPU.FindStringSubmatch(r.Head()); m != nil {
		f.setCPU(m[1])
	}
}

func (f *Finding) setCPU(s string) {
	if n, err := strconv.Atoi(s); err == nil && f.CPU < 0 {
		f.CPU = n
	}
}

var strayStamp = regexp.MustCompile(`\[ *\d+\.\d+\]`)

// sanitizers take out of a title what differs from run to run.
var sanitizers = []struct {
	re *regexp.Regexp
	to string
}{
	{regexp.MustCompile(`\b0x[0-9a-f]+\b|\b[0-9a-f]{8}(?:[0-9a-f]{8})?\b`), "ADDR"},
	{regexp.MustCompile(`([^a-zA-Z\d])\d{3,}\b`), "${1}NUM"},
	{regexp.MustCompile(`([=:#/ ])\d+\b`), "${1}NUM"},
}

const maxTitle = 120

// sanitize makes a title of one line that is the same in every run.
func sanitize(title string) string {
	title = strings.TrimSpace(frame.Printable(title))
	if len(title) > maxTitle {
		title = frame.Printable(title[:maxTitle])
	}
	return title
}

// scrub replaces addresses and numbers in free text from the kernel.
func scrub(text string) string {
	for _, s := range sanitizers {
		text = s.re.ReplaceAllString(text, s.to)
	}
	return text
}

// identity names a bug by its detector, the function at fault, and the
// innermost functions that aren't noise, three in all. Offsets, line numbers,
// addresses, tasks and CPUs don't enter it. A report without any function is
// named by its title.
func identity(f *Finding, fault string) string {
	if fault == "" || isNoise(fault) && !strings.HasPrefix(fault, "lockdep_assert") {
		fault = f.culprit()
	}
	parts := []string{fault}
	for _, fn := range f.Stack {
		if len(parts) == identityFrames {
			break
		}
		if fn != fault && !isNoise(fn) {
			parts = append(parts, fn)
		}
	}
	if parts[0] == "" {
		parts = parts[1:]
	}
	if len(parts) == 0 {
		return f.Detector + ": " + f.Title
	}
	return f.Detector + ": " + strings.Join(parts, " < ")
}

const identityFrames = 3
