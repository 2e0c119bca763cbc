// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/agent"
)

// lmbText is the property that has some sets, as firmware writes it.
func lmbText(t *testing.T, sets ...agent.LMBSet) string {
	t.Helper()
	text := binary.BigEndian.AppendUint32(nil, uint32(len(sets)))
	text, err := binary.Append(text, binary.BigEndian, sets)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// lmbAgent is one of a pseries guest with memory block 0, of 256 MiB.
func lmbAgent(t *testing.T, sets ...agent.LMBSet) *guestAgent {
	t.Helper()
	return &guestAgent{tree: kernelFiles(t, map[string]string{
		"sys/devices/system/memory/block_size_bytes": "10000000\n", "sys/devices/system/memory/memory0/state": "online\n",
		drMemory + "/ibm,dynamic-memory-v2": lmbText(t, sets...), drMemory + "/ibm,lmb-size": "\x00\x00\x00\x00\x10\x00\x00\x00",
		dlparFile: "memory,cpu,dt\n",
	})}
}

const lmbBytes = 256 << 20

// TestBookLMBs: before the blocks are read the kernel is asked to remove the last one
// that it has no memory of, and no other.
func TestBookLMBs(t *testing.T) {
	sets := []agent.LMBSet{
		{Count: 1, DRC: 0x80000000, Assoc: agent.NoAssoc, Flags: agent.LMBReserved},
		{Count: 1, Start: 1 * lmbBytes, DRC: 0x80000001, Assoc: 1, Flags: agent.LMBAssigned},
		{Count: 3, Start: 2 * lmbBytes, DRC: 0x80000002, Assoc: agent.NoAssoc},
		{Count: 1, Start: 5 * lmbBytes, DRC: 0x80000005, Assoc: agent.NoAssoc, Flags: agent.LMBNoDRC},
	}
	a := lmbAgent(t, sets...)
	if err := os.MkdirAll(a.tree.Path("sys/devices/system/memory/memory4"), 0o755); err != nil {
		t.Fatal(err)
	}
	var reply agent.BooksReply
	if err := a.bookLMBs(&reply); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&agent.BooksLMBs{Bytes: lmbBytes, Sets: sets}, reply.LMBs); diff != "" {
		t.Error(diff)
	}
	if asked, err := a.tree.Text(dlparFile); err != nil || asked != "memory remove indexed-count 1 0x80000003" {
		t.Errorf("asked %q, %v", asked, err)
	}
}

// TestBookNoLMBs: what isn't the kernel's present view isn't sent, and what can't be
// read is an error.
func TestBookNoLMBs(t *testing.T) {
	free := agent.LMBSet{Count: 1, Start: lmbBytes, DRC: 0x80000001, Assoc: agent.NoAssoc}
	for name, a := range map[string]*guestAgent{
		"x86":            {tree: kernelFiles(t, nil)},
		"nothing to ask": lmbAgent(t, agent.LMBSet{Count: 1, Start: 0, DRC: 0x80000000}),
	} {
		var reply agent.BooksReply
		if err := a.bookLMBs(&reply); err != nil || reply.LMBs != nil {
			t.Errorf("%s: %+v, %v", name, reply.LMBs, err)
		}
	}
	refuses := lmbAgent(t, free)
	if err := os.Remove(refuses.tree.Path(dlparFile)); err != nil {
		t.Fatal(err)
	}
	var reply agent.BooksReply
	if err := refuses.bookLMBs(&reply); err != nil || reply.LMBs != nil {
		t.Errorf("a kernel that refuses: %+v, %v", reply.LMBs, err)
	}
	for name, text := range map[string]string{"empty": "", "cut off": lmbText(t, free)[:12], "endless": "\xff\xff\xff\xff"} {
		if got, err := parseLMBs([]byte(text), []byte("\x00\x00\x00\x00\x10\x00\x00\x00")); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got, err := parseLMBs([]byte(lmbText(t, free)), nil); err == nil {
		t.Errorf("no size: %+v", got)
	}
}

func TestBookOFCPUs(t *testing.T) {
	a := &guestAgent{tree: kernelFiles(t, map[string]string{
		dlparFile: "", deviceTree + "/cpus/PowerPC,POWER8@8/ibm,ppc-interrupt-server#s": "\x00\x00\x00\x08\x00\x00\x00\x09",
		deviceTree + "/cpus/PowerPC,POWER8@0/ibm,ppc-interrupt-server#s": "\x00\x00\x00\x00", deviceTree + "/cpus/l2-cache@0/x": "",
	})}
	var reply agent.BooksReply
	if err := a.bookOFCPUs(&reply); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]uint32{0, 8, 9}, reply.OFCPUs); diff != "" {
		t.Error(diff)
	}
}

// TestBookACPI: devices of memory and CPUs, both ends of their links, and those that
// lead nowhere.
func TestBookACPI(t *testing.T) {
	const block, device = "sys/devices/system/memory/memory0", "sys/bus/acpi/devices/PNP0C80:00"
	a := &guestAgent{tree: kernelFiles(t, map[string]string{block + "/state": "", device + "/path": "", "sys/bus/acpi/devices/PNP0C09:00/path": ""})}
	for link, to := range map[string]string{
		block + "/firmware_node": "../../../../bus/acpi/devices/PNP0C80:00", device + "/physical_node": "../../../../devices/system/memory/memory0",
		device + "/physical_node1": "../../../../devices/system/memory/memory1", device + "/subsystem": "../..",
	} {
		if err := os.Symlink(to, filepath.Join(string(a.tree), link)); err != nil {
			t.Fatal(err)
		}
	}
	var reply agent.BooksReply
	if err := a.bookACPI(&reply); err != nil {
		t.Fatal(err)
	}
	want := []agent.BooksDir{{Path: "bus/acpi/devices/PNP0C80:00", Links: []string{"memory0"}, Lost: []string{"physical_node1"}}}
	if diff := cmp.Diff(want, reply.ACPI); diff != "" {
		t.Error(diff)
	}
	if d, err := a.bookDir("devices/system/memory/memory0"); err != nil || d.Firmware != "PNP0C80:00" {
		t.Errorf("%+v, %v", d, err)
	}
}
