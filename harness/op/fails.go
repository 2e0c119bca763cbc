// SPDX-License-Identifier: Apache-2.0

package op

// A Failing says when ops of a kind have something fail.
type Failing int

// What fails in an op, and when.
const (
	FailsNever   Failing = iota
	FailsAtFirst         // in Inject alone: Confirm then does it for good. Without it the guest is left at the failure
	FailsAllOver         // until it is over, and nothing is done for good
)
