// SPDX-License-Identifier: Apache-2.0

package images

// StressNG is stress-ng with the libraries that it is linked with. Of these it
// uses few here, but they have to be there.
var StressNG = Userlands.Register(&Userland{
	Name: "stress-ng",
	Doc:  "Debian's stress-ng",
	Packages: []string{
		"stress-ng", "libc6", "libapparmor1", "libbsd0", "libmd0", "libcrypt1", "libegl1", "libgles2", "libglvnd0", "libgbm1", "libdrm2",
		"libexpat1", "libwayland-server0", "libffi8", "libxcb1", "libxcb-randr0", "libxau6", "libxdmcp6", "libjpeg62-turbo", "libjudydebian1",
		"libkmod2", "liblzma5", "libzstd1", "libssl3", "libsctp1", "libxxhash0", "zlib1g",
	},
	Extra:    map[string][]string{"amd64": {"libipsec-mb1"}},
	Programs: map[string]string{"bin/stress-ng": "usr/bin/stress-ng"},
})
