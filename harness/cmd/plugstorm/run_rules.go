// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"

	"plugstorm/harness/blame"
	"plugstorm/harness/history"
	"plugstorm/harness/rules"
	"plugstorm/workloads"
)

// checker reads --rules and --widen. A file's path becomes absolute, for the
// command that repeats the run. Delays need the checker, so they go without
// rules only if there are no delays.
func (f *runFlags) checker() (*history.RuleText, []rules.Widening, error) {
	var widen []rules.Widening
	for _, text := range f.widen {
		w, err := rules.ParseWidening(text)
		if err != nil {
			return nil, nil, err
		}
		widen = append(widen, w)
	}
	text := &history.RuleText{Name: f.rules}
	switch f.rules {
	case "none":
		if len(widen) > 0 {
			return text, widen, nil // no rules, and the checker for its delays
		}
		return nil, nil, nil
	case "default":
		text.Text = workloads.Rules()
	default:
		data, err := os.ReadFile(f.rules)
		if err != nil {
			return nil, nil, blame.On(blame.User, err, "name a file of rules with --rules, or 'default', or 'none'")
		}
		if f.rules, err = filepath.Abs(f.rules); err != nil {
			return nil, nil, blame.On(blame.Host, err, "")
		}
		text.Name, text.Text = f.rules, string(data)
	}
	_, err := rules.Parse(text.Text, text.Name)
	return text, widen, err
}
