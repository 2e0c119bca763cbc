// SPDX-License-Identifier: Apache-2.0

package lockdep

// ParseLock reads one line of a list of held locks, as print_lock writes it
// (kernel/locking/lockdep.c), with or without its "#0:". It returns nil for
// any other line.
func ParseLock(line string) *Lock { return parseLock(line) }
