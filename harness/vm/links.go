// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"context"
	"io"
	"net"

	"plugstorm/harness/agent"
	"plugstorm/harness/blame"
)

// links are the channels on which the guest's agent may appear: virtio-serial
// or, when the kernel has no virtio built in, the spare serial line.
type links struct{ clients []*agent.Client }

// newLinks owns the channels from here on. onEvent may be nil.
func newLinks(onEvent func(agent.Reply), channels []io.ReadWriteCloser) *links {
	var options []agent.Option
	if onEvent != nil {
		options = append(options, agent.OnEvent(onEvent))
	}
	l := &links{}
	for _, channel := range channels {
		l.clients = append(l.clients, agent.NewClient(channel, options...))
	}
	return l
}

func dialLinks(ctx context.Context, onEvent func(agent.Reply), paths ...string) (*links, error) {
	var channels []io.ReadWriteCloser
	for _, path := range paths {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", path)
		if err != nil {
			for _, open := range channels {
				_ = open.Close()
			}
			return nil, blame.On(blame.Hypervisor, err, "")
		}
		channels = append(channels, conn)
	}
	return newLinks(onEvent, channels), nil
}

// hello waits for the first channel on which the agent introduces itself. The
// others stay open and idle until close.
func (l *links) hello(ctx context.Context) (*agent.Client, agent.Hello, error) {
	type answer struct {
		client *agent.Client
		hello  agent.Hello
		err    error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan answer, len(l.clients))
	for _, client := range l.clients {
		go func() {
			hello, err := client.Hello(ctx)
			answers <- answer{client, hello, err}
		}()
	}
	var last answer
	for range l.clients {
		if last = <-answers; last.err == nil {
			return last.client, last.hello, nil
		}
	}
	return nil, agent.Hello{}, last.err
}

func (l *links) close() {
	for _, client := range l.clients {
		_ = client.Close()
	}
}
