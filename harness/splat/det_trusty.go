// SPDX-License-Identifier: Apache-2.0

package splat

import "regexp"

// Trusty reads panics of the Trusty secure OS, passed on by its driver.
var Trusty = register(&Detector{
	Name: "trusty",
	Doc: "A panic of the Trusty secure OS beside an arm64 kernel. " +
		"Identity: its text without numbers.",
	Anchors: []string{"trusty: panic"},
	Begins:  matching(`trusty: panic`),
	Sequel:  nil,
	Read: func(r *Report, f *Finding) {
		f.Type, f.Fatal = TypeDoS, true
		text := ""
		for i, l := range r.lines {
			if m := trustyRE.FindStringSubmatch(l.Message); m != nil && (i == 0 || m[1] == "ASSERT FAILED") {
				text, f.Corrupted = m[1]+": "+m[2], i > 0
				break
			}
		}
		if text == "" {
			text, f.Corrupted = "panic", true
		}
		f.Title = "trusty: " + scrub(text)
	},
})

var trustyRE = regexp.MustCompile(`(?:panic \(.*?\):(?: DEBUG)?|trusty: 0x[0-9a-f]+\):) (ASSERT FAILED|[^:]*?)(?: at \(.*?\))?: ?(.*)`)
