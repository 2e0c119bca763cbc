// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"fmt"

	"plugstorm/harness/books"
	"plugstorm/harness/history"
	"plugstorm/harness/splat"
)

// books judges what a guest's kernel said of itself when its storm was over.
func (j *judge) books(e history.Event) {
	report, err := books.Read([]byte(e.Text))
	var complaints []books.Complaint
	if err == nil {
		complaints, err = books.Check(report)
	}
	if err != nil {
		j.fault(e.At, fmt.Sprintf("guest %d: what it says of its memory and CPUs can't be read: %v", e.Guest, err), "look at its books event in "+history.File)
		return
	}
	for _, c := range complaints {
		j.sight(e, splat.Finding{
			Title: c.Title(), Type: splat.TypeBooks, Detector: "books", Identity: c.Identity(),
			Stack: []string{}, CPU: -1, Start: -1, End: -1, Text: c.Text,
		})
	}
}
