// SPDX-License-Identifier: Apache-2.0

package splat

// NetDevice reads the wait for a network device that nobody lets go.
var NetDevice = register(&Detector{
	Name: "netdevice",
	Doc: "A network device that can't be unregistered because a reference to it leaked (net/core/dev.c netdev_wait_allrefs). " +
		"Identity: only that there was one.",
	Anchors: []string{"unregister_netdevice: waiting"},
	Begins:  matching(`unregister_netdevice: waiting for .* to become free`),
	Sequel:  func(*Report, string) bool { return true },
	Closes:  func(*Report, string) bool { return true },
	Read: func(r *Report, f *Finding) {
		f.Type, f.Title = TypeDoS, "unregister_netdevice: waiting for DEV to become free"
		f.Identity = "netdevice"
		r.lines, f.End = r.lines[:1], r.lines[0].End
	},
})
