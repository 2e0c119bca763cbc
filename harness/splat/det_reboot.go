// SPDX-License-Identifier: Apache-2.0

package splat

import "regexp"

// Reboot notices that the machine started again.
var Reboot = register(&Detector{
	Name: "reboot",
	Doc: "A kernel's or firmware's banner after the console has already shown a running kernel: the guest reset, by a triple fault " +
		"or otherwise, which nothing else shows. Identity: only that it happened.",
	Anchors: []string{"Linux version ", "Booting the kernel", "SeaBIOS (version", "SLOF **", "SLOF\x1b"},
	Begins:  bannerRE.MatchString,
	Read: func(r *Report, f *Finding) {
		f.Title, f.Type, f.Fatal, f.Blinds = "unexpected kernel reboot", TypeReboot, true, true
		f.Identity = "reboot"
		r.lines, f.End = r.lines[:1], r.lines[0].End
	},
	Closes: func(*Report, string) bool { return true },
})

var bannerRE = regexp.MustCompile(`^Linux version \d+\.\d+|^Booting the kernel\.|^SeaBIOS \(version|^SLOF \*\*`)
