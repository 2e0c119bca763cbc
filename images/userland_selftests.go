// SPDX-License-Identifier: Apache-2.0

package images

// applets of busybox that the kernel's selftests call.
var applets = []string{"awk", "bc", "cat", "grep", "head", "insmod", "ls", "mount", "rmmod", "sh", "sleep", "taskset", "wc"}

// Selftests is the kernel's own tests of memory and CPU hotplug.
var Selftests = Userlands.Register(&Userland{
	Name:     "selftests",
	Doc:      "the kernel's selftests of memory and CPU hotplug, from its own source, with bash and busybox",
	Packages: []string{"bash-static", "busybox-static"},
	Programs: map[string]string{"bin/bash": "bin/bash-static", "bin/busybox": "bin/busybox"},
	Links:    appletLinks(),
	Sources: map[string]string{
		"selftests/mem-on-off-test.sh": "tools/testing/selftests/memory-hotplug/mem-on-off-test.sh",
		"selftests/cpu-on-off-test.sh": "tools/testing/selftests/cpu-hotplug/cpu-on-off-test.sh",
	},
	Scripts: map[string]string{"sbin/modprobe": modprobe},
})

func appletLinks() map[string]string {
	links := map[string]string{"etc/mtab": "/proc/mounts"}
	for _, name := range applets {
		links["bin/"+name] = "busybox"
	}
	return links
}

// modprobe does what the tests ask of it, with the initramfs' one directory of
// modules: memory-notifier-error-inject needs notifier-error-inject.
const modprobe = `#!/bin/bash
remove=
while [[ $1 == -* ]]; do
	[[ $1 == -r ]] && remove=1
	shift
done
name=${1//-/_}
shift
if [[ $remove ]]; then
	exec rmmod "$name" 2>/dev/null
fi
[[ -d /sys/module/notifier_error_inject ]] || insmod /lib/plugstorm/notifier_error_inject.ko
exec insmod "/lib/plugstorm/$name.ko" "$@"
`
