// SPDX-License-Identifier: Apache-2.0

package logs

import (
	"compress/gzip"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"plugstorm/harness/blame"
)

// A packing is a way to pack a file.
type packing struct {
	name  string
	magic string // what the packed bytes begin with
	open  func(io.Reader) (io.ReadCloser, error)
}

// packings are those that we read, and those that we know well enough to say
// what to do. The magics are those of RFC 1952, RFC 8878, and file(1).
var packings = []packing{
	{"gzip", "\x1f\x8b", func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }},
	{"zstd", "\x28\xb5\x2f\xfd", openZstd},
	{"xz", "\xfd7zXZ\x00", nil},
	{"bzip2", "BZh", nil},
	{"lz4", "\x04\x22\x4d\x18", nil},
	{"zip", "PK\x03\x04", nil},
}

// maxWindow is what a zstd stream may ask us to keep of what it has unpacked,
// in bytes; zstd itself unpacks no more than this without --long.
const maxWindow = 128 << 20

func openZstd(r io.Reader) (io.ReadCloser, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}

func (w *walker) unpack(part string, in io.Reader, p packing, depth int) error {
	if p.open == nil {
		return blame.Errorf(blame.User, "unpack it first", "it is packed with %s, which we don't read", p.name)
	}
	r, err := p.open(in)
	if err == nil {
		defer r.Close()
		err = w.content(part, &metered{walker: w, in: r}, depth+1)
	}
	if err != nil {
		return blame.On(blame.User, fmt.Errorf("packed with %s: %w", p.name, err), "the file is damaged; what comes before the damage was read")
	}
	return nil
}

// metered reads what is unpacked, until the walker's limit.
type metered struct {
	walker *walker
	in     io.Reader
	err    error // the first one; it stays
}

func (m *metered) Read(p []byte) (int, error) {
	if m.err != nil {
		return 0, m.err
	}
	n, err := m.in.Read(p)
	m.walker.left -= int64(n)
	if m.walker.left < 0 {
		n = max(0, n+int(m.walker.left))
		m.walker.left = 0
		err = blame.Errorf(blame.User, "unpack it yourself and name the result: a file that isn't packed may have any size",
			"it unpacks to more than %s", size(m.walker.limit))
	}
	m.err = err
	return n, err
}

// size spells a number of bytes.
func size(n int64) string {
	if n >= 1<<20 && n%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}
