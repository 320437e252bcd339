// Package strictxml checks what our side writes to an XML stream, independently of our own parser: tokens come from
// encoding/xml, and everything that it is known to let pass is checked here (XML 1.0, Namespaces in XML 1.0, RFC 6120
// section 11).
package strictxml

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ErrFault is wrapped by every fault that is found.
var ErrFault = errors.New("strictxml: fault")

const (
	nsStream    = "http://etherx.jabber.org/streams"
	nsXML       = "http://www.w3.org/XML/1998/namespace"
	nsXMLNS     = "http://www.w3.org/2000/xmlns/"
	nsComponent = "jabber:component:accept"
	nsClient    = "jabber:client"
)

// Checker checks the bytes of one XML stream as they are written to it. It never fails a Write.
type Checker struct {
	pipe *io.PipeWriter
	done chan struct{}
}

// New returns a Checker of a stream with this content namespace. report is called once at most, with the first fault, by the
// Checker's own goroutine; that ends with Close.
func New(contentNS string, report func(error)) *Checker {
	r, w := io.Pipe()
	c := &Checker{pipe: w, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		if err := Check(r, contentNS); err != nil {
			report(err)
		}
		_, _ = io.Copy(io.Discard, r) // the writer must not notice
	}()
	return c
}

// Write checks more of the stream.
func (c *Checker) Write(b []byte) (int, error) { return c.pipe.Write(b) }

// Close says that nothing follows and waits until all is checked. A stream may end anywhere: connections are cut.
func (c *Checker) Close() error {
	err := c.pipe.Close()
	<-c.done
	return err
}

// Check reads a stream to its end and returns the first fault. A stream that is cut short is none.
func Check(r io.Reader, contentNS string) error {
	c := &check{in: &recorder{r: bufio.NewReader(r)}, contentNS: contentNS}
	dec := xml.NewDecoder(c.in)
	dec.Strict = true
	for {
		start := dec.InputOffset()
		tok, err := dec.RawToken()
		raw := c.in.take(start, dec.InputOffset())
		switch {
		case c.in.ended && err != nil:
			return nil
		case err != nil:
			return fault("%v in %s", err, quote(append(raw, c.in.rest()...)))
		}
		if err := c.token(tok, raw); err != nil {
			return err
		}
	}
}

func fault(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFault, fmt.Sprintf(format, args...))
}

// quote shortens what is shown of the stream.
func quote(b []byte) string {
	const most = 200
	if len(b) > most {
		return strconv.Quote(string(b[:most])) + "..."
	}
	return strconv.Quote(string(b))
}

// recorder hands bytes out one by one, so that a decoder never reads ahead, and keeps those that were not taken yet.
type recorder struct {
	r     *bufio.Reader
	buf   []byte
	base  int64
	ended bool
}

func (r *recorder) ReadByte() (byte, error) {
	b, err := r.r.ReadByte()
	if err != nil {
		r.ended = true
		return 0, err
	}
	r.buf = append(r.buf, b)
	return b, nil
}

// Read is never called, since there is ReadByte.
func (r *recorder) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

func (r *recorder) take(from, to int64) []byte {
	b := bytes.Clone(r.buf[from-r.base : to-r.base])
	r.buf = append(r.buf[:0], r.buf[to-r.base:]...)
	r.base = to
	return b
}

func (r *recorder) rest() []byte { return r.buf }

type check struct {
	in        *recorder
	contentNS string
	begun     bool
	open      []openElement
	closed    bool
}

type openElement struct {
	raw   string
	space string
	binds map[string]string // prefixes declared here; "" is the default namespace
}

// A tag is matched as a whole, because encoding/xml is lenient about what stands between attributes.
var (
	startTag = regexp.MustCompile(`^<[^\s<>/='"&]+(?:[ \t\r\n]+[^\s<>/='"&]+[ \t\r\n]*=[ \t\r\n]*(?:"[^<"]*"|'[^<']*'))*[ \t\r\n]*/?>$`)
	endTag   = regexp.MustCompile(`^</[^\s<>/='"&]+[ \t\r\n]*>$`)
	refs     = regexp.MustCompile(`&[^;]*;?`)
)

func (c *check) token(tok xml.Token, raw []byte) error {
	if !utf8.Valid(raw) {
		return fault("invalid UTF-8 in %s", quote(raw))
	}
	first := !c.begun
	c.begun = true
	switch tok := tok.(type) {
	case xml.ProcInst:
		if tok.Target == "xml" && first {
			return declaration(string(tok.Inst))
		}
		return fault("processing instruction %s", quote(raw))
	case xml.Comment:
		return fault("comment %s", quote(raw))
	case xml.Directive:
		return fault("directive %s", quote(raw))
	case xml.CharData:
		return c.text(raw)
	case xml.StartElement:
		if !startTag.Match(raw) {
			return fault("ill-formed start tag %s", quote(raw))
		}
		if err := references(raw); err != nil {
			return err
		}
		return c.start(tok, raw)
	case xml.EndElement:
		if len(raw) > 0 && !endTag.Match(raw) {
			return fault("ill-formed end tag %s", quote(raw))
		}
		return c.end(rawName(tok.Name))
	}
	return fault("unknown token in %s", quote(raw))
}

func declaration(s string) error {
	if !regexp.MustCompile(`^version=(?:'1\.0'|"1\.0")(?:\s+encoding=(?:'[Uu][Tt][Ff]-8'|"[Uu][Tt][Ff]-8"))?(?:\s+standalone=(?:'(?:yes|no)'|"(?:yes|no)"))?\s*$`).MatchString(s) {
		return fault("XML declaration %q", s)
	}
	return nil
}

func (c *check) text(raw []byte) error {
	cdata := bytes.HasPrefix(raw, []byte("<![CDATA["))
	if len(c.open) <= 1 && (cdata || len(bytes.Trim(raw, " \t\r\n")) > 0) {
		return fault("text outside a stanza: %s", quote(raw))
	}
	if cdata {
		return nil
	}
	return references(raw)
}

// references checks character and entity references: encoding/xml accepts numbers that are no characters.
func references(raw []byte) error {
	for _, ref := range refs.FindAll(raw, -1) {
		s := string(ref)
		switch s {
		case "&lt;", "&gt;", "&amp;", "&apos;", "&quot;":
			continue
		}
		digits, hexed := strings.CutPrefix(s, "&#x")
		base := 16
		if !hexed {
			digits, base = strings.TrimPrefix(s, "&#"), 10
		}
		n, err := strconv.ParseUint(strings.TrimSuffix(digits, ";"), base, 32)
		if err != nil || !strings.HasPrefix(s, "&#") || !strings.HasSuffix(s, ";") || !isChar(n) {
			return fault("reference %q", s)
		}
	}
	return nil
}

// isChar is the production Char of XML 1.0.
func isChar(r uint64) bool {
	return r == 9 || r == 10 || r == 13 || r >= 0x20 && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= 0x10FFFF
}

func rawName(n xml.Name) string {
	if n.Space != "" {
		return n.Space + ":" + n.Local
	}
	return n.Local
}
