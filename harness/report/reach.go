// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strings"

	"plugstorm/harness/verdict"
)

// What is to be said of a run that didn't show its patch to run.
const (
	neverReached = "the storm never ran what the patches change: this verdict says nothing about it"
	maybeReached = "nobody knows whether the storm ran what the patches change: this verdict may say nothing about it"
)

// reachWarning is what a reader must know before anything else of a run whose
// patches change something that it isn't known to have run; "" if there is nothing.
func reachWarning(r *verdict.Reach) string {
	switch {
	case r == nil || r.Run() > 0:
		return ""
	case len(r.Functions) > 0 && r.Unknown() == 0 && len(r.Elsewhere) == 0:
		return neverReached
	}
	return maybeReached
}

// reach writes which of the functions that the patches change were called.
func (t *text) reach(r *verdict.Reach) {
	if r == nil {
		return
	}
	line := fmt.Sprintf("%d of %d functions that the patches change were run", r.Run(), len(r.Functions))
	if r.Silent > 0 {
		line += fmt.Sprintf("; %d of %d guests didn't tell", r.Silent, r.Silent+r.Told)
	}
	t.prose("reach   ", line)
	var run, never, unknown []string
	for _, f := range r.Functions {
		switch {
		case f.Why != "":
			unknown = append(unknown, fmt.Sprintf("%s (%s)", f.Place, f.Why))
		case f.Calls == 0:
			never = append(never, f.String())
		case f.More:
			run = append(run, fmt.Sprintf("%s more than %d×", f.Place, f.Calls))
		default:
			run = append(run, fmt.Sprintf("%s %d×", f.Place, f.Calls))
		}
	}
	for _, file := range r.Elsewhere {
		unknown = append(unknown, file+" (outside of any function)")
	}
	for _, group := range []struct {
		head string
		list []string
	}{{"        run: ", run}, {"        never: ", never}, {"        unknown: ", unknown}} {
		if len(group.list) > 0 {
			t.prose(group.head, strings.Join(group.list, ", "))
		}
	}
}

type reachJSON struct {
	Changed   int           `json:"changed"`
	Run       int           `json:"run"`
	Unknown   int           `json:"unknown"`
	Functions []reachedJSON `json:"functions"`
	Elsewhere []string      `json:"elsewhere"`
	Silent    int           `json:"silent"`
	Warning   string        `json:"warning"`
}

type reachedJSON struct {
	File  string `json:"file"`
	Func  string `json:"func"`
	Calls int64  `json:"calls"`
	More  bool   `json:"more"`
	Why   string `json:"why"`
}

func newReachJSON(r *verdict.Reach) *reachJSON {
	if r == nil {
		return nil
	}
	out := &reachJSON{
		Changed: len(r.Functions), Run: r.Run(), Unknown: r.Unknown(), Functions: []reachedJSON{},
		Elsewhere: list(r.Elsewhere), Silent: r.Silent, Warning: reachWarning(r),
	}
	for _, f := range r.Functions {
		out.Functions = append(out.Functions, reachedJSON{f.File, f.Func, f.Calls, f.More, f.Why})
	}
	return out
}
