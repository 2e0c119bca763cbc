// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"plugstorm/harness/agent"
)

// Transports, as in agent.Hello.
const (
	virtioTransport = "virtio-serial"
	serialTransport = "serial"
)

const (
	portPoll     = 20 * time.Millisecond // while the driver probes; a uevent socket needs CONFIG_NET, which we don't
	sparePatient = 5 * time.Second       // how long the virtio port may take when there is a spare line
	portPatient  = 2 * time.Minute       // and when there is none
	hostPoll     = 10 * time.Millisecond // while no host is connected: also for a moment after a restore
)

// openPort finds the channel to the host and opens it. It waits for the
// virtio driver to probe, boundedly.
func openPort(root string, s settings, note *console) (io.ReadWriteCloser, string, error) {
	patience := portPatient
	if s.spare != "" {
		patience = sparePatient
	}
	tick := time.NewTicker(portPoll)
	defer tick.Stop()
	var last error
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		device, ok := findVirtioPort(root)
		if !ok {
			continue
		}
		port, err := openRaw(filepath.Join(root, "dev", device))
		if err == nil {
			return &hostPort{port}, virtioTransport, nil
		}
		last = err // devtmpfs may be a moment late
	}
	if s.spare == "" {
		return nil, "", fmt.Errorf("no virtio-serial port named %s, and no plugstorm.spare= on the command line (last error: %w)", agent.PortName, last)
	}
	note.printf("no virtio-serial port: using %s", s.spare)
	port, err := openRaw(filepath.Join(root, "dev", s.spare))
	if err != nil {
		return nil, "", err
	}
	if err := makeRaw(int(port.Fd())); err != nil {
		return nil, "", fmt.Errorf("%s: %w", s.spare, err)
	}
	return port, serialTransport, nil
}

// findVirtioPort returns the device (vport0p1) of the port that bears our name.
func findVirtioPort(root string) (string, bool) {
	names, err := filepath.Glob(filepath.Join(root, "sys/class/virtio-ports/*/name"))
	if err != nil {
		return "", false
	}
	for _, path := range names {
		name, err := os.ReadFile(path)
		if err == nil && strings.TrimSpace(string(name)) == agent.PortName {
			return filepath.Base(filepath.Dir(path)), true
		}
	}
	return "", false
}

// openRaw opens a character device for blocking system calls, past Go's poller:
// a virtio port without a host polls as hung up all the time.
func openRaw(path string) (*os.File, error) {
	// O_NONBLOCK for the open only: a serial line may wait for a carrier.
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// makeRaw sets a serial line to pass bytes as they are, as cfmakeraw(3) does,
// whatever the modem lines say.
func makeRaw(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return fmt.Errorf("tcgetattr: %w", err)
	}
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON | unix.IXOFF
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag &^= unix.CSIZE | unix.PARENB | unix.CRTSCTS
	t.Cflag |= unix.CS8 | unix.CLOCAL | unix.CREAD
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, t); err != nil {
		return fmt.Errorf("tcsetattr: %w", err)
	}
	return nil
}

// A hostPort is a virtio port whose host may come and go. Without a host a read
// returns at once with nothing and a write blocks
// (drivers/char/virtio_console.c port_fops_read, wait_port_writable).
type hostPort struct{ *os.File }

func (p *hostPort) Read(b []byte) (int, error) {
	n, err := p.File.Read(b)
	if n > 0 || !errors.Is(err, io.EOF) {
		return n, err
	}
	tick := time.NewTicker(hostPoll)
	defer tick.Stop()
	for {
		<-tick.C
		if n, err = p.File.Read(b); n > 0 || !errors.Is(err, io.EOF) {
			return n, err
		}
	}
}
