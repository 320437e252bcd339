package main

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// dial connects a floor to the server and does the handshake, which the server does not check.
func dial(addr string) (net.Conn, error) {
	conn, err := net.Dial("tcp", addr) //nolint:noctx // a program that ends with its connection
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(xmlstream.Header{Content: "jabber:component:accept", To: domain}.Append(nil)); err != nil {
		return nil, err
	}
	buf := make([]byte, 4096)
	if _, err := conn.Read(buf); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, "<handshake>0</handshake>"); err != nil {
		return nil, err
	}
	buf = buf[:len("<handshake/>")] // no more: a stanza may follow at once
	_, err = io.ReadFull(conn, buf)
	if err == nil && string(buf) != "<handshake/>" {
		err = errors.New("no handshake")
	}
	return conn, err
}

// raw is the least that answers at all: it looks for the ends of stanzas, pastes a reply and writes once for each read. It checks nothing.
func raw(addr string, st *stats) error {
	conn, err := dial(addr)
	if err != nil {
		return err
	}
	buf := make([]byte, 64<<10)
	var out []byte
	keep := 0
	attr := func(s []byte, name string) []byte {
		i := bytes.Index(s, []byte(name))
		if i < 0 {
			return nil
		}
		s = s[i+len(name):]
		return s[:bytes.IndexByte(s, '\'')]
	}
	for {
		n, err := conn.Read(buf[keep:])
		if err != nil {
			return ended(err)
		}
		b := buf[:keep+n]
		out = out[:0]
		for len(b) > 0 {
			name := b[1:max(1, bytes.IndexByte(b, ' '))]
			end := bytes.Index(b, append(append([]byte("</"), name...), '>'))
			if len(name) == 0 || end < 0 {
				break
			}
			end += len(name) + 3
			s := b[:end]
			b = b[end:]
			st.stanzas++
			typ := "chat"
			var content []byte
			switch name[0] {
			case 'p':
				continue
			case 'm':
				i := bytes.Index(s, []byte("<body>"))
				j := bytes.Index(s, []byte("</body>"))
				content = s[i : j+len("</body>")]
			default:
				typ = "result"
				content = []byte("<query xmlns='urn:example:query'/>")
			}
			out = append(append(out, '<'), name...)
			out = append(append(out, " from='"...), attr(s, " to='")...)
			out = append(append(out, "' to='"...), attr(s, " from='")...)
			out = append(append(out, "' id='"...), attr(s, " id='")...)
			out = append(append(append(out, "' type='"...), typ...), "'>"...)
			out = append(append(append(append(out, content...), "</"...), name...), '>')
		}
		keep = copy(buf, b)
		if len(out) > 0 {
			st.writes++
			if _, err := conn.Write(out); err != nil {
				return err
			}
		}
	}
}

// tree parses with all checks into a tree that owns its memory, and writes once for each read. No stanza types, no routing, no
// goroutines.
func tree(addr string, st *stats) error {
	conn, err := dial(addr)
	if err != nil {
		return err
	}
	p := xmltree.NewParser(xmltree.Config{ContentNS: "jabber:component:accept", ContentAs: stanza.NS})
	// The stream's header was read by dial; give the parser one of its own.
	if _, err := p.Fill(bytes.NewReader(xmlstream.Header{Content: "jabber:component:accept"}.Append(nil))); err != nil {
		return err
	}
	enc := xmltree.NewEncoder(nil, stanza.NS)
	out := []byte{}
	for {
		tok, err := p.Next()
		if err != nil {
			return err
		}
		if tok == xmltree.TokenElement {
			el := p.Element().Clone()
			st.stanzas++
			name := el.Name()
			if name.Local == "presence" {
				continue
			}
			enc.Reset(out)
			enc.Start(name)
			enc.Attr("from", el.Attr("to"))
			enc.Attr("to", el.Attr("from"))
			enc.Attr("id", el.Attr("id"))
			if name.Local == "iq" {
				enc.Attr("type", "result")
				for c := range el.Children() {
					enc.Start(c.Name())
					enc.End()
				}
			} else {
				enc.Attr("type", el.Attr("type"))
				c, _ := el.Child(stanza.NS, "body")
				enc.Element(c)
			}
			enc.End()
			if err := enc.Err(); err != nil {
				return err
			}
			out = enc.Bytes()
		}
		if tok != xmltree.TokenNone {
			continue
		}
		if len(out) > 0 {
			st.writes++
			if _, err := conn.Write(out); err != nil {
				return err
			}
			out = out[:0]
		}
		if _, err := p.Fill(conn); err != nil {
			return ended(err)
		}
	}
}

// xmltok reads the tokens of encoding/xml, makes the reply by hand and writes when the input is used up.
func xmltok(addr string, st *stats) error {
	conn, err := dial(addr)
	if err != nil {
		return err
	}
	r := bufio.NewReaderSize(conn, 64<<10)
	dec := xml.NewDecoder(r)
	var out bytes.Buffer
	var name, from, to, id, typ, text, payload string
	depth, inBody := 0, false
	for {
		if r.Buffered() == 0 && out.Len() > 0 && depth == 0 {
			st.writes++
			if _, err := conn.Write(out.Bytes()); err != nil {
				return err
			}
			out.Reset()
		}
		tok, err := dec.Token()
		if err != nil {
			return ended(err)
		}
		switch t := tok.(type) {
		case xml.StartElement:
			if depth++; depth == 1 {
				name, text, payload, typ = t.Name.Local, "", "", ""
				for _, a := range t.Attr {
					switch a.Name.Local {
					case "from":
						from = a.Value
					case "to":
						to = a.Value
					case "id":
						id = a.Value
					case "type":
						typ = a.Value
					}
				}
			} else if depth == 2 {
				inBody = t.Name.Local == "body"
				payload = t.Name.Space
			}
		case xml.CharData:
			if depth == 2 && inBody {
				text += string(t)
			}
		case xml.EndElement:
			if depth--; depth > 0 {
				continue
			}
			st.stanzas++
			if name == "presence" {
				continue
			}
			if name == "iq" {
				typ = "result"
			}
			out.WriteString("<" + name)
			for _, a := range [...][2]string{{"from", to}, {"to", from}, {"id", id}, {"type", typ}} {
				out.WriteString(" " + a[0] + "='")
				_ = xml.EscapeText(&out, []byte(a[1]))
				out.WriteString("'")
			}
			out.WriteString(">")
			if name == "iq" {
				out.WriteString("<query xmlns='")
				_ = xml.EscapeText(&out, []byte(payload))
				out.WriteString("'/>")
			} else {
				out.WriteString("<body>")
				_ = xml.EscapeText(&out, []byte(text))
				out.WriteString("</body>")
			}
			out.WriteString("</" + name + ">")
		}
	}
}

// ended says whether the end of a connection is a failure.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
