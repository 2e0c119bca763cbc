// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"regexp"
	"strings"
)

// VFS reads what the VFS says about objects that outlive their file system.
var VFS = register(&Detector{
	Name: "vfs",
	Doc: "Inodes or dentries in use after an unmount, or a file closed twice (fs/super.c, fs/dcache.c, fs/open.c). " +
		"Identity: what it says, without the objects' names.",
	Anchors: []string{"VFS: Busy inodes after", "VFS: Close: file count", "BUG: Dentry "},
	Begins:  vfsRE.MatchString,
	Read: func(r *Report, f *Finding) {
		m := vfsRE.FindStringSubmatch(r.Head())
		switch {
		case m[1] != "":
			f.Title, f.Type = "BUG: Dentry still in use in unmount", TypeNone
			f.alt("BUG: Dentry still in use [unmount of " + m[2] + "]")
		case strings.Contains(r.Head(), "Busy"):
			f.Title, f.Type = "VFS: Busy inodes after unmount (use-after-free)", TypeDoS
		default:
			f.Title, f.Type = "VFS: Close: file count is zero (use-after-free)", TypeDoS
		}
		f.Stack = r.faultStack().all()
		f.Identity = "vfs: " + f.Title
	},
})

var vfsRE = regexp.MustCompile(`VFS: Busy inodes after unmount|VFS: Close: file count is (?:0|zero)|BUG: (Dentry) .* still in use \(-?\d+\) \[unmount of ([^\]]+)\]`)
