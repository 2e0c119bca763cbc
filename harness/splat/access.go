// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
)

// An Access is the one that a page fault was about, as far as the kernel says.
type Access struct {
	Kind    string `json:"kind,omitempty"`    // "read", "write" or "execute"
	Address string `json:"address,omitempty"` // 16 hex digits
}

var (
	// arch/x86/mm/fault.c show_fault_oops, arch/powerpc/mm/fault.c bad_page_fault and
	// sanity_check_fault; arm64's, riscv's and others' "at virtual address".
	accessedRE = regexp.MustCompile(`#PF: (?:supervisor|user) (?:(read|write) access|instruction (fetch))|\bon (read|write) at 0x|attempted to (read|write|execute) user page|kernel (?:instruction (fetch))`)
	// Of the heading alone: registers hold addresses, too.
	addressRE = regexp.MustCompile(`(?:address:?|\bat) (?:virtual address )?(?:0x)?([0-9a-f]{8,16})\b|user page \(([0-9a-f]{1,16})\)`)
)

// accessLines is within how many lines of its heading a fault says what was
// accessed.
const accessLines = 4

// access reads what was accessed; nil if nothing says it.
func (r *Report) access() *Access {
	var a Access
	for i := r.head; i < min(len(r.lines), r.head+accessLines); i++ {
		message := r.lines[i].Message
		if m := accessedRE.FindStringSubmatch(message); m != nil && a.Kind == "" {
			a.Kind = cmp.Or(m[1], m[3], m[4])
			if m[2] != "" || m[5] != "" {
				a.Kind = "execute"
			}
		}
		if m := addressRE.FindStringSubmatch(message); m != nil && a.Address == "" && faultRE.MatchString(message) {
			if address, err := strconv.ParseUint(cmp.Or(m[1], m[2]), 16, 64); err == nil {
				a.Address = fmt.Sprintf("%016x", address)
			}
		}
	}
	if a == (Access{}) {
		return nil
	}
	return &a
}
