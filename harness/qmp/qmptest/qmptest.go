// SPDX-License-Identifier: Apache-2.0

// Package qmptest fakes QEMU's end of a QMP socket, with every misbehaviour
// that a script can think of.
package qmptest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"

	"plugstorm/harness/qmp"
)

// A Script plays QEMU for one connection, which ends when it returns: to
// return in the middle of a command is QEMU's death.
type Script func(*Peer) error

// A Server plays its script for one connection after another, as QEMU serves
// one monitor client at a time.
type Server struct {
	Path string

	listener net.Listener
	closed   chan struct{}
	ended    chan struct{}

	mu   sync.Mutex
	peer *Peer
	err  error // of the script; read it when ended is closed
}

// Listen starts a server on a unix socket at path.
func Listen(path string, script Script) (*Server, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	s := &Server{Path: path, listener: l, closed: make(chan struct{}), ended: make(chan struct{})}
	go s.serve(script)
	return s, nil
}

func (s *Server) serve(script Script) {
	defer close(s.ended)
	for {
		sock, err := s.listener.Accept()
		if err != nil {
			return // by Close
		}
		p := NewPeer(sock)
		p.closed = s.closed
		s.mu.Lock()
		s.peer = p
		s.mu.Unlock()
		select {
		case <-s.closed: // Close may have come before it could see the peer
			sock.Close()
			return
		default:
		}
		err = script(p)
		sock.Close()
		if err != nil && !left(err) {
			s.err = errors.Join(s.err, err)
		}
	}
}

// Close ends the server, waits for its script, and returns the script's error
// unless that only says that the client has left.
func (s *Server) Close() error {
	close(s.closed)
	s.listener.Close()
	s.mu.Lock()
	if s.peer != nil {
		s.peer.sock.Close()
	}
	s.mu.Unlock()
	<-s.ended
	return s.err
}

// left reports whether err is what one sees when the other end has gone.
func left(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

// A Command is what the client sent.
type Command struct {
	Execute   string          `json:"execute"`
	Arguments json.RawMessage `json:"arguments"`
	ID        json.RawMessage `json:"id"`
}

// A Peer is QEMU's end of one connection. It is not safe for concurrent use.
type Peer struct {
	sock   net.Conn
	in     *json.Decoder
	closed <-chan struct{}
}

// NewPeer makes a peer of a connection that stays the caller's.
func NewPeer(sock net.Conn) *Peer { return &Peer{sock: sock, in: json.NewDecoder(sock)} }

// Banner is QEMU 10.0's greeting.
const Banner = `{"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}, "package": "fake"}, "capabilities": ["oob"]}}` + "\r\n"

// Greet negotiates as a healthy QEMU does.
func (p *Peer) Greet() error {
	if err := p.Say(Banner); err != nil {
		return err
	}
	c, err := p.Next()
	if err != nil {
		return err
	}
	if c.Execute != "qmp_capabilities" {
		return fmt.Errorf("qmptest: negotiation began with %q", c.Execute)
	}
	return p.Return(c, struct{}{})
}

// Next waits for the client's next command; io.EOF means that it has left.
func (p *Peer) Next() (Command, error) {
	var c Command
	err := p.in.Decode(&c)
	return c, err
}

// Return answers c with a value.
func (p *Peer) Return(c Command, value any) error {
	return p.send(map[string]any{"return": value, "id": c.ID})
}

// Refuse answers c with an error.
func (p *Peer) Refuse(c Command, class, desc string) error {
	return p.send(map[string]any{"error": map[string]string{"class": class, "desc": desc}, "id": c.ID})
}

// Emit sends an event; data may be nil.
func (p *Peer) Emit(name string, data any) error {
	e := map[string]any{"event": name, "timestamp": map[string]int{"seconds": 1795302351, "microseconds": 738077}}
	if data != nil {
		e["data"] = data
	}
	return p.send(e)
}

func (p *Peer) send(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return p.Say(string(line) + "\r\n")
}

// Say sends raw text.
func (p *Peer) Say(text string) error {
	_, err := io.WriteString(p.sock, text)
	return err
}

// Dribble sends raw text with one write per byte.
func (p *Peer) Dribble(text string) error {
	for i := range len(text) {
		if _, err := p.sock.Write([]byte{text[i]}); err != nil {
			return err
		}
	}
	return nil
}

// Silence neither reads nor writes until the server is closed: QEMU under
// SIGSTOP.
func (p *Peer) Silence() error {
	<-p.closed
	return nil
}

// Serve answers every command with what handle returns until the client
// leaves. handle may Emit events; a *qmp.Error of its becomes a refusal, any
// other error ends the script.
func (p *Peer) Serve(handle func(Command) (any, error)) error {
	for {
		c, err := p.Next()
		if err != nil {
			return err
		}
		value, err := handle(c)
		var refusal *qmp.Error
		switch {
		case errors.As(err, &refusal):
			err = p.Refuse(c, refusal.Class, refusal.Desc)
		case err == nil:
			err = p.Return(c, value)
		}
		if err != nil {
			return err
		}
	}
}
