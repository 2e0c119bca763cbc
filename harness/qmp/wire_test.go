// SPDX-License-Identifier: Apache-2.0

package qmp

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"plugstorm/harness/blame"
)

func TestDecoderLimit(t *testing.T) {
	const limit = 1 << 16
	fits := `{"return": "` + strings.Repeat("x", limit-20) + `"}` + "\n"
	d := newDecoder(strings.NewReader(strings.Repeat(fits, 3)+`{"return": "`+strings.Repeat("x", 2*limit)), limit)
	for range 3 { // the limit is each message's own
		if _, err := d.next(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.next(); !errors.Is(err, ErrProtocol) || blame.Of(err) != blame.Hypervisor {
		t.Errorf("a message of %d bytes and more: %v", 2*limit, err)
	}
}

func TestDecoderTellsDeathFromGarbage(t *testing.T) {
	for input, want := range map[string]error{
		``:                    ErrGone,
		`{"return": {`:        ErrGone,
		`{"event": "RESET"}}`: ErrProtocol,
		"{\"return\": \"\x00": ErrProtocol,
		`nul`:                 ErrGone,
		`no`:                  ErrProtocol,
	} {
		d := newDecoder(iotest.OneByteReader(strings.NewReader(input)), MaxMessage)
		var err error
		for err == nil {
			_, err = d.next()
		}
		if !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", input, err, want)
		}
	}
}

// FuzzDecoder: whatever QEMU says, every message is used up and the end has
// an owner.
func FuzzDecoder(f *testing.F) {
	f.Add(`{"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}, "package": ""}, "capabilities": []}}`)
	f.Add(`{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "ACPI_DEVICE_OST", "data": {"info": {"slot": "0"}}}`)
	f.Add(`{"return": {}, "id": 1}{"error": {"class": "GenericError", "desc": "no"}, "id": 2}`)
	f.Fuzz(func(t *testing.T, input string) {
		d := newDecoder(strings.NewReader(input), 1<<16)
		for range len(input) + 1 {
			m, err := d.next()
			if err != nil {
				if blame.Of(err) != blame.Hypervisor {
					t.Fatalf("%v is blamed on %q", err, blame.Of(err))
				}
				if !errors.Is(err, ErrProtocol) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("unexpected end: %v", err)
				}
				return
			}
			var sink any
			if err := m.result("fuzz", &sink); err == nil && m.Return == nil {
				t.Fatal("a result out of nothing")
			}
			if _, err := (Event{Name: m.Event, Data: m.Data}).Decode(); err != nil && blame.Of(err) != blame.Hypervisor {
				t.Fatal(err)
			}
		}
		t.Fatal("more messages than bytes")
	})
}
