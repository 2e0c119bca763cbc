// SPDX-License-Identifier: Apache-2.0

package logs_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"plugstorm/harness/blame"
	"plugstorm/harness/logs"
)

const limit = 1 << 20

// texts walks an input and returns what it found as "part|text".
func texts(in io.Reader, limit int64) ([]string, error) {
	var all []string
	err := logs.Walk(in, limit, func(part string, text io.Reader) error {
		data, err := io.ReadAll(text)
		all = append(all, part+"|"+string(data))
		return err
	})
	return all, err
}

func gz(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return b.String()
}

func zst(t testing.TB, s string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(s), nil))
}

func b64(s string) string {
	var b strings.Builder
	for text := base64.StdEncoding.EncodeToString([]byte(s)); text != ""; {
		n := min(76, len(text))
		b.WriteString(text[:n] + "\r\n")
		text = text[n:]
	}
	return b.String()
}

const (
	log    = "[    1.000000] one\n[    2.000000] two\n"
	header = "From: Ann <ann@example.org>\nSubject: it\n hangs\n"
	rule   = "Content-Type: multipart/mixed; boundary=\"b\"\n\npreamble\n"
)

func TestWalk(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     []string
	}{
		{"plain", log, []string{"|" + log}},
		{"empty", "", []string{"|"}},
		{"no newline", "x", []string{"|x"}},
		{"like a header, but one field only", "Linux: booting\n\nx", []string{"|Linux: booting\n\nx"}},
		{"gzip", gz(log), []string{"|" + log}},
		{"gzip, two members", gz("a\n") + gz("b\n"), []string{"|a\nb\n"}},
		{"zstd", zst(t, log), []string{"|" + log}},
		{"gzip in zstd", zst(t, gz(log)), []string{"|" + log}},
		{"mail", header + "\n" + log, []string{"mail|" + log}},
		{"packed mail", gz(header + "\n" + log), []string{"mail|" + log}},
		{"mail with CRLF", strings.ReplaceAll(header+"\n"+log, "\n", "\r\n"), []string{"mail|" + log}},
		{"header only", header, []string{"mail|"}},
		{"quoted", header + "\n> > " + strings.ReplaceAll(strings.TrimSuffix(log, "\n"), "\n", "\n>> ") + "\nyes\n", []string{"mail|" + log + "yes\n"}},
		{"quoted printable", header + "Content-Transfer-Encoding: quoted-printable\n\na=3Db =\nc\n", []string{"mail|a=b c\n"}},
		{"base64", header + "Content-Transfer-Encoding: BASE64\n\n" + b64(log), []string{"mail|" + log}},
		{
			"flowed: joined, unstuffed, never over a quote's depth or a time stamp",
			header + "Content-Type: text/plain; format=flowed\n\n> one \n> two\n> three \nmine\n From x\n[    1.000000] a \n[    2.000000] b \nc\n-- \nann\n",
			[]string{"mail|one two\nthree \nmine\nFrom x\n[    1.000000] a \n[    2.000000] b c\n-- \nann\n"},
		},
		{
			"a log's lines broken by the mail program",
			header + "\n> [   42.100786][   T41] ffff888005c81e98 (kn->active#57){++++}-{0:0}, at:\n> __kernfs_remove+0x25c/0x300\n> [   42.100786][   T41] short\n> comment\n" +
				"> [   42.100786][   T41] ffff888005c81e98 (kn->active#57){++++}-{0:0}, at:\n\n> __kernfs_remove+0x25c/0x300\n[   42.100786][   T41] ffff888005c81e98 (kn->active#57){++++}-{0:0}, at:\n> my own words, unlike the rest\n",
			[]string{"mail|[   42.100786][   T41] ffff888005c81e98 (kn->active#57){++++}-{0:0}, at: __kernfs_remove+0x25c/0x300\n[   42.100786][   T41] short\ncomment\n" +
				"[   42.100786][   T41] ffff888005c81e98 (kn->active#57){++++}-{0:0}, at:\n\n__kernfs_remove+0x25c/0x300\n[   42.100786][   T41] ffff888005c81e98 (kn->active#57){++++}-{0:0}, at:\nmy own words, unlike the rest\n"},
		},
		{"flowed with delsp", header + "Content-Type: text/plain; format=flowed; delsp=yes\n\nab \ncd\n", []string{"mail|abcd\n"}},
		{
			"attachments",
			header + rule + "--b\n\nlook:\n--b\nContent-Type: application/octet-stream; name=\"dmesg.log\"\nContent-Transfer-Encoding: base64\n\n" + b64(log) +
				"--b\nContent-Disposition: attachment; filename=\"=?utf-8?q?c=C3=B6nsole=2Etxt=2Egz?=\"\nContent-Transfer-Encoding: base64\n\n" + b64(gz("packed\n")) +
				"--b\nContent-Type: image/png; name=\"a.png\"\n\nPNG\n--b\nContent-Type: text/x-patch; name=\"a.patch\"\n\ndiff\n--b--\nepilogue\n",
			[]string{"mail|look:", "mail: dmesg.log|" + log, "mail: cönsole.txt.gz|packed\n"},
		},
		{
			"alternative, inside",
			header + rule + "--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n\ntext\n--c\nContent-Type: text/html\n\n<p>text\n--c--\n--b--\n",
			[]string{"mail|text"},
		},
		{
			"forwarded",
			header + rule + "--b\nContent-Type: message/rfc822\n\n" + header + "\n" + log + "--b--\n",
			[]string{"mail: mail|" + strings.TrimSuffix(log, "\n")},
		},
		{
			"mailbox",
			"From ann@example.org Sat Nov 21 20:00:00 2026\n" + header + "\n>From here on\n>>From there\nFrom nobody\n\nFrom mboxrd@z Thu Jan  1 00:00:00 1970\n" + header + "\n" + log,
			[]string{"mail 1|From here on\nFrom there\nFrom nobody\n\n", "mail 2|" + log},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, in := range []io.Reader{strings.NewReader(tt.in), iotest.OneByteReader(strings.NewReader(tt.in)), iotest.DataErrReader(strings.NewReader(tt.in))} {
				got, err := texts(in, limit)
				if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
					t.Fatalf("%v %s", err, diff)
				}
			}
		})
	}
}

// TestDamage: what is readable is read, and the error says what is wrong.
func TestDamage(t *testing.T) {
	whole := gz(strings.Repeat(log, 1000))
	for _, tt := range []struct {
		name, in string
		texts    int // how many
		first    string
		err      string
	}{
		{"gzip cut off", whole[:len(whole)-10], 1, "|[    1.000000] one", "packed with gzip: unexpected EOF"},
		{"gzip with a wrong sum", whole[:len(whole)-8] + "\x00\x00\x00" + whole[len(whole)-5:], 1, "|[    1.000000] one", "gzip: invalid checksum"},
		{"gzip's first bytes only", "\x1f\x8bno gzip at all", 0, "", "packed with gzip: gzip: invalid header"},
		{"zstd's first bytes only", "\x28\xb5\x2f\xfdnothing", 0, "", "packed with zstd: "},
		{"xz", "\xfd7zXZ\x00...", 0, "", "packed with xz"},
		{"HTML only", header + "Content-Type: text/html\n\n<p>x\n", 0, "", "no part that is text"},
		{"base64 garbage", header + "Content-Transfer-Encoding: base64\n\nAAAA\n****\n", 1, "mail|", "base64: illegal base64 data"},
		{"multipart without its end", header + rule + "--b\n\ntext\n", 1, "mail|text", "EOF"},
		{
			"a damaged attachment doesn't hide the next one",
			header + rule + "--b\nContent-Type: text/plain; name=a.gz\nContent-Transfer-Encoding: base64\n\n" + b64("\x1f\x8bnothing") + "--b\n\ntext\n--b--\n",
			1, "mail|text", "mail: a.gz: packed with gzip: ",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := texts(strings.NewReader(tt.in), limit)
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want one with %q", err, tt.err)
			}
			if blame.Of(err) != blame.User {
				t.Errorf("%v is the fault of %s", err, blame.Of(err))
			}
			if len(got) != tt.texts || len(got) > 0 && !strings.HasPrefix(got[0], tt.first) {
				t.Errorf("texts %.200q", got)
			}
		})
	}
}

// TestLimit: packed parts unpack to the limit and no further, together.
func TestLimit(t *testing.T) {
	bomb := gz(strings.Repeat("0", 3<<20))
	got, err := texts(strings.NewReader(bomb), limit)
	if err == nil || !strings.Contains(err.Error(), "unpacks to more than 1 MiB") || blame.Next(err) == "" {
		t.Errorf("%v", err)
	}
	if len(got) != 1 || len(got[0]) != 1+limit {
		t.Errorf("%d texts, the first of %d bytes", len(got), len(got[0]))
	}
	two := header + rule
	for range 2 {
		two += "--b\nContent-Type: text/plain; name=a.gz\nContent-Transfer-Encoding: base64\n\n" + b64(gz(strings.Repeat("0", limit*3/4)))
	}
	got, err = texts(strings.NewReader(two+"--b--\n"), limit)
	if err == nil || len(got) != 2 || len(got[0])+len(got[1]) != limit+2*len("mail: a.gz|") {
		t.Errorf("%d texts, %v", len(got), err)
	}
	if _, err := texts(strings.NewReader(strings.Repeat("0", 3<<20)), limit); err != nil {
		t.Errorf("the limit is for packed parts only: %v", err)
	}
}

// TestDepth: nothing nests for ever.
func TestDepth(t *testing.T) {
	packed, mail := log, header+"\n"+log
	for range 20 {
		packed = gz(packed)
		mail = header + "Content-Type: message/rfc822\n\n" + mail
	}
	parts := header
	for i := range 20 {
		parts += fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	for _, in := range []string{packed, mail, parts + "\ntext\n"} {
		if got, err := texts(strings.NewReader(in), limit); err == nil || !strings.Contains(err.Error(), "levels deep") || len(got) > 0 {
			t.Errorf("%d texts, %v", len(got), err)
		}
	}
}

var errBroken = errors.New("broken")

// TestReadError: an error of the input itself comes out as it is.
func TestReadError(t *testing.T) {
	for _, in := range []string{"", log, header, header + "\n" + log, header + rule + "--b\n\nx"} {
		_, err := texts(io.MultiReader(strings.NewReader(in), iotest.ErrReader(errBroken)), limit)
		if !errors.Is(err, errBroken) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// FuzzWalk: no input panics, the split into reads makes no difference, and what
// is unpacked stays within the limit.
func FuzzWalk(f *testing.F) {
	f.Add([]byte(log))
	f.Add([]byte(gz(log)))
	f.Add([]byte(zst(f, log)))
	f.Add([]byte(header + rule + "--b\n\nlook:\n--b\nContent-Type: text/plain; name=\"a.log\"\nContent-Transfer-Encoding: base64\n\n" + b64(gz(log)) + "--b--\n"))
	f.Add([]byte("From a Sat Nov 21 20:00:00 2026\n" + header + "Content-Transfer-Encoding: quoted-printable\n\n=3D=\n\nFrom b Sat Nov 21 20:00:00 2026\n\n"))
	f.Add([]byte(header + "Content-Type: text/plain; format=flowed; delsp=yes\n\n> a \n>> b\n c\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 1 << 16
		got, err := texts(bytes.NewReader(in), limit)
		again, err2 := texts(iotest.OneByteReader(bytes.NewReader(in)), limit)
		if diff := cmp.Diff(got, again); diff != "" || (err == nil) != (err2 == nil) {
			t.Errorf("byte by byte it is another text: %v, %v, %s", err, err2, diff)
		}
		if err == nil && len(got) == 0 {
			t.Error("no text, and no error")
		}
		total := 0
		for _, text := range got {
			total += len(text)
		}
		if most := 4*len(in) + limit + len(got)*1024; total > most {
			t.Errorf("%d bytes in, %d out", len(in), total)
		}
	})
}

// TestManyErrors: what is kept of the errors of an input is bounded as well, and
// they are counted.
func TestManyErrors(t *testing.T) {
	const mails = 5000
	var box strings.Builder
	for range mails {
		box.WriteString("From a@b Mon Sep 17 00:00:00 2001\nFrom: a\nSubject: b\nContent-Transfer-Encoding: base64\n\n!!!!\n\n")
	}
	found, err := texts(strings.NewReader(box.String()), limit)
	if len(found) != mails || err == nil {
		t.Fatalf("%d texts, %v", len(found), err)
	}
	if text := err.Error(); len(text) > 20_000 || !strings.HasSuffix(text, fmt.Sprintf("%d more errors", mails-100)) || blame.Of(err) != blame.User {
		t.Errorf("%d bytes of %s's: ...%s", len(text), blame.Of(err), text[max(0, len(text)-200):])
	}
}

// TestLongName: an attachment's name is cut.
func TestLongName(t *testing.T) {
	mail := "From: a\nSubject: b\nContent-Type: text/plain\nContent-Disposition: attachment; filename=\"" + strings.Repeat("é", 5000) + ".txt\"\n\nhello\n"
	found, err := texts(strings.NewReader(mail), limit)
	if err != nil || len(found) != 1 || len(found[0]) > 300 || !strings.HasSuffix(found[0], "|hello\n") {
		t.Errorf("%.400q, %v", found, err)
	}
}
