package xmltree

import (
	"bufio"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// What other parsers make of a document, in the form that dump writes, to be compared with what ours makes of it.

// roomy are limits that no document of the tests exceeds.
func roomy() Limits {
	return Limits{Bytes: 1 << 28, Depth: 1 << 20, Attrs: maxAttrs, Elements: 1 << 24}
}

type dumpAttr struct{ space, local, value string }

// dumper writes a document as one line that has no two readings: its separators are no characters of XML.
type dumper struct {
	b      strings.Builder
	inText bool
}

func (d *dumper) start(name xml.Name, attrs []dumpAttr) {
	d.endText()
	d.b.WriteString("(" + name.Space + "\x1f" + name.Local)
	slices.SortFunc(attrs, func(a, b dumpAttr) int {
		return strings.Compare(a.space+"\x1f"+a.local, b.space+"\x1f"+b.local)
	})
	for _, a := range attrs {
		d.b.WriteString("\x1e" + a.space + "\x1f" + a.local + "\x1f" + a.value)
	}
	d.b.WriteString("\x1d")
}

func (d *dumper) text(s string) {
	if s != "" && !d.inText {
		d.b.WriteString(`"`)
		d.inText = true
	}
	d.b.WriteString(s)
}

func (d *dumper) endText() {
	if d.inText {
		d.b.WriteString("\x1d")
		d.inText = false
	}
}

func (d *dumper) end() {
	d.endText()
	d.b.WriteString(")")
}

func (d *dumper) element(el Element) {
	var attrs []dumpAttr
	for name, v := range el.Attrs() {
		attrs = append(attrs, dumpAttr{name.Space, name.Local, v})
	}
	d.start(el.Name(), attrs)
	for n := range el.Nodes() {
		if n.Element.IsZero() {
			d.text(n.Text)
		} else {
			d.element(n.Element)
		}
	}
	d.end()
}

func dump(el Element) string {
	var d dumper
	d.element(el)
	return d.b.String()
}

// dumpByStdlib is dump by encoding/xml. Its quirks: it does not normalise attribute values (XML 1.0 section 3.3.3), so a
// caller compares them without regard to the kind of white space; it accepts much that is not well-formed.
func dumpByStdlib(doc string) (string, error) {
	var d dumper
	dec := xml.NewDecoder(strings.NewReader(doc))
	for depth := 0; ; {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return d.b.String(), nil
		}
		if err != nil {
			return "", err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			depth++
			var attrs []dumpAttr
			for _, a := range tok.Attr {
				if a.Name.Space != "xmlns" && (a.Name.Space != "" || a.Name.Local != "xmlns") {
					attrs = append(attrs, dumpAttr{a.Name.Space, a.Name.Local, a.Value})
				}
			}
			d.start(tok.Name, attrs)
		case xml.EndElement:
			depth--
			d.end()
		case xml.CharData:
			if depth > 0 {
				d.text(string(tok))
			}
		}
	}
}

// blank makes all white space spaces.
func blank(s string) string { return strings.NewReplacer("\n", " ", "\t", " ", "\r", " ").Replace(s) }

// expat is the parser of Prosody and ejabberd, as a child process of the test.
type expat struct {
	in  io.WriteCloser
	out *bufio.Reader
}

// newExpat starts expat, or skips the test where Python is missing.
func newExpat(t testing.TB) *expat {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("not run: comparing with expat needs python3; the committed results in testdata/expected.txt are compared without it")
	}
	cmd := exec.CommandContext(t.Context(), python, "testdata/expat.py")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("not run: python3 does not start: %v", err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	return &expat{stdin, bufio.NewReader(stdout)}
}

// read returns expat's answer: see testdata/expat.py.
func (e *expat) read(t testing.TB, doc string) string {
	t.Helper()
	msg := binary.BigEndian.AppendUint32(nil, uint32(len(doc)))
	if _, err := e.in.Write(append(msg, doc...)); err != nil {
		t.Fatal(err)
	}
	var head [4]byte
	if _, err := io.ReadFull(e.out, head[:]); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := io.ReadFull(e.out, answer); err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// ourAnswer is what expat.read returns, of our parser.
func ourAnswer(doc string) string {
	el, err := Parse([]byte(doc), roomy())
	switch {
	case err == nil:
		return "+" + dump(el)
	case errors.Is(err, ErrRestricted) && !strings.Contains(err.Error(), "entity"): // to expat that is an undefined entity
		return "!"
	}
	return "-" + err.Error()
}

// agree compares our answer with expat's. A document that both refuse may have several faults, and which is met first
// differs.
func agree(doc, expat string) error {
	ours := ourAnswer(doc)
	if ours == expat || ours[0] != '+' && expat[0] != '+' {
		return nil
	}
	if expat[0] == '+' {
		switch {
		case strings.HasPrefix(doc, "\uFEFF"): // RFC 6120 section 11.6 knows no byte order mark; expat drops it
			return nil
		case strings.HasPrefix(doc, "<?xml") && (strings.Contains(ours, "XML version") || strings.Contains(ours, "encoding") || strings.Contains(ours, "declaration")):
			return nil // RFC 6120 section 11.5 and 11.6; expat leaves versions to its user
		}
	}
	if ours[0] == '+' && strings.HasPrefix(expat, "-prefix must not be bound to one of the reserved namespace names") {
		return nil // xml's namespace declared: servers read <xml:y/> and write that (TestSEC24_Prefixes)
	}
	return fmt.Errorf("%q:\nours  %q\nexpat %q", doc, ours, expat)
}
