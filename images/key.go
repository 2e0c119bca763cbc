// SPDX-License-Identifier: Apache-2.0

package images

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// keyLength is the number of hex digits of a key: 80 bits, far more than a
// cache needs, and short enough for a path.
const keyLength = 20

// key makes a cache key from its parts. Different lists of parts never give
// the same input to the hash.
func key(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s,", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))[:keyLength]
}

// digest is the full content hash of data.
func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// digestFile is the content hash of a file.
func digestFile(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// A stamp tells whether a file may have changed since it was hashed.
type stamp struct {
	Size, MTime, CTime int64 // bytes; nanoseconds since 1970
	Inode              uint64
}

func stampOf(info fs.FileInfo) stamp {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return stamp{} // equal to none that was recorded
	}
	return stamp{info.Size(), st.Mtim.Nano(), st.Ctim.Nano(), st.Ino}
}

// settled reports whether a stamp taken at now (nanoseconds) can be trusted
// later: a file changed again within the granularity of its time stamps would
// look the same (git calls this racy).
func (st stamp) settled(now int64) bool {
	const granularity = 2e9
	return st != stamp{} && max(st.MTime, st.CTime) < now-granularity
}
