package wsstream

import (
	"strings"
	"testing"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/xmltree"
)

// TestFrames cuts what a stream writes, in pieces of every size, and reads each frame as a document of its own (RFC 7395 section 3.3.3).
func TestFrames(t *testing.T) {
	header := string(xmlstream.Header{Content: "jabber:client", To: "xmpp.test", From: "me@xmpp.test", Lang: "en", Version: "1.0"}.Append(nil))
	written := header + "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>eA==</auth>" + header +
		"<message id=\" xmlns='\"><body>a &lt; b</body><x xmlns='urn:x' a='/>'/></message><iq/><presence type='unavailable'/><r xmlns='urn:xmpp:sm:3'/>" +
		"<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"
	want := []string{
		"urn:ietf:params:xml:ns:xmpp-framing open", "urn:ietf:params:xml:ns:xmpp-sasl auth", "urn:ietf:params:xml:ns:xmpp-framing open",
		"jabber:client message", "jabber:client iq", "jabber:client presence", "urn:xmpp:sm:3 r", "http://etherx.jabber.org/streams error",
		"urn:ietf:params:xml:ns:xmpp-framing close",
	}
	for size := 1; size <= len(written); size++ {
		c := new(Conn)
		var got []string
		for rest := written; rest != ""; {
			n := min(size, len(rest))
			c.out, rest = append(c.out, rest[:n]...), rest[n:]
			for len(c.out) > 0 {
				frame, n, err := c.cut()
				if err != nil {
					t.Fatal(err)
				}
				if n == 0 {
					break
				}
				c.out, c.seen, c.scan = c.out[n:], 0, scanner{}
				if frame == nil {
					continue
				}
				el, err := xmltree.Parse(frame, xmltree.Limits{})
				if err != nil {
					t.Fatalf("%q: %v", frame, err)
				}
				got = append(got, el.Name().Space+" "+el.Name().Local)
				if el.Name().Local == "open" && (el.Attr("to") != "xmpp.test" || el.Attr("from") != "me@xmpp.test" || el.Attr("version") != "1.0") {
					t.Errorf("%s", el)
				}
			}
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") || len(c.out) > 0 {
			t.Fatalf("in pieces of %d: %q, and %q is left", size, got, c.out)
		}
	}
}
