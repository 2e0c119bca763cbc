// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"fmt"
	"strings"
)

// The names of a guest's files inside Spec.Dir.
const (
	ConsoleLog  = "console.log" // raw bytes of the console, written by QEMU itself
	CommandFile = "qemu.cmd"    // a command line that anyone can paste
	StderrFile  = "qemu.stderr"

	qmpSocket     = "qmp.sock"
	agentSocket   = "agent.sock"
	spareSocket   = "spare.sock"
	consoleSocket = "console.sock"
)

// Args returns QEMU's arguments for a guest. Sockets and logs are named
// relative to the guest's directory, in which QEMU runs: a socket's path is
// limited to 108 bytes, a run directory's is not.
func Args(s *Spec) []string {
	backend := fmt.Sprintf("memory-backend-ram,id=ram0,size=%dM", s.Machine.MemMiB)
	if s.Mapped != nil {
		// It is opened to be read only, and mapped to be written to privately.
		backend = fileBackend(s.Mapped.Memory, s.Machine, "share=off,readonly=on,rom=off")
	}
	args := arguments(s, backend)
	switch {
	case s.Mapped != nil:
		args = append(args, "-incoming", "defer")
	case s.Incoming != "":
		args = append(args, "-incoming", "file:"+s.Incoming)
	}
	return args
}

// fileBackend is boot memory that lies in a file.
func fileBackend(file string, m *Machine, how string) string {
	return fmt.Sprintf("memory-backend-file,id=ram0,size=%dM,mem-path=%s,%s", m.MemMiB, strings.ReplaceAll(file, ",", ",,"), how)
}

// arguments are Args without -incoming, for a guest with that boot memory.
func arguments(s *Spec, backend string) []string {
	m := s.Machine
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		"-nic", "none",
		"-name", "plugstorm-" + m.Name,
		"-machine", strings.TrimSuffix(m.Type+","+m.TypeOn[s.Accel], ","),
		"-accel", accelArg(s.Accel),
		"-cpu", m.CPU[s.Accel],
		"-smp", fmt.Sprintf(m.VCPU.SMP, m.VCPU.Max),
		"-m", fmt.Sprintf("%dM,slots=%d,maxmem=%dM", m.MemMiB, m.DIMM.Slots, m.MaxMemMiB),
		"-object", backend,
		"-numa", fmt.Sprintf("node,nodeid=0,memdev=ram0,cpus=0-%d", m.VCPU.Max-1),
		"-numa", fmt.Sprintf("node,nodeid=%d", m.DIMM.Node),
		"-qmp", "unix:" + qmpSocket + ",server=on,wait=off",
		// With a log file and no client the console is recorded and nothing waits
		// for a reader; we connect only to type.
		"-chardev", "socket,id=console,path=" + consoleSocket + ",server=on,wait=off,logfile=" + ConsoleLog + ",logappend=on",
		"-chardev", "socket,id=agent,path=" + agentSocket + ",server=on,wait=off",
		"-chardev", "socket,id=spare,path=" + spareSocket + ",server=on,wait=off",
	}
	if s.HoldEnd {
		args = append(args, "-action", "shutdown=pause") // a quit and a signal end QEMU all the same (qmp_quit, qemu_system_killed)
	}
	args = append(args, m.Devices...)
	args = append(args, coldDIMMs(m, s.ColdDIMMs)...)
	args = append(args,
		"-device", m.VirtioPort+",id=ports",
		"-device", "virtserialport,bus=ports.0,chardev=agent,name=plugstorm.agent")
	args = append(args, coldVCPUs(m, s.Accel)...)
	return append(args,
		// A guest that was stopped to be saved is not saved as stopped: one that
		// goes on from the file runs as soon as QEMU has read it.
		"-global", "migration.store-global-state=off",
		"-kernel", s.Kernel, "-initrd", s.Initramfs,
		"-append", strings.Join(KernelArgs(s), " "))
}

// KernelArgs returns the guest kernel's command line, word by word.
func KernelArgs(s *Spec) []string {
	args := append([]string{"console=" + s.Machine.Console, "plugstorm.spare=" + s.Machine.Spare}, s.Machine.KernelArgs...)
	args = append(args, s.Machine.ArgsOn[s.Accel]...)
	if s.bootsOne() {
		args = append(args, "maxcpus=1") // the others come online in VM.Complete
	} else if fresh := s.Machine.VCPU.Fresh(s.FreshVCPUs); len(fresh) > 0 {
		args = append(args, fmt.Sprintf("maxcpus=%d", fresh[0])) // their numbers are the last ones
	}
	return append(args, s.KernelArgs...)
}

func accelArg(a Accel) string {
	if a == TCG {
		return "tcg,thread=multi"
	}
	return string(a)
}

// coldVCPUs plugs the vCPUs that a kernel has to find at boot. All but the
// first one are devices, so that -smp stays at one and their IDs are ours.
func coldVCPUs(m *Machine, a Accel) []string {
	if !m.VCPU.ColdPlugged {
		return nil
	}
	var args []string
	for i := 1; i < m.VCPU.Boot+m.VCPU.Plug; i++ {
		device := fmt.Sprintf(m.VCPU.Driver, m.CPU[a]) + ",id=" + VCPUID(i) + "," + fmt.Sprintf(m.VCPU.Props, i)
		args = append(args, "-device", device)
	}
	return args
}

// ColdUnits is the size of a DIMM that is there at boot: some blocks to take
// offline one by one.
const ColdUnits = 2

// coldDIMMs plugs n DIMMs that a kernel has to find at boot.
func coldDIMMs(m *Machine, n int) []string {
	var args []string
	for i := range n {
		args = append(args,
			"-object", fmt.Sprintf("memory-backend-ram,id=cold-mem%d,size=%dM", i, ColdUnits*m.DIMM.UnitMiB),
			"-device", fmt.Sprintf("pc-dimm,id=cold%d,memdev=cold-mem%d,node=%d", i, i, m.DIMM.Node))
	}
	return args
}

// VCPUID is the QEMU device ID of vCPU number i.
func VCPUID(i int) string { return fmt.Sprintf("vcpu%d", i) }

// Shell quotes a command for a POSIX shell.
func Shell(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if w != "" && strings.Trim(w, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+,./:@%") == "" {
			quoted[i] = w
			continue
		}
		quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return strings.Join(quoted, " ")
}
