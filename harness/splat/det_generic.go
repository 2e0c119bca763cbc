// SPDX-License-Identifier: Apache-2.0

package splat

import "regexp"

// Generic reads complaints that no other detector knows.
var Generic = register(&Detector{
	Name: "generic",
	Doc: "Any other line that begins with \"BUG:\", \"WARNING:\" or \"INFO:\" and isn't known to be harmless. " +
		"Identity: its text without addresses and numbers.",
	Anchors:  []string{"BUG: ", "WARNING: ", "INFO: "},
	Fallback: true,
	Begins: func(message string) bool {
		m := genericRE.FindStringSubmatch(message)
		return m != nil && !harmless.MatchString(message) && (m[2] != "WARNING" || !harmlessWarning.MatchString(m[3]))
	},
	Read: func(r *Report, f *Finding) {
		m := genericRE.FindStringSubmatch(r.Head())
		f.Title = m[2] + ": " + scrub(offsetRE.ReplaceAllString(m[3], ""))
		if what := accounting.FindString(m[3]); what != "" {
			f.Title = m[2] + ": " + what
		}
		f.Type = TypeNone
		if m[2] == "WARNING" {
			f.Type = TypeWarning
		}
		f.Stack = r.faultStack().all()
		f.Identity = "generic: " + f.Title
	},
})

var (
	// accounting of an address space that ends with a remainder (kernel/fork.c check_mm).
	accounting = regexp.MustCompile(`^(?:Bad rss-counter state|non-zero \w+ on freeing mm)`)
	genericRE  = regexp.MustCompile(`^(\[ )?(BUG|WARNING|INFO): +(\S.*)`)
	// harmless are lines that look like complaints and are none, or only go on
	// with one (debug_show_blocker, kernel/hung_task.c).
	harmless = regexp.MustCompile(`INFO: (?:lockdep is turned off|Stall ended before|NMI handler|recovery required|task .* (?:is )?blocked on an? [\w-]+(?:,| likely ))|took too long|workqueue cpumask`)
	// harmlessWarning: the kernel's or a program's warnings to the administrator.
	harmlessWarning = regexp.MustCompile(`^(?:/|the mand mount|See |\w+: |Spectre|CPU:|[A-Z][a-z]+ .*(?:deprecated|mitigation)|` + "`" + `)`)
)
