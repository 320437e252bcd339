package xmltree

import (
	"errors"
	"strings"
	"testing"
)

const testHeader = `<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:component:accept' id='x'>`

// chunks is a reader that hands out its input in pieces of the given size.
type chunks struct {
	s string
	n int
}

func (c *chunks) Read(b []byte) (int, error) {
	n := min(c.n, len(c.s), len(b))
	copy(b, c.s[:n])
	c.s = c.s[n:]
	if n == 0 {
		return 0, errors.New("no more input")
	}
	return n, nil
}

// parseStream returns a line for each token of the input, which arrives n bytes at a time.
func parseStream(t testing.TB, input string, n int, l Limits) (out []string, err error) {
	t.Helper()
	p := NewParser(Config{Limits: l, ContentNS: "jabber:component:accept", ContentAs: "jabber:client"})
	r := &chunks{input, n}
	for {
		tok, err := p.Next()
		switch {
		case err != nil:
			return out, err
		case tok == TokenOpen:
			out = append(out, "open "+p.Element().String())
		case tok == TokenElement:
			out = append(out, p.Element().String())
		case tok == TokenTooLarge:
			out = append(out, "too large: "+p.Excess()+" "+p.Element().String())
		case tok == TokenClose:
			return append(out, "close"), nil
		default:
			if _, err := p.Fill(r); err != nil {
				return out, nil //nolint:nilerr // the input ends here
			}
		}
	}
}

func TestParserStream(t *testing.T) {
	const in = testHeader + " \n<message to='a' from=\"b\" xml:lang='de'><body>Grüße &amp; &lt;\r\n<![CDATA[<x>&]]></body>" +
		"<p:x xmlns:p='urn:p' p:a='1' b='x&#10;y\nz'><y xmlns='urn:y'><z/></y></p:x></message>junk>300<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq></stream:stream>"
	want := []string{
		`open <stream xmlns='http://etherx.jabber.org/streams' id='x'/>`,
		`<message xmlns='jabber:client' to='a' from='b' xml:lang='de'><body>Grüße &amp; &lt;` + "\n" + `&lt;x&gt;&amp;</body>` +
			`<x xmlns='urn:p' xmlns:ns0='urn:p' ns0:a='1' b='x&#xA;y z'><y xmlns='urn:y'><z/></y></x></message>`,
		`<iq xmlns='jabber:client' type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>`,
		`close`,
	}
	for _, n := range []int{1, 2, 3, 7, 64, 1 << 20} {
		got, err := parseStream(t, in, n, Limits{})
		if err != nil {
			t.Fatalf("%d bytes a read: %v", n, err)
		}
		if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
			t.Errorf("%d bytes a read:\ngot  %s\nwant %s", n, g, w)
		}
	}
}

func TestParserSkipsTooLarge(t *testing.T) {
	deep := strings.Repeat("<a x='>'>", 70) + "<![CDATA[</a></a>]] >]]>" + strings.Repeat("</a>", 70)
	in := testHeader +
		"<iq type='get' id='1'>" + deep + "</iq>" +
		"<message id='2'><body>" + strings.Repeat("x", 5000) + "<b/></body></message>" +
		"<message id='3'><a " + strings.Repeat("x", 5000) + "='/>'/></message>" +
		"<message id='" + strings.Repeat("4", 5000) + "'><a/></message>" +
		"<message id='5'/>"
	want := []string{
		`open <stream xmlns='http://etherx.jabber.org/streams' id='x'/>`,
		`too large: depth <iq xmlns='jabber:client' type='get' id='1'/>`,
		`too large: bytes <message xmlns='jabber:client' id='2'/>`,
		`too large: bytes <message xmlns='jabber:client' id='3'/>`,
		`too large: bytes `,
		`<message xmlns='jabber:client' id='5'/>`,
	}
	for _, n := range []int{1, 3, 100, 1 << 20} {
		got, err := parseStream(t, in, n, Limits{Bytes: 4096})
		if err != nil {
			t.Fatalf("%d bytes a read: %v", n, err)
		}
		if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
			t.Errorf("%d bytes a read:\ngot  %s\nwant %s", n, g, w)
		}
	}
}
