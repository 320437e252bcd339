package xmppserver

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// Content namespaces of the two kinds of streams.
const (
	NSComponent = "jabber:component:accept" // XEP-0114
	NSClient    = stanza.NS                 // RFC 6120 section 4.8.2
)

// loginLimits bounds what a peer may send before it has logged in.
func loginLimits() xmltree.Limits {
	return xmltree.Limits{Bytes: 10 << 10, Depth: 16, Attrs: 32, Elements: 256, Skip: -1}
}

// stanzaLimits bounds stanzas of max bytes after the login. A stanza that is too large ends the stream, as on real servers.
func stanzaLimits(maxBytes int) xmltree.Limits {
	return xmltree.Limits{Bytes: maxBytes, Depth: relayDepth, Attrs: 1024, Elements: 1 << 24, Skip: -1}
}

// StreamKind tells the two kinds of streams apart.
type StreamKind uint8

// The kinds of streams.
const (
	StreamComponent StreamKind = iota
	StreamClient
)

// Trace observes a server. Its functions are called by the goroutines that read, in the order of what they report; they must
// return soon.
type Trace struct {
	// Stream, where set, is called when an XML stream begins, and returns where a copy of all its bytes goes, after TLS.
	// That is closed at the end of the stream, or where it is restarted. It may return nil.
	Stream func(kind StreamKind) io.WriteCloser
	// Received is called for each stanza of a component, before it is routed.
	Received func(component jid.JID, el xmltree.Element)
	// Undeliverable is called for a stanza of a component that nobody can get. True means that it was taken; otherwise
	// the component gets an error.
	Undeliverable func(component jid.JID, el xmltree.Element) bool
	// Closed is called when a component's link has ended, with the reason.
	Closed func(component jid.JID, err error)
}

// header returns a stream header of the server.
func header(ns, id, from, lang, version string) []byte {
	var b strings.Builder
	b.WriteString("<?xml version='1.0'?><stream:stream xmlns:stream='" + stanza.NSStream + "' xmlns='" + ns + "' id='")
	_ = xml.EscapeText(&b, []byte(id)) // a Builder never fails
	for _, a := range [][2]string{{"from", from}, {"xml:lang", lang}, {"version", version}} {
		if a[1] != "" {
			b.WriteString("' " + a[0] + "='")
			_ = xml.EscapeText(&b, []byte(a[1]))
		}
	}
	b.WriteString("'>")
	return []byte(b.String())
}

const streamEnd = "</stream:stream>"

// streamError returns a stream error and the end of the stream.
func streamError(e *stanza.StreamError) []byte {
	enc := xmltree.NewEncoder([]byte("<stream:error>"), stanza.NSStream)
	e.EncodeXML(enc)
	return append(enc.Bytes(), "</stream:error>"+streamEnd...)
}

// streamFailure is a stream error as a Go error.
func streamFailure(c stanza.StreamCondition, text string) *stanza.StreamError {
	e := &stanza.StreamError{Condition: c}
	if text != "" {
		e.Text = stanza.NewText(text)
	}
	return e
}

// fill puts the arguments into the texts of a stream error of the policy.
func fill(e stanza.StreamError, args ...any) *stanza.StreamError {
	t := make(stanza.Text, len(e.Text))
	for i, l := range e.Text {
		if strings.Contains(l.Text, "%s") {
			l.Text = fmt.Sprintf(l.Text, args...)
		}
		t[i] = l
	}
	e.Text = t
	return &e
}

// readHeader reads the peer's stream header and returns its default namespace too: the parser has one name for the
// content namespaces of all streams.
func (l *link) readHeader() (el xmltree.Element, ns string, err error) {
	tok, err := l.next()
	if err != nil {
		return xmltree.Element{}, "", err
	}
	el = l.parser.Element().Clone()
	dec := xml.NewDecoder(bytes.NewReader(l.head)) // the parser has found it well-formed
	l.head = nil
	for {
		t, err := dec.Token()
		if err != nil {
			return el, "", nil //nolint:nilerr // no default namespace could be found
		}
		start, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		for _, a := range start.Attr {
			if a.Name == (xml.Name{Local: "xmlns"}) {
				ns = a.Value
			}
		}
		if tok != xmltree.TokenOpen || !el.Is(stanza.NSStream, "stream") {
			return el, ns, streamFailure(stanza.StreamInvalidNamespace, "")
		}
		return el, ns, nil
	}
}

// refuse ends the stream because of err, if err is about what the peer has sent. The stream error is what err wraps, or what
// answers XML that was refused; tooBig is for a stanza that is too large.
func (l *link) refuse(err error, tooBig stanza.StreamError) error {
	var e *stanza.StreamError
	var syn *xmltree.SyntaxError
	switch {
	case errors.As(err, &e):
	case errors.Is(err, xmltree.ErrLimit):
		e = &tooBig
	case errors.As(err, &syn):
		e = stanza.StreamErrorFor(err)
		if errors.Is(err, xmltree.ErrRestricted) {
			e.Condition = l.srv.policy.Restricted
		}
	case errors.Is(err, os.ErrDeadlineExceeded) && l.head == nil: // the login took too long, and the stream is open
		l.end([]byte(streamEnd))
		return err
	default: // the connection itself has ended
		return err
	}
	l.end(streamError(e))
	return err
}
