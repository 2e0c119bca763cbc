// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"

	"plugstorm/harness/blame"
	"plugstorm/harness/history"
	"plugstorm/harness/page"
)

// appendLine records something as one line of JSON, in one write to the end of a
// file: who is killed loses none that was recorded.
func appendLine(file string, v any, next string) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return blame.On(blame.Host, err, "")
	}
	_, err = f.Write(append(line, '\n'))
	return blame.On(blame.Host, errors.Join(err, f.Close()), "free some space, then "+next)
}

// checkPage sees to it that a page can be rewritten by a benchmark before
// anything is measured for it. example is a page that has what it takes.
func checkPage(file, bench, example string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return blame.On(blame.User, err, "name a Markdown file with --write-docs")
	}
	if _, n := page.Rewrite(string(text), bench, nil); n == 0 {
		return blame.Errorf(blame.User, "put a pair of markers into it, see "+example, "%s has no markers to write a table between", file)
	}
	return nil
}

// writePage rewrites what a page says of a benchmark.
func writePage(file, bench string, sections map[string]string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return blame.On(blame.Host, err, "")
	}
	now, _ := page.Rewrite(string(text), bench, sections)
	return history.WriteFile(file, []byte(now))
}

// hostCPU is the model of this host's CPUs, "" if it doesn't say.
func hostCPU() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	return cpuModel(text)
}

// cpuModel finds the first CPU's model in /proc/cpuinfo; "" where none is
// named.
func cpuModel(cpuinfo []byte) string {
	lines := bufio.NewScanner(bytes.NewReader(cpuinfo))
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ":")
		if key = strings.TrimSpace(key); key == "model name" || key == "cpu" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
