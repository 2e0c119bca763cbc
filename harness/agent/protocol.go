// SPDX-License-Identifier: Apache-2.0

// Package agent is both ends' view of the channel between the controller and
// PID 1 of the guest: newline-delimited JSON over a virtio-serial port (or a
// spare serial line, for kernels whose virtio drivers are modules).
//
// The host sends a Request, the guest answers it with exactly one Reply that
// carries the same ID; requests run side by side and replies come in any
// order. A Reply with ID 0 is an unsolicited event. Either end ignores a line
// that isn't JSON, so a line cut off by a reset does no harm.
package agent

import "encoding/json"

// ProtocolVersion is raised when either end stops understanding the other.
const ProtocolVersion = 1

// PortName is the name of the virtio-serial port in the guest
// (/sys/class/virtio-ports/*/name).
const PortName = "plugstorm.agent"

// MaxLine bounds one message in bytes, newline included. The guest is not
// trusted: a longer line ends the conversation.
const MaxLine = 4 << 20

// A Request asks the guest's agent to do one thing.
type Request struct {
	ID     uint64          `json:"id"` // never 0
	Method string          `json:"method"`
	Params json.RawMessage `json:"params,omitempty"`
}

// A Reply answers the Request of the same ID, or is an event (ID 0).
type Reply struct {
	ID     uint64          `json:"id"`
	Event  string          `json:"event,omitempty"` // for ID 0: EventHello, EventHeartbeat or EventWorkloadEnd
	Result json.RawMessage `json:"result,omitempty"`
	Error  *Error          `json:"error,omitempty"`
}

// An Error is a failure inside the guest. Errno keeps the kernel's own
// answer, so that a legitimate refusal (EBUSY) can be told from a defect.
type Error struct {
	Message string `json:"message"`
	Errno   string `json:"errno,omitempty"` // "EBUSY", empty when no system call failed
}

func (e *Error) Error() string { return e.Message }

// Event names.
const (
	EventHello       = "hello"        // result: Hello; once, first message of the agent
	EventHeartbeat   = "heartbeat"    // result: Heartbeat; about once a second
	EventWorkloadEnd = "workload-end" // result: WorkloadStats; a workload ended by itself
)

// Methods, with the types of their params and result.
const (
	MethodHello         = "hello"          // nil -> Hello; for a host that missed the event, or restored a snapshot
	MethodPing          = "ping"           // nil -> nil
	MethodWake          = "wake"           // WakeParams -> WakeReply; before anything else is asked of a guest that was, or will be, a snapshot
	MethodTimers        = "timers"         // TimersParams -> TimersReply
	MethodMemory        = "memory"         // MemoryParams -> MemoryReply
	MethodSetBlock      = "set-block"      // SetBlockParams -> SetBlockReply
	MethodCPUs          = "cpus"           // CPUsParams -> CPUsReply
	MethodSetCPU        = "set-cpu"        // SetCPUParams -> nil
	MethodFailWorkers   = "fail-workers"   // FailWorkersParams -> nil
	MethodZones         = "zones"          // ZonesParams -> ZonesReply
	MethodBooks         = "books"          // nil -> BooksReply
	MethodBlocked       = "blocked"        // nil -> BlockedReply
	MethodStartWorkload = "start-workload" // StartWorkloadParams -> nil
	MethodStopWorkload  = "stop-workload"  // StopWorkloadParams -> WorkloadStats
	MethodReadFile      = "read-file"      // FileParams -> FileReply
	MethodWriteFile     = "write-file"     // FileParams -> nil
	MethodLoadModule    = "load-module"    // ModuleParams -> nil
	MethodUnloadModule  = "unload-module"  // ModuleParams -> nil
	MethodPowerOff      = "power-off"      // nil -> nil, then the guest syncs and powers off
)

// Hello introduces the guest.
type Hello struct {
	Protocol   int      `json:"protocol"`
	Release    string   `json:"release"`     // uname -r
	Version    string   `json:"version"`     // uname -v
	Arch       string   `json:"arch"`        // uname -m
	UptimeMS   int64    `json:"uptime_ms"`   // CLOCK_BOOTTIME when the agent was ready
	BlockBytes uint64   `json:"block_bytes"` // memory block size, 0 without memory hotplug
	Modules    []string `json:"modules"`     // of ours, shipped in the initramfs and loadable
	Missing    []string `json:"missing"`     // what this kernel lacks for us ("memory hotplug", "cgroup cpuset"), for the report
	Transport  string   `json:"transport"`   // "virtio-serial" or "serial"
}

// WakeParams make a guest that goes on from a snapshot differ from its twins.
type WakeParams struct {
	Entropy []byte `json:"entropy"` // secret and random, for the kernel's random numbers; at least 32 bytes
	UnixNS  int64  `json:"unix_ns"` // what time it is
}

// WakeReply says how fast the guest works now.
type WakeReply struct {
	UptimeMS int64   `json:"uptime_ms"` // CLOCK_BOOTTIME
	WorkNS   []int64 `json:"work_ns"`   // what the same piece of work took, each time; between two of them the agent slept by the kernel's timer
}

// TimersParams ask whether the timer of each CPU that is online works.
type TimersParams struct {
	LimitMS int64 `json:"limit_ms"` // how long a sleep of a millisecond may take
}

// TimersReply lists the CPUs on which a thread that slept did not wake up in time.
type TimersReply struct {
	Dead []int `json:"dead"`
}

// A Heartbeat says that user space in the guest makes progress. It is never
// the proof of life by itself: the same beat is written to the console, from
// where it needs no virtio.
type Heartbeat struct {
	Seq       uint64 `json:"seq"`
	UptimeMS  int64  `json:"uptime_ms"`
	FreeKiB   uint64 `json:"free_kib"`
	Workloads int    `json:"workloads"` // running now
}

// MemoryParams names a physical range. A zero Size asks for all of memory. The
// agent answers when the range is present, and all of it online if Online is
// set, or after WaitMS, at most 10 s; at once if WaitMS is 0.
type MemoryParams struct {
	Start  uint64 `json:"start"`
	Size   uint64 `json:"size"`
	Online bool   `json:"online,omitempty"`
	WaitMS int64  `json:"wait_ms,omitempty"`
}

// A Block is one memory block device (/sys/devices/system/memory/memoryN).
type Block struct {
	ID    uint64 `json:"id"`    // N; its first byte is at N*BlockBytes
	State string `json:"state"` // "online", "offline", "going-offline"

	// Bound says that the block is bound to a device of the firmware's (its link
	// firmware_node, drivers/acpi/glue.c acpi_bind_one), as a DIMM's is where ACPI adds it.
	Bound bool `json:"bound,omitempty"`
}

// MemoryReply lists the memory blocks inside the asked range, by ID.
type MemoryReply struct {
	Present bool    `json:"present"` // every block of the range exists
	Blocks  []Block `json:"blocks"`
}

// SetBlockParams brings a memory block online or offline. The call returns
// when the kernel's write(2) does. After LimitMS the agent interrupts the
// write with a signal (offlining loops for as long as a page can't be moved,
// mm/memory_hotplug.c offline_pages) and answers with Errno EINTR.
type SetBlockParams struct {
	ID      uint64 `json:"id"`
	Via     string `json:"via"`   // the attribute written: "state" or "online"
	Value   string `json:"value"` // "online", "online_kernel", "online_movable", "offline"; "1" or "0" for Via "online"
	LimitMS int64  `json:"limit_ms"`

	// FailNth, if not 0, has that allocation of the kernel's fail that it makes
	// as the FailNth in this call. ENOENT without fault injection in the kernel.
	FailNth int `json:"fail_nth,omitempty"`
}

// SetBlockReply says whether an allocation was made to fail. A call that the
// kernel answers with an error has no reply.
type SetBlockReply struct {
	Failed bool `json:"failed"`
}

// CPUsParams ask for the CPU lists: at once if WaitMS is 0, else when a list
// differs from the one named here, or after WaitMS, at most 10 s.
type CPUsParams struct {
	Present []int `json:"present,omitempty"`
	Online  []int `json:"online,omitempty"`
	WaitMS  int64 `json:"wait_ms,omitempty"`
}

// CPUsReply holds the kernel's CPU lists, expanded.
type CPUsReply struct {
	Possible []int       `json:"possible"`
	Present  []int       `json:"present"`
	Online   []int       `json:"online"`
	Hardware map[int]int `json:"hardware"` // CPU number -> hardware ID where the kernel says (pseries physical_id); may be empty
}

// SetCPUParams brings a CPU online or offline, as SetBlockParams for blocks.
type SetCPUParams struct {
	CPU     int   `json:"cpu"`
	Online  bool  `json:"online"`
	LimitMS int64 `json:"limit_ms"`

	// FailStep, if not 0, has that step of CPU hotplug fail, counted from 1 among
	// those that can, going round. ENOENT on a kernel that can't.
	FailStep int `json:"fail_step,omitempty"`
}

// FailWorkersParams has allocations fail that kernel threads make: the kernel's
// own workers, who do the hotplug that comes from outside, or those of a
// workload's module. No process of ours is meant.
type FailWorkersParams struct {
	What    string `json:"what"`          // "failslab" or "fail_page_alloc"
	Percent int    `json:"percent"`       // how likely each is to fail, 0 to stop it
	Times   int    `json:"times"`         // how many fail at most
	Skip    int    `json:"skip"`          // how much is allocated before: bytes of slabs, or pages
	Who     string `json:"who,omitempty"` // "" for the kernel's workers, "pgmap" for pgmap-storm's threads
}

// ZonesParams asks for the kernel's books of memory.
type ZonesParams struct {
	// Blocks asks for the memory blocks as well. Their zones are read from
	// attributes that mustn't be read while memory comes and goes.
	Blocks bool `json:"blocks"`
}

// ZonesReply holds what the kernel says of its zones.
type ZonesReply struct {
	PageBytes   uint64      `json:"page_bytes"`
	BlockBytes  uint64      `json:"block_bytes"`
	Blocks      []ZoneBlock `json:"blocks,omitempty"`
	Moving      bool        `json:"moving,omitempty"` // a block is on its way: neither online nor offline
	IOMemBefore string      `json:"iomem_before"`     // /proc/iomem, read before the zones
	ZoneInfo    string      `json:"zoneinfo"`         // /proc/zoneinfo
	IOMemAfter  string      `json:"iomem_after"`
}

// A ZoneBlock is a memory block that is online, with the zone it is in.
type ZoneBlock struct {
	ID   uint64 `json:"id"`
	Node int    `json:"node"`
	Zone string `json:"zone"` // empty when it is in no zone or in several
}

// BooksReply holds what the kernel says of its memory, CPUs, nodes and threads
// in several places at once. Texts are the kernel's own lines.
type BooksReply struct {
	PageBytes  uint64 `json:"page_bytes"`
	BlockBytes uint64 `json:"block_bytes"`
	Faulted    bool   `json:"faulted,omitempty"` // allocations of the kernel's were made to fail since it booted
	Moving     bool   `json:"moving,omitempty"`  // a block is neither online nor offline
	Workloads  int    `json:"workloads"`         // running now

	RAM      string            `json:"ram"`       // /proc/iomem: lines of "System RAM", whatever their indent
	Zones    string            `json:"zones"`     // /proc/zoneinfo: which zone, "present", "managed"
	MemTotal string            `json:"mem_total"` // its line of /proc/meminfo
	Lists    map[string]string `json:"lists"`     // below /sys/devices/system: "cpu/online", "node/node0/cpulist", ...; and "tier/memory_tier4"
	Dirs     []BooksDir        `json:"dirs"`
	Threads  map[string]int    `json:"threads"`     // kernel threads of a node or a CPU, by name, and how many there are
	CPUStat  []int             `json:"cpu_stat"`    // CPUs in /proc/stat
	CPUInfo  []int             `json:"cpu_info"`    // CPUs in /proc/cpuinfo
	Caches   []string          `json:"slab_caches"` // caches of our module's below /sys/kernel/slab, while it isn't loaded

	// What the kernel keeps of its platform; each empty where that is no such platform.
	ACPI   []BooksDir `json:"acpi_devices,omitempty"` // memory and processor devices below bus/acpi/devices
	LMBs   *BooksLMBs `json:"lmbs,omitempty"`         // nil as well where the kernel's present view can't be had
	OFCPUs []uint32   `json:"of_cpus,omitempty"`      // hardware numbers of the threads of all CPUs in the device tree, in order
}

// BooksLMBs is pseries' view of its memory that can be plugged: its logical memory
// blocks, as the kernel has them in the device tree.
type BooksLMBs struct {
	Bytes uint64   `json:"bytes"` // of one
	Sets  []LMBSet `json:"sets"`
}

// An LMBSet is a row of blocks that are alike (arch/powerpc/include/asm/drmem.h
// of_drconf_cell_v2).
type LMBSet struct {
	Count uint32 `json:"count"`
	Start uint64 `json:"start"` // address of the first
	DRC   uint32 `json:"drc"`   // firmware's index of the first; the others' follow it
	Assoc uint32 `json:"assoc"` // which node, by an index into a list that isn't here; NoAssoc for none
	Flags uint32 `json:"flags"` // LMB...
}

// Of an LMBSet (arch/powerpc/include/asm/drmem.h; QEMU's include/hw/ppc/spapr.h for LMBNoDRC).
const (
	LMBAssigned = 0x08 // the guest has its memory
	LMBNoDRC    = 0x20 // can't be plugged
	LMBReserved = 0x80 // not to be touched
	NoAssoc     = 0xffffffff
)

// A BooksDir is a directory of sysfs: of a device below devices/system/{cpu,memory,node}
// or bus/acpi/devices, or bus/{cpu,memory,node}/devices.
type BooksDir struct {
	Path     string   `json:"path"`               // below /sys
	Links    []string `json:"links,omitempty"`    // CPUs, memory blocks and nodes that a link of that name, or of an ACPI device's "physical_node", leads to
	Firmware string   `json:"firmware,omitempty"` // the ACPI device that "firmware_node" leads to
	Lost     []string `json:"lost,omitempty"`     // links of any name that lead nowhere
	Groups   []string `json:"groups,omitempty"`   // directories in it that tell something: "topology"
}

// BlockedReply lists the tasks that sleep uninterruptibly just now, kernel
// threads too: at most 64 of them.
type BlockedReply struct {
	Tasks []BlockedTask `json:"tasks"`
}

// A BlockedTask has not run since it was last seen if its Switches are the same.
type BlockedTask struct {
	PID      int    `json:"pid"`
	Name     string `json:"name"`
	Switches uint64 `json:"switches"` // how often it has left a CPU
}

// StartWorkloadParams starts the workload Name as instance ID.
type StartWorkloadParams struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Params Params `json:"params"`
}

// StopWorkloadParams stops an instance. After LimitMS it is killed.
type StopWorkloadParams struct {
	ID      string `json:"id"`
	LimitMS int64  `json:"limit_ms"`
}

// WorkloadStats says what an instance did.
type WorkloadStats struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Rounds  uint64 `json:"rounds"`  // completed rounds
	Refused uint64 `json:"refused"` // rounds that the kernel legitimately refused (EBUSY, ENOMEM, ...)
	Error   string `json:"error"`   // why it ended by itself; empty after a stop
}

// FileParams reads or writes a small file in the guest (sysctl, sysrq, ...).
type FileParams struct {
	Path string `json:"path"`
	Data string `json:"data,omitempty"`
	Max  int    `json:"max,omitempty"` // for reads, bytes; 0 means 64 KiB
}

// FileReply is what a file held.
type FileReply struct {
	Data string `json:"data"`
}

// ModuleParams loads or unloads one of our kernel modules.
type ModuleParams struct {
	Name   string `json:"name"` // without ".ko"
	Params string `json:"params,omitempty"`
}
