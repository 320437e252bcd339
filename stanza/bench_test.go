package stanza_test

import (
	"bytes"
	"testing"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

const (
	plain = `<message from='romeo@example.net/orchard' to='juliet@gw.example' id='ktx72v49' type='chat'>` +
		`<body>Art thou not Romeo, and a Montague? Neither, fair saint, if either thee dislike; so it is, dear one.</body></message>`
	extended = `<message from='romeo@example.net/orchard' to='juliet@gw.example' id='ktx72v49' type='chat' xml:lang='en'><body>Art thou not Romeo, and a Montague?</body>` +
		`<active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/>` +
		`<origin-id xmlns='urn:xmpp:sid:0' id='de305d54-75b4-431b-adb2-eb6b9e546013'/><stanza-id xmlns='urn:xmpp:sid:0' by='gw.example' id='5f3dbc5e-e1d3-4077-a492-693f3769c7ad'/></message>`
)

// endless is a stream on which the same stanza comes again and again.
type endless struct {
	stanza string
	at     int
}

func (e *endless) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		m := copy(b[n:], e.stanza[e.at:])
		n += m
		e.at = (e.at + m) % len(e.stanza)
	}
	return n, nil
}

// relay returns a function that reads the next stanza and writes it, as a stream does.
func relay(t testing.TB, xml string) func() {
	t.Helper()
	p := xmltree.NewParser(xmltree.Config{ContentNS: "jabber:component:accept", ContentAs: stanza.NS})
	r := &endless{stanza: streamHeader}
	one := &oneStanza{r}
	enc := xmltree.NewEncoder(nil, stanza.NS)
	out := make([]byte, 0, 4096)
	return func() {
		for {
			tok, err := p.Next()
			switch {
			case err != nil:
				t.Fatal(err)
			case tok == xmltree.TokenOpen:
				r.stanza, r.at = xml, 0
			case tok == xmltree.TokenElement:
				s, err := stanza.Parse(p.Element())
				if err != nil {
					t.Fatal(err)
				}
				enc.Reset(out[:0])
				stanza.Encode(enc, s)
				if enc.Err() != nil || !bytes.HasPrefix(enc.Bytes(), []byte("<message")) {
					t.Fatal(enc.Err())
				}
				return
			default:
				if _, err := p.Fill(one); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// oneStanza hands out at most what is left of the current stanza.
type oneStanza struct{ e *endless }

func (o *oneStanza) Read(b []byte) (int, error) {
	return o.e.Read(b[:min(len(b), len(o.e.stanza)-o.e.at)])
}

// TestAllocations holds the budget for parsing and serialising one stanza: what is allocated is the stanza itself, the string of
// its header, its nodes and its text; with extensions also their elements and the list of them.
func TestAllocations(t *testing.T) {
	for _, c := range []struct {
		name, xml string
		most      float64
	}{
		{"plain", plain, 4},
		{"five extensions", extended, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			next := relay(t, c.xml)
			next()
			got := testing.AllocsPerRun(1000, next)
			t.Logf("%.0f allocations", got)
			if got > c.most {
				t.Errorf("more than %.0f", c.most)
			}
		})
	}
}

func BenchmarkRelay(b *testing.B) {
	for name, xml := range map[string]string{"plain": plain, "five extensions": extended} {
		b.Run(name, func(b *testing.B) {
			next := relay(b, xml)
			b.SetBytes(int64(len(xml)))
			b.ReportAllocs()
			for b.Loop() {
				next()
			}
		})
	}
}
