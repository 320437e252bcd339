package xmltree

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The stanzas that the benchmarks read and write, as they stand on a component's stream.
const (
	chatMessage = `<message from='user0001@localhost/res' to='addr0001@gateway.localhost' type='chat' id='8a1d7f20-0001'>` +
		`<body>Lorem ipsum dolor sit amet, consectetur adipisici elit, sed eiusmod tempor incidunt ut labore.</body></message>`

	richMessage = `<message from='romeo@montague.example/orchard' to='juliet@gw.capulet.example' type='chat' id='richmessage-1' xml:lang='en'>` +
		`<body>Good morrow, and how was the balcony?</body>` +
		`<active xmlns='http://jabber.org/protocol/chatstates'/>` +
		`<request xmlns='urn:xmpp:receipts'/>` +
		`<markable xmlns='urn:xmpp:chat-markers:0'/>` +
		`<origin-id xmlns='urn:xmpp:sid:0' id='richmessage-1'/>` +
		`<stanza-id xmlns='urn:xmpp:sid:0' id='2026-11-22-abcdef' by='romeo@montague.example'/></message>`

	presenceCaps = `<presence from='romeo@montague.example/orchard' to='juliet@gw.capulet.example' xml:lang='en'>` +
		`<show>away</show><status>Wooing Juliet</status><priority>5</priority>` +
		`<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://code.google.com/p/exodus' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/>` +
		`<x xmlns='vcard-temp:x:update'><photo>01b87fcd030b72895ff8e88db57ec525450f000d</photo></x></presence>`

	cyrillicMessage = `<message from='user0001@localhost/res' to='addr0001@gateway.localhost' type='chat' id='8a1d7f20-0001'>` +
		`<body>Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему.</body></message>`
)

var benchStanzas = []struct{ name, xml string }{
	{"chat", chatMessage},
	{"rich", richMessage},
	{"presence", presenceCaps},
	{"cyrillic", cyrillicMessage},
}

// endless is a stream that repeats one stanza.
type endless struct {
	next  string
	batch string
}

func newEndless(stanza string) *endless {
	return &endless{testHeader, strings.Repeat(stanza, 1+16<<10/len(stanza))}
}

func (e *endless) Read(b []byte) (int, error) {
	n := copy(b, e.next)
	if e.next = e.next[n:]; e.next == "" {
		e.next = e.batch
	}
	return n, nil
}

// nextStanza returns the next stanza of a stream.
func nextStanza(tb testing.TB, p *Parser, r io.Reader) Element {
	tb.Helper()
	for {
		tok, err := p.Next()
		if err != nil {
			tb.Fatal(err)
		}
		switch tok {
		case TokenElement:
			return p.Element()
		case TokenNone:
			if _, err := p.Fill(r); err != nil {
				tb.Fatal(err)
			}
		}
	}
}

// BenchmarkParse reads a stanza and looks at it where it lies. "keep" copies its content as well, as package stanza does.
func BenchmarkParse(b *testing.B) {
	for _, s := range benchStanzas {
		for _, keep := range []bool{false, true} {
			name := s.name
			if keep {
				name += "/keep"
			}
			b.Run(name, func(b *testing.B) {
				p := NewParser(Config{ContentNS: "jabber:component:accept", ContentAs: "jabber:client"})
				r := newEndless(s.xml)
				nextStanza(b, p, r)
				b.SetBytes(int64(len(s.xml)))
				b.ReportAllocs()
				for b.Loop() {
					el := nextStanza(b, p, r)
					if keep {
						var t Tree
						t.CopyContent(el)
					}
				}
			})
		}
	}
}

// BenchmarkParseFloor reads the same by encoding/xml's tokens.
func BenchmarkParseFloor(b *testing.B) {
	for _, s := range benchStanzas {
		b.Run(s.name, func(b *testing.B) {
			d := xml.NewDecoder(newEndless(s.xml))
			b.SetBytes(int64(len(s.xml)))
			b.ReportAllocs()
			next := func() {
				for depth := 0; ; {
					tok, err := d.RawToken()
					if err != nil {
						b.Fatal(err)
					}
					switch tok := tok.(type) {
					case xml.StartElement:
						if tok.Name.Space != "stream" {
							depth++
						}
					case xml.EndElement:
						if depth--; depth == 0 {
							return
						}
					}
				}
			}
			next()
			for b.Loop() {
				next()
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, s := range benchStanzas {
		b.Run(s.name, func(b *testing.B) {
			el := mustParse(b, strings.Replace(s.xml, " ", " xmlns='jabber:client' ", 1))
			e := NewEncoder(nil, "jabber:client")
			b.SetBytes(int64(len(s.xml)))
			b.ReportAllocs()
			for b.Loop() {
				e.Reset(e.Bytes()[:0])
				e.Element(el)
			}
			if got := string(e.Bytes()); got != s.xml {
				b.Fatalf("wrote %s", got)
			}
		})
	}
}

// benchPayload is a payload as many are: attributes, text and a child or two.
type benchPayload struct {
	Node  string        `xml:"node,attr,omitempty"`
	Max   int           `xml:"max,attr"`
	Title string        `xml:"title"`
	Flag  Present       `xml:"required"`
	Items []benchIdent  `xml:"item"`
	Extra *benchPayload `xml:"extra"`
}

type benchIdent struct {
	JID  string `xml:"jid,attr"`
	Name string `xml:"name,attr"`
}

func newBenchPayload() benchPayload {
	return benchPayload{Node: "urn:example:node", Max: 50, Title: "Of Love & Death", Flag: true, Items: []benchIdent{{"romeo@montague.example", "Romeo"}, {"juliet@capulet.example", "Juliet"}}}
}

func BenchmarkTagPlan(b *testing.B) {
	name := xml.Name{Space: "urn:example:bench", Local: "query"}
	var v any = newBenchPayload()
	e := NewEncoder(nil, "")
	e.Value(name, v)
	doc := string(e.Bytes())
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			e.Reset(e.Bytes()[:0])
			e.Value(name, v)
		}
	})
	b.Run("decode", func(b *testing.B) {
		el := mustParse(b, doc)
		b.ReportAllocs()
		for b.Loop() {
			var got benchPayload
			if err := Unmarshal(el, &got); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encode/floor", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := xml.NewEncoder(io.Discard).EncodeElement(v, xml.StartElement{Name: name}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode/floor", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var got benchPayload
			if err := xml.Unmarshal([]byte(doc), &got); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkParser reads the same stanzas in pieces, from memory and by a system call for each byte. "reads alone" is what the
// reading costs without a parser.
func BenchmarkParser(b *testing.B) {
	stanzas := chatMessage + richMessage + presenceCaps
	memory := func(size int) func(testing.TB) io.Reader {
		return func(testing.TB) io.Reader { return &pieces{newEndless(stanzas), size} }
	}
	for _, in := range []struct {
		name string
		open func(testing.TB) io.Reader
	}{
		{"whole", memory(1 << 20)},
		{"7 bytes per read", memory(7)},
		{"one byte per read", memory(1)},
		{"one byte per system call", func(tb testing.TB) io.Reader { tb.Helper(); return newEndlessFile(tb, stanzas) }},
	} {
		b.Run(in.name, func(b *testing.B) {
			p := NewParser(Config{ContentNS: "jabber:component:accept", ContentAs: "jabber:client"})
			r := in.open(b)
			nextStanza(b, p, r)
			b.SetBytes(int64(len(stanzas)))
			for b.Loop() {
				for range 3 {
					nextStanza(b, p, r)
				}
			}
		})
		b.Run(in.name+", reads alone", func(b *testing.B) {
			r, buf := in.open(b), make([]byte, readSize)
			b.SetBytes(int64(len(stanzas)))
			left := 0
			for b.Loop() {
				for left += len(stanzas); left > 0; {
					n, err := r.Read(buf)
					if err != nil {
						b.Fatal(err)
					}
					left -= n
				}
			}
		})
	}
}

// pieces reads at most so many bytes at a time.
type pieces struct {
	from *endless
	size int
}

func (p *pieces) Read(b []byte) (int, error) { return p.from.Read(b[:min(len(b), p.size)]) }

// endlessFile is an endless stream from a file, of which each read takes one byte. A file costs less than a socket.
type endlessFile struct {
	header string
	*os.File
}

func newEndlessFile(tb testing.TB, stanzas string) *endlessFile {
	tb.Helper()
	name := filepath.Join(tb.TempDir(), "stream")
	if err := os.WriteFile(name, []byte(strings.Repeat(stanzas, 1000)), 0o600); err != nil {
		tb.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = f.Close() })
	return &endlessFile{testHeader, f}
}

func (e *endlessFile) Read(b []byte) (int, error) {
	if e.header != "" {
		b[0], e.header = e.header[0], e.header[1:]
		return 1, nil
	}
	n, err := e.File.Read(b[:1])
	if n == 0 && errors.Is(err, io.EOF) {
		if _, err = e.Seek(0, io.SeekStart); err == nil {
			n, err = e.File.Read(b[:1])
		}
	}
	return n, err
}
