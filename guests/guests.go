// SPDX-License-Identifier: Apache-2.0

// Package guests defines the machines that plugstorm boots, as data, a file
// each. They register themselves in vm.Machines.
package guests

import "plugstorm/harness/vm"

// Default lists the machines that a run uses unless told otherwise: equals.
func Default() []*vm.Machine { return []*vm.Machine{X8664, PSeries} }

// commonArgs is the kernel command line that all machines share. Addresses
// are printed as they are (no_hash_pointers, nokaslr) so that reports compare
// across boots; a panicking kernel stays as it is (panic=0) until we have read
// its console; hot-added memory goes to ZONE_MOVABLE so that it can leave.
func commonArgs() []string {
	return []string{
		"ignore_loglevel", "no_hash_pointers", "nokaslr", "panic=0",
		"memhp_default_state=online_movable",
	}
}
