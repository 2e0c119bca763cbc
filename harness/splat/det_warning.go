// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"regexp"
	"strings"

	"plugstorm/harness/frame"
)

// Warning reads WARN_ON and its family.
var Warning = register(&Detector{
	Name: "warning",
	Doc: "WARN_ON and WARN (kernel/panic.c __warn), x86, powerpc, arm and arm64. Some places in the kernel warn on " +
		"behalf of their callers (refcounts, debugobjects, kobjects): see warningKinds. lockdep stays on. " +
		"Identity: the function that warned and its two noteworthy callers.",
	Anchors: []string{"WARNING: "},
	Begins:  warningRE.MatchString,
	Sequel:  afterLockNotice,
	Read:    readWarning,
})

// The forms of the heading: before 2.6.39 without CPU, then
// "WARNING: CPU: 1 PID: 2 at file:line func+0x..", since 6.18
// "WARNING: [condition] file:line at func+0x.., CPU#1: comm/pid". Kernels
// without CONFIG_DEBUG_BUGVERBOSE leave the file out.
var warningRE = regexp.MustCompile(`WARNING: (?:\[.*\] )?(?:CPU: \d+ PID: \d+ )?(?:at )?(?:(\S+?\.(?:[chSly]|rs)):\d+(?: at)? (?:` + frame.Name + `(?:\+0x[0-9a-f]+|\(|$)|0x0, CPU#)|(?:[A-Za-z_][\w.$]*)\+0x[0-9a-f]+/)`)

var newWarnTaskRE = regexp.MustCompile(`CPU#(\d+): (.+/\d+)\s*$`)

// A warningKind is a place in the kernel that warns on behalf of its callers.
type warningKind struct {
	file   *regexp.Regexp // source file
	fn     *regexp.Regexp // function that warned
	prefix string         // of the title, without " in "
	typ    string
	skip   []string // parts of further names to skip
	suffix string   // of the title
}

var warningKinds = []warningKind{
	{regexp.MustCompile(`lib/refcount\.c$`), regexp.MustCompile(`refcount`), "WARNING: refcount bug", TypeRefcount, []string{"refcount", "kobject_"}, ""},
	{regexp.MustCompile(`lib/debugobjects\.c$`), regexp.MustCompile(`debug_print|debug_check`), "WARNING: ODEBUG bug", TypeWarning,
		[]string{"debug_", "rcu", "timer", "work_", "percpu_", "kmem_", "slab_", "kfree", "vfree", "vunmap", "__free_", "kobject_"}, ""},
	{regexp.MustCompile(`lib/kobject\.c$`), regexp.MustCompile(`kobject`), "WARNING: kobject bug", TypeWarning, []string{"kobject_"}, ""},
	{regexp.MustCompile(`kernel/locking/lockdep\.c$`), regexp.MustCompile(`lock_`), "WARNING: locking bug", TypeLockdep, []string{"lock_sock", "release_sock"}, ""},
	{regexp.MustCompile(`mm/usercopy\.c$`), regexp.MustCompile(`usercopy`), "WARNING: bad usercopy", TypeWarning, []string{"usercopy", "__check"}, ""},
	{regexp.MustCompile(`fs/proc/generic\.c$`), regexp.MustCompile(`proc_register`), "WARNING: proc registration bug", TypeWarning, []string{"proc_"}, ""},
	{regexp.MustCompile(`mm/vmalloc\.c$`), regexp.MustCompile(`vmalloc`), "WARNING: zero-size vmalloc", TypeWarning, []string{"vmalloc", "vzalloc"}, ""},
	{regexp.MustCompile(`drivers/usb/core/urb\.c$`), regexp.MustCompile(`usb_submit_urb`), "WARNING", TypeWarning, nil, "/usb_submit_urb"},
	{regexp.MustCompile(`^mm/`), regexp.MustCompile(`^_*k.?malloc|kcalloc`), "WARNING: kmalloc bug", TypeWarning, []string{"malloc", "calloc", "zalloc", "realloc", "slab", "kmem"}, ""},
}

func readWarning(r *Report, f *Finding) {
	m := warningRE.FindStringSubmatch(r.Head())
	file, fn := m[1], frame.Bare(m[2])
	f.Type = TypeWarning
	if t := newWarnTaskRE.FindStringSubmatch(r.Head()); t != nil {
		f.setCPU(t[1])
		f.Task = t[2]
	}
	s := r.faultStack()
	frames := s.all()
	f.Stack = frames
	if fn == "" { // 6.18 and later can't always tell
		fn = frame.Bare(s.at)
	}
	if len(frames) == 0 || frames[0] != fn {
		f.Stack = append([]string{fn}, frames...)
	}
	r.fault = fn
	r.lockRule(f, fn)
	if strings.HasPrefix(fn, "lockdep_assert") {
		// The assertion is the complaint, whoever trips over it.
		f.Title = "WARNING in " + fn
		f.alt("WARNING in " + orCorrupted(culprit(frames)))
		f.Corrupted = len(frames) < 2
		return
	}
	kind := warningKind{prefix: "WARNING", typ: TypeWarning}
	for _, k := range warningKinds {
		if k.file.MatchString(file) && k.fn.MatchString(fn) {
			kind = k
			break
		}
	}
	f.Type = kind.typ
	f.in(kind.prefix, frames, kind.skip...)
	if f.Corrupted {
		f.alt(kind.prefix + " in " + fn)
	}
	f.Title += kind.suffix
	f.Corrupted = f.Corrupted || !r.traced()
}

func orCorrupted(fn string) string {
	if fn == "" {
		return corrupted
	}
	return fn
}

// traced reports whether the report has a stack trace, even an empty one.
// riscv prints it behind the registers without a heading.
func (r *Report) traced() bool {
	registers := false
	for _, e := range r.events() {
		if e.kind == trace || registers && e.kind == framed {
			return true
		}
		registers = registers || e.register == frame.RISCV
	}
	return false
}
