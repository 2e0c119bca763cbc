// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// ErrLineTooLong is a message of more than MaxLine bytes.
var ErrLineTooLong = errors.New("message longer than the protocol allows")

// EncodeLine makes one message of v. It begins with a newline too, so that
// whatever was cut off before it doesn't spoil it.
func EncodeLine(v any) ([]byte, error) {
	b := bytes.NewBufferString("\n")
	if err := encode(b, v); err != nil {
		return nil, fmt.Errorf("encode a message: %w", err)
	}
	if b.Len() > MaxLine {
		return nil, fmt.Errorf("%w: %d bytes", ErrLineTooLong, b.Len())
	}
	return b.Bytes(), nil
}

// EncodeRaw makes the params or the result of a message of v.
func EncodeRaw(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	err := encode(&b, v)
	return bytes.TrimSpace(b.Bytes()), err
}

// encode leaves "->" and "&" as they are: in /proc/lockdep they would grow
// sixfold.
func encode(b *bytes.Buffer, v any) error {
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// A LineReader cuts a channel into messages. It holds at most MaxLine bytes.
type LineReader struct {
	r    *bufio.Reader
	line []byte
}

// NewLineReader reads messages from r, which stays the caller's.
func NewLineReader(r io.Reader) *LineReader {
	return &LineReader{r: bufio.NewReaderSize(r, 64<<10)}
}

// Next blocks until the next line that isn't empty and returns it without its
// line end. The slice is valid until the next call. An error of the channel
// drops the line it cuts off. After ErrLineTooLong the reader stands inside
// that line: its rest comes as a line of its own.
func (l *LineReader) Next() ([]byte, error) {
	for {
		l.line = l.line[:0]
		for {
			part, err := l.r.ReadSlice('\n')
			l.line = append(l.line, part...)
			if len(l.line) > MaxLine {
				return nil, ErrLineTooLong
			}
			if err == nil {
				break
			}
			if !errors.Is(err, bufio.ErrBufferFull) {
				return nil, err
			}
		}
		if line := bytes.TrimSpace(l.line); len(line) > 0 {
			return line, nil
		}
	}
}
