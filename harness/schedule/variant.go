// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"math/rand/v2"
	"slices"
)

// GuestArgs are the kernel arguments of a run's guest number n, from 1:
// KernelArgs, and one of Variants, drawn from the seed and the number alone, so
// that a replay boots the same guests.
func (s *Scenario) GuestArgs(seed int64, n int) []string {
	args := slices.Clone(s.KernelArgs)
	if len(s.Variants) == 0 {
		return args
	}
	r := rand.New(rand.NewPCG(uint64(seed), uint64(n)))
	return append(args, s.Variants[r.IntN(len(s.Variants))]...)
}
