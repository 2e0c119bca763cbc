// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"plugstorm/harness/blame"
	"plugstorm/harness/focus"
	"plugstorm/harness/history"
	"plugstorm/harness/rules"
	"plugstorm/harness/vm"
	"plugstorm/images"
)

// countChanged has the rule checker count the calls of what is changed. Its rules
// stay as they are otherwise; who goes without them goes without counts.
func countChanged(text *history.RuleText, changed []focus.Place) (*history.RuleText, error) {
	var functions []string
	for _, p := range changed {
		if p.Func != "" {
			functions = append(functions, p.Func)
		}
	}
	if text == nil || len(functions) == 0 {
		return text, nil
	}
	set, err := rules.Parse(text.Text, text.Name)
	if err != nil {
		return nil, err
	}
	counting := *text
	counting.Text += "\n" + set.CountLines(functions)
	return &counting, nil
}

// sayAbsent says which changed functions a kernel doesn't have by name, before it
// is run: what isn't compiled can't be stormed, and nobody sees what is inlined.
func (a *app) sayAbsent(m *vm.Machine, kernel *images.Kernel, changed []focus.Place) error {
	if kernel.SystemMap == "" || len(changed) == 0 {
		return nil
	}
	symbols, err := readSymbols(kernel.SystemMap)
	if err != nil {
		return err
	}
	var absent []string
	for _, p := range changed {
		if p.Func != "" && !symbols[p.Func] {
			absent = append(absent, p.String())
		}
	}
	if len(absent) > 0 {
		a.ui.Line(fmt.Sprintf("%s: of what the patches change this kernel has no such functions, not compiled or inlined: %s", m.Name, few(absent)))
	}
	return nil
}

// kernelSymbols are the functions in a System.map.
type kernelSymbols map[string]bool

// has reports whether a function that the source names is one of them.
func (s kernelSymbols) has(name string) bool { return s[name] || s[name+allocSuffix] }

// readSymbols reads a System.map, without what the compiler put behind functions'
// names. What it has cut off of one (.part, .cold) isn't the function.
func readSymbols(file string) (kernelSymbols, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, blame.On(blame.Host, err, "")
	}
	defer f.Close()
	symbols := kernelSymbols{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		// ADDRESS TYPE NAME; on powerpc with function descriptors the code is .NAME
		words := strings.Fields(lines.Text())
		if len(words) == 3 && strings.ContainsAny(words[1], "tTwW") {
			name, suffix, _ := strings.Cut(strings.TrimPrefix(words[2], "."), ".")
			if !strings.HasPrefix(suffix, "part") && !strings.HasPrefix(suffix, "cold") {
				symbols[name] = true
			}
		}
	}
	return symbols, nil
}
