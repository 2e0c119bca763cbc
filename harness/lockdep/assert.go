// SPDX-License-Identifier: Apache-2.0

package lockdep

import (
	"regexp"
	"strings"

	"plugstorm/harness/frame"
)

// asserted are the locks that assertion functions are about. Most assertions
// are inlined into their users, and then a warning's text doesn't say that it
// is one.
var asserted = map[string]string{
	"cpus_held":        "cpu_hotplug_lock",
	"mems_held":        "mem_hotplug_lock",
	"cpuset_lock_held": "cpuset_mutex",
	"rtnl_is_held":     "rtnl_mutex",
}

var (
	assertRE    = regexp.MustCompile(`^_*lockdep_(?:assert_|is_)(\w+?)(?:_once|_func)?$`)
	selfCheckRE = regexp.MustCompile(`^\s*DEBUG_LOCKS_WARN_ON\((.*)\)\s*$`)
	rtnlRE      = regexp.MustCompile(`^\s*RTNL: assertion failed at (\S+)\s*\(\s*(\d+)\)`)
	// 6.18 and later can print a warning's condition (CONFIG_DEBUG_BUGVERBOSE_DETAILED).
	conditionRE = regexp.MustCompile(`^\s*WARNING: \[(.*)\] \S+\.[chS]:\d+`)
	whereRE     = regexp.MustCompile(`^\s*WARNING: (?:\[.*\] )?(?:CPU: \d+ PID: \d+ )?(?:at )?(\S+\.[chS]:\d+)`)
	// Our own rule checker's (workloads/kmod/plugstorm_rules).
	ruleRE      = regexp.MustCompile(`\bLOCKRULE: ([^ :]+: \S.*)`)
	ruleLockRE  = regexp.MustCompile(`(?:: | or )(.+?) (?:required|forbidden)\b`)
	dependMapRE = regexp.MustCompile(`lock(?:dep)?_is_held(?:_type)?\((?:&\(?([^()]+?)\)?->dep_map|&?([\w.>&-]+))`)
)

// maxRuleLocks is how many locks the rule checker offers as alternatives.
const maxRuleLocks = 4

// ParseWarning reads a kernel warning whose condition is about locks: lines
// in order, without time stamps and caller ids, and the function that warned.
// It reports false when nothing in it says so.
func ParseWarning(lines []string, function string) (*Report, bool) {
	p := newParser(Assertion)
	r := p.report
	for _, line := range lines {
		line = frame.Printable(line)
		if m := whereRE.FindStringSubmatch(line); m != nil && r.Where == "" {
			r.Where = strings.TrimPrefix(clip(m[1]), "./")
		}
		p.condition(line)
		p.line(line)
	}
	if m := assertRE.FindStringSubmatch(frame.Bare(function)); m != nil && r.Rule == "" {
		r.Rule = clip(strings.ReplaceAll(m[1], "_", " "))
		if lock := asserted[m[1]]; lock != "" {
			p.class(lock)
			r.Rule = lock + " held"
		}
	}
	if r.Rule == "" {
		return nil, false
	}
	p.finish()
	return r, true
}

// condition reads the lines that tell which condition was broken.
func (p *parser) condition(line string) {
	r := p.report
	if r.Rule != "" {
		return
	}
	if m := ruleRE.FindStringSubmatch(line); m != nil {
		r.Rule = clip(m[1])
		for _, lock := range ruleLockRE.FindAllStringSubmatch(m[1], maxRuleLocks) {
			p.class(lock[1])
		}
		return
	}
	if m := selfCheckRE.FindStringSubmatch(line); m != nil {
		r.Kind, r.Rule = SelfCheck, clip(m[1])
		return
	}
	if rtnlRE.MatchString(line) {
		r.Rule = p.class("rtnl_mutex") + " held"
		return
	}
	if m := conditionRE.FindStringSubmatch(line); m != nil && strings.Contains(m[1], "lock") && strings.Contains(m[1], "_is_held") {
		r.Rule = clip(m[1])
		if d := dependMapRE.FindStringSubmatch(m[1]); d != nil {
			p.class(d[1] + d[2])
		}
	}
}
