// SPDX-License-Identifier: Apache-2.0

package patch

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime/quotedprintable"
	"net/mail"
	"regexp"
	"strings"
)

// mboxLine separates the mails of a mailbox: "From <commit or address> <date>".
var mboxLine = regexp.MustCompile(`(?m)^From \S+ +\w{3} \w{3} +\d.*$`)

// mails splits a mailbox and decodes the bodies. Text that is no mail comes
// back as it is.
func mails(text []byte) [][]byte {
	starts := mboxLine.FindAllIndex(text, -1)
	if len(starts) == 0 {
		return [][]byte{body(text)}
	}
	out := [][]byte{text[:starts[0][0]]}
	for i, at := range starts {
		end := len(text)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		out = append(out, body(bytes.TrimLeft(text[at[1]:end], "\r\n")))
	}
	return out
}

// headerLine is what a mail begins with.
var headerLine = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*: `)

// body returns a mail's text, decoded. Multipart mails come back as they are:
// an inline patch in one is found all the same unless it is encoded.
func body(text []byte) []byte {
	if !headerLine.Match(text) {
		return text
	}
	m, err := mail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		return text
	}
	var r io.Reader
	switch strings.ToLower(m.Header.Get("Content-Transfer-Encoding")) {
	case "quoted-printable":
		r = quotedprintable.NewReader(m.Body)
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, m.Body)
	default:
		return text
	}
	decoded, err := io.ReadAll(r)
	if err != nil {
		return text
	}
	return decoded
}
