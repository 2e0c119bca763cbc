// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"fmt"
	"regexp"
)

// ZoneSpan reads what our own module plugstorm_pgmap prints.
var ZoneSpan = register(&Detector{
	Name: "zone_span",
	Doc: "A zone that doesn't span pages that were put into it, as our module found that had put them there (workloads/kmod/plugstorm_pgmap.c). " +
		"Identity: the zone, as in harness/zones, which finds the same from outside.",
	Anchors: []string{"ZONESPAN:"},
	Begins:  zoneSpanRE.MatchString,
	Read: func(r *Report, f *Finding) {
		zone := zoneSpanRE.FindStringSubmatch(r.Head())[1]
		f.Type, f.Title = TypeZone, fmt.Sprintf("zone %s does not span memory that is in it", zone)
		f.Identity = "zones: span: " + zone
	},
})

var zoneSpanRE = regexp.MustCompile(`\bZONESPAN: zone (\w+) of node \d+ spans `)
