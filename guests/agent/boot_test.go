// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseSettings(t *testing.T) {
	for cmdline, want := range map[string]settings{
		"":                         {hungSeconds: defaultHungSeconds},
		"quiet plugstorm.hung=7\n": {hungSeconds: 7},
		"plugstorm.hung=-3 plugstorm.hung=x plugstorm.spare=": {hungSeconds: defaultHungSeconds},
		"plugstorm.spare=hvc1 plugstorm.hung=5":               {hungSeconds: 5, spare: "hvc1"},
		"plugstorm.spare=../etc/passwd":                       {hungSeconds: defaultHungSeconds},
		"xplugstorm.hung=3 plugstorm.hung":                    {hungSeconds: defaultHungSeconds},
	} {
		if got := parseSettings(cmdline); got != want {
			t.Errorf("%q: got %+v, want %+v", cmdline, got, want)
		}
	}
}

func TestFindVirtioPort(t *testing.T) {
	root := t.TempDir()
	if _, ok := findVirtioPort(root); ok {
		t.Error("found a port where there is none")
	}
	for port, name := range map[string]string{"vport0p1": "org.qemu.guest_agent.0", "vport1p2": "plugstorm.agent"} {
		dir := filepath.Join(root, "sys/class/virtio-ports", port)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "name"), []byte(name+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, ok := findVirtioPort(root); !ok || got != "vport1p2" {
		t.Errorf("got %q, %v", got, ok)
	}
}

func TestTuneKernel(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "proc/sys/kernel")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"printk", "hung_task_timeout_secs"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if errs := tuneKernel(root, settings{hungSeconds: 12}); len(errs) != 0 {
		t.Errorf("got %v", errs)
	}
	for name, want := range map[string]string{"printk": "8\n", "hung_task_timeout_secs": "12\n"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

func TestConsoleCutsRecords(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "kmsg")
	if err != nil {
		t.Fatal(err)
	}
	c := &console{file}
	c.printf("%s\nsecond", strings.Repeat("x", 5000))
	text, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) != 2 || len(lines[0]) > 1000 || lines[1] != "<5>plugstorm: second" {
		t.Errorf("got %d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}
