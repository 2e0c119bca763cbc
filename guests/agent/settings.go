// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strconv"
	"strings"
)

// settings are what the host says on the kernel's command line.
type settings struct {
	hungSeconds int    // plugstorm.hung=N: kernel.hung_task_timeout_secs
	spare       string // plugstorm.spare=ttyS1: the serial line to use when there is no virtio port
}

const defaultHungSeconds = 60

func readSettings(path string) settings {
	data, err := os.ReadFile(path)
	if err != nil {
		data = nil // without /proc the defaults have to do
	}
	return parseSettings(string(data))
}

// parseSettings reads plugstorm.* from a kernel command line. A setting that
// makes no sense keeps its default: nobody could be told yet.
func parseSettings(cmdline string) settings {
	s := settings{hungSeconds: defaultHungSeconds}
	for word := range strings.FieldsSeq(cmdline) {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "plugstorm.hung":
			if n, err := strconv.Atoi(value); err == nil && n > 0 {
				s.hungSeconds = n
			}
		case "plugstorm.spare":
			if value != "" && !strings.ContainsAny(value, "/.") {
				s.spare = value
			}
		}
	}
	return s
}
