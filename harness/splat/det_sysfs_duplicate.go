// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"regexp"

	"plugstorm/harness/frame"
)

// SysfsDuplicate reads sysfs's complaint of a name that is taken.
var SysfsDuplicate = register(&Detector{
	Name: "sysfs_duplicate",
	Doc: "A file, directory or link that sysfs is to make and that is there: whoever had it didn't take it away (fs/sysfs/dir.c sysfs_warn_dup). " +
		"Identity: the path without numbers, and the function that wanted it.",
	Anchors: []string{"cannot create duplicate filename '"},
	Begins:  sysfsDuplicateRE.MatchString,
	Read: func(r *Report, f *Finding) {
		path := digitsRE.ReplaceAllString(sysfsDuplicateRE.FindStringSubmatch(r.Head())[1], "N")
		f.Type, f.Title = TypeBooks, "sysfs has "+path+" already"
		f.Stack = r.traceStack(0)
		f.Identity = "sysfs_duplicate: " + path
		for _, fn := range f.Stack {
			if fn = frame.Bare(fn); !isNoise(fn) && !sysfsOwnRE.MatchString(fn) {
				f.Identity += " < " + fn
				break
			}
		}
		f.Corrupted = !r.traced()
	},
})

var (
	sysfsDuplicateRE = regexp.MustCompile(`^sysfs: cannot create duplicate filename '([^']*)'`)
	sysfsOwnRE       = regexp.MustCompile(`^(sysfs|kernfs|kobject|device)_|^(create_dir|internal_create_group)`)
	digitsRE         = regexp.MustCompile(`\d+`)
)
