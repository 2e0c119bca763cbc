// SPDX-License-Identifier: Apache-2.0

package logs

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/textproto"
	"path"
	"strings"

	"plugstorm/harness/blame"
)

// usualFields are header fields of which every mail has a few (RFC 5322,
// section 3.6; RFC 2045).
var usualFields = map[string]bool{
	"From": true, "To": true, "Cc": true, "Subject": true, "Date": true, "Message-Id": true, "In-Reply-To": true, "References": true,
	"Received": true, "Return-Path": true, "Delivered-To": true, "Mime-Version": true, "Content-Type": true, "Sender": true, "Reply-To": true,
}

// isMail reports whether the bytes begin with a mail's header: fields only, and
// at least two of the usual ones. A console that begins with "Linux: ..." has none.
func isMail(head []byte) bool {
	usual := map[string]bool{}
	for n := 0; len(head) > 0; n++ {
		line, rest, whole := bytes.Cut(head, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 || !whole {
			break
		}
		name, ok := fieldName(line)
		if !ok && (n == 0 || line[0] != ' ' && line[0] != '\t') {
			return false
		}
		if usualFields[name] {
			usual[name] = true
		}
		head = rest
	}
	return len(usual) >= 2
}

// fieldName returns the name of the header field that the line begins.
func fieldName(line []byte) (string, bool) {
	name, _, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(name) == 0 || len(name) > 76 {
		return "", false
	}
	for _, c := range name {
		if c <= ' ' || c >= 0x7f {
			return "", false
		}
	}
	return textproto.CanonicalMIMEHeaderKey(string(name)), true
}

// mail reads a message: its header, then what the header says.
func (w *walker) mail(part string, r *bufio.Reader, depth int) error {
	if depth > maxDepth {
		return blame.Errorf(blame.User, "save the inner mail and name that", "attached more than %d levels deep", maxDepth)
	}
	header, err := readHeader(r)
	if err != nil {
		return err
	}
	return w.entity(part, header, r, depth)
}

// readHeader reads up to the empty line. Lines that are no fields are skipped:
// a mail that somebody saved by hand may have some.
func readHeader(r *bufio.Reader) (textproto.MIMEHeader, error) {
	header := textproto.MIMEHeader{}
	last := ""
	for kept := 0; ; {
		line, err := r.ReadSlice('\n')
		text := strings.TrimRight(string(line), "\r\n")
		if kept += len(line); kept > maxHeader {
			return nil, blame.Errorf(blame.User, "save the mail's text to a file and name that", "a mail's header has more than %s", size(maxHeader))
		}
		if name, ok := fieldName([]byte(text)); ok && text[0] != ' ' && text[0] != '\t' {
			last = name
			header[name] = append(header[name], strings.TrimSpace(text[len(name)+1:]))
		} else if values := header[last]; len(values) > 0 && text != "" {
			values[len(values)-1] += " " + strings.TrimSpace(text)
		}
		switch {
		case errors.Is(err, io.EOF), err == nil && text == "":
			return header, nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// entity reads a message or one part of it (RFC 2045).
func (w *walker) entity(part string, header textproto.MIMEHeader, body io.Reader, depth int) error {
	media, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || media == "" {
		media = "text/plain"
	}
	if boundary := params["boundary"]; boundary != "" && strings.HasPrefix(media, "multipart/") {
		return w.parts(part, multipart.NewReader(body, boundary), depth+1)
	}
	name := attachment(header, params)
	body = transferred(header.Get("Content-Transfer-Encoding"), body)
	switch {
	case media == "message/rfc822":
		return w.mail(part+": "+cmp.Or(name, "mail"), bufio.NewReaderSize(body, sniffed), depth+1)
	case name != "" && isLog(media, name):
		part += ": " + name
		if err := w.content(part, body, depth+1); err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	case name == "" && strings.HasPrefix(media, "text/") && media != "text/html":
		flowed := strings.EqualFold(params["format"], "flowed")
		return w.text(part, newBody(body, flowed, flowed && strings.EqualFold(params["delsp"], "yes")))
	}
	return nil
}

// parts reads the parts of a multipart.
func (w *walker) parts(part string, r *multipart.Reader, depth int) error {
	if depth > maxDepth {
		return blame.Errorf(blame.User, "save the inner part and name that", "%s: parts more than %d levels deep", part, maxDepth)
	}
	var errs []error
	for n := 0; n < maxParts; n++ {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return errors.Join(errs...)
		}
		if err != nil {
			return errors.Join(append(errs, blame.On(blame.User, err, "the mail is damaged; the parts before the damage were read"))...)
		}
		err = w.entity(part, p.Header, p, depth)
		errs = w.note(errs, blame.On(blame.User, err, "the mail is damaged; what comes before the damage was read"))
	}
	return errors.Join(append(errs, blame.Errorf(blame.User, "", "%s: more than %d parts", part, maxParts))...)
}

// attachment returns the name that a part has as a file, or "".
func attachment(header textproto.MIMEHeader, params map[string]string) string {
	name := params["name"]
	if _, p, err := mime.ParseMediaType(header.Get("Content-Disposition")); err == nil && p["filename"] != "" {
		name = p["filename"]
	}
	var words mime.WordDecoder
	if decoded, err := words.DecodeHeader(name); err == nil {
		name = decoded
	}
	return strings.ToValidUTF8(name[max(0, len(name)-maxName):], "") // with its ending
}

// isLog reports whether an attachment may hold a console's text. What it
// really is, its content says.
func isLog(media, name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".txt", ".log", ".gz", ".zst", ".dmesg", ".out", ".eml", ".mbox":
		return true
	case ".html", ".htm", ".patch", ".diff", ".c", ".config":
		return false
	}
	switch media {
	case "application/gzip", "application/x-gzip", "application/zstd":
		return true
	}
	return strings.HasPrefix(media, "text/") && media != "text/html"
}

// transferred undoes a content transfer encoding. The character set stays as it
// is: what a kernel prints is ASCII, and the rest is shown escaped.
func transferred(encoding string, body io.Reader) io.Reader {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "base64":
		return named{"base64", base64.NewDecoder(base64.StdEncoding, body)}
	case "quoted-printable":
		return named{"quoted-printable", quotedprintable.NewReader(bufio.NewReaderSize(body, sniffed))}
	}
	return body
}

// named says in its errors who made them.
type named struct {
	name string
	in   io.Reader
}

func (r named) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = blame.On(blame.User, fmt.Errorf("%s: %w", r.name, err), "the mail is damaged; what comes before the damage was read")
	}
	return n, err
}
