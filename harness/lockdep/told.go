// SPDX-License-Identifier: Apache-2.0

package lockdep

import (
	"regexp"
	"strings"

	"plugstorm/harness/frame"
)

// Some classes share a printed name, though they have keys of their own: the
// files of sysfs and its relatives, and work items initialised in one place.
// Which one it is, the stack of an acquisition inside tells: it leads through
// the file's own function, or the work's.

// told says which class of those named like class is held while a stack goes
// on, or "". Stacks are innermost first.
func told(class string, stack []string) string {
	switch {
	case class == "kn->active":
		return fileOf(stack)
	case strings.HasPrefix(class, completesWork):
		return caller(stack, workers)
	}
	return ""
}

var (
	// dispatchers are what calls a file's own functions, in fs/kernfs, fs/sysfs and in
	// the subsystems that wrap them.
	dispatchers = regexp.MustCompile(`^(?:kernfs_(?:fop|seq|file|iop)_\w+|seq_read\w*|sysfs_kf_\w+|\w+_attr_(?:show|store)|cgroup_(?:file_write|seqfile_show))$`)
	workers     = regexp.MustCompile(`^(?:process_one_work|process_scheduled_works)$`)
	// A file's functions are named after it.
	verbs = regexp.MustCompile(`(?:_show|_store|_read|_write)$`)
)

// fileOf names the file whose function the stack leads through.
func fileOf(stack []string) string { return verbs.ReplaceAllString(caller(stack, dispatchers), "") }

// caller returns the first function, from the outermost on, that one of the
// dispatchers called and that is none itself.
func caller(stack []string, dispatchers *regexp.Regexp) string {
	for i := len(stack) - 1; i > 0; i-- {
		inner := frame.Bare(stack[i-1])
		if !dispatchers.MatchString(frame.Bare(stack[i])) || dispatchers.MatchString(inner) {
			continue
		}
		if ruleFor(inner) != nil {
			return "" // the function that was called is inlined
		}
		return inner
	}
	return ""
}
