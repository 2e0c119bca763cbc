// SPDX-License-Identifier: Apache-2.0

package qmp

import (
	"encoding/json"
	"errors"
	"io"
	"time"

	goqemu "github.com/digitalocean/go-qemu/qmp"

	"plugstorm/harness/blame"
)

// A request is a command as it goes over the wire.
type request struct {
	Execute   string `json:"execute"`
	Arguments any    `json:"arguments,omitempty"`
	ID        int64  `json:"id,omitempty"`
}

// marshal makes a request's line. A failure is ours: args are Go values.
func (r request) marshal() ([]byte, error) {
	line, err := json.Marshal(r)
	if err != nil {
		return nil, blame.Errorf(blame.Harness, "", "arguments of %s: %w", r.Execute, err)
	}
	return append(line, '\n'), nil
}

// A message is anything that QEMU says: the greeting, an event or a reply
// (docs/interop/qmp-spec.rst in QEMU's source).
type message struct {
	QMP *struct {
		Version goqemu.Version `json:"version"`
	} `json:"QMP"`

	Event     string          `json:"event"`
	Data      json.RawMessage `json:"data"`
	Timestamp struct {
		Seconds      int64 `json:"seconds"`
		Microseconds int64 `json:"microseconds"`
	} `json:"timestamp"`

	ID     json.RawMessage `json:"id"` // ours is a number, libvirt's a string
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
}

// event returns the message as an Event that was read at the given time.
func (m *message) event(at time.Time) Event {
	t := m.Timestamp
	return Event{Name: m.Event, Data: m.Data, At: at, QEMU: time.Unix(t.Seconds, t.Microseconds*1000)}
}

// result gives a reply to the caller of command.
func (m *message) result(command string, reply any) error {
	switch {
	case m.Error != nil:
		return &Error{Command: command, Class: m.Error.Class, Desc: m.Error.Desc}
	case m.Return == nil:
		return breach("the reply to %s has neither return nor error", command)
	case reply == nil:
		return nil
	}
	if err := json.Unmarshal(m.Return, reply); err != nil {
		return blame.Errorf(blame.Hypervisor, "check that this QEMU version is supported",
			"unexpected reply to %s: %w", command, err)
	}
	return nil
}

// errTooLong ends a message that exceeds its limit.
var errTooLong = errors.New("message too long")

// A decoder reads messages. It depends on no line ends, so malformed input is
// seen at its first wrong byte.
type decoder struct {
	json  *json.Decoder
	limit int
	left  int // bytes that may still be read for this message
	r     io.Reader
}

func newDecoder(r io.Reader, limit int) *decoder {
	d := &decoder{limit: limit, r: r}
	d.json = json.NewDecoder(readerFunc(d.read))
	return d
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func (d *decoder) read(p []byte) (int, error) {
	if d.left == 0 {
		return 0, errTooLong
	}
	n, err := d.r.Read(p[:min(len(p), d.left)])
	d.left -= n
	return n, err
}

// next reads one message. Its error ends the connection and has an owner.
func (d *decoder) next() (*message, error) {
	d.left = d.limit // what is buffered already comes on top
	m := new(message)
	err := d.json.Decode(m)
	var (
		syntax *json.SyntaxError
		wrong  *json.UnmarshalTypeError
	)
	switch {
	case err == nil:
		return m, nil
	case errors.As(err, &syntax), errors.As(err, &wrong), errors.Is(err, errTooLong):
		return nil, breach("%w", err)
	default:
		return nil, gone(err)
	}
}
