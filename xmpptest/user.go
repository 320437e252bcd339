package xmpptest

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/internal/xmppserver"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// User is an account that has signed in, for what only a client sees. It is used by one goroutine.
type User struct {
	JID string // full

	t      testing.TB
	conn   net.Conn
	parser *xmltree.Parser
	wait   time.Duration
	serial int
}

// User signs in an account of [WithUser] or [Server.AddUser], without presence. The session ends with t.
func (s *Server) User(t testing.TB, name, password string) *User {
	t.Helper()
	return SignIn(t, s.ClientTLS, s.TLSConfig(), name, password)
}

// SignIn signs in an account of any server that takes clients inside TLS at addr (XEP-0368) and takes their passwords as they are; cfg
// names the server's domain. Many of these cost little, as stock clients do not.
func SignIn(t testing.TB, addr string, cfg *tls.Config, name, password string) *User {
	t.Helper()
	conn, err := (&tls.Dialer{Config: cfg}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatalf("xmpptest: user %s: %v", name, err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	u := &User{t: t, conn: conn, wait: 30 * time.Second}
	u.open(cfg.ServerName)
	u.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + base64.StdEncoding.EncodeToString([]byte("\x00"+name+"\x00"+password)) + "</auth>")
	if el := u.Next(); el.Name().Local != "success" {
		t.Fatalf("xmpptest: user %s: %s", name, el)
	}
	u.open(cfg.ServerName)
	bound := u.Ask("<iq type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
	bind, _ := bound.Child("urn:ietf:params:xml:ns:xmpp-bind", "bind")
	full, _ := bind.Child("urn:ietf:params:xml:ns:xmpp-bind", "jid")
	if u.JID = full.Text(); u.JID == "" {
		t.Fatalf("xmpptest: user %s: %s", name, bound)
	}
	return u
}

// open begins a stream and skips its features.
func (u *User) open(host string) {
	u.t.Helper()
	u.parser = xmltree.NewParser(xmltree.Config{ContentNS: stanza.NS, ContentAs: stanza.NS})
	u.write(xmlstream.Header{Content: stanza.NS, To: host, Version: "1.0"}.Append(nil))
	if el := u.Next(); !el.Is(stanza.NSStream, "features") {
		u.t.Fatalf("xmpptest: no stream features but %s", el)
	}
}

func (u *User) write(b []byte) {
	u.t.Helper()
	_ = u.conn.SetWriteDeadline(time.Now().Add(u.wait))
	if _, err := u.conn.Write(b); err != nil {
		u.t.Fatalf("xmpptest: %s: %v", u.JID, err)
	}
}

// Send writes XML to the server as it is.
func (u *User) Send(xml string) {
	u.t.Helper()
	u.write([]byte(xml))
}

// Next waits for the next element that the server sends.
func (u *User) Next() xmltree.Element {
	u.t.Helper()
	_ = u.conn.SetReadDeadline(time.Now().Add(u.wait))
	for {
		tok, err := u.parser.Next()
		if err == nil && tok == xmltree.TokenElement {
			return u.parser.Element().Clone()
		}
		if err == nil && tok == xmltree.TokenNone {
			_, err = u.parser.Fill(u.conn)
		}
		if err == nil && tok == xmltree.TokenClose {
			err = fmt.Errorf("the server has closed the stream")
		}
		if err != nil {
			u.t.Fatalf("xmpptest: %s: %v", u.JID, err)
		}
	}
}

// Ask sends an IQ, given as XML without an id, and returns the answer. Nothing else may come before it.
func (u *User) Ask(iq string) xmltree.Element {
	u.t.Helper()
	els, err := xmppserver.ParseStanzas(iq)
	if err != nil || els[0].Name().Local != "iq" {
		u.t.Fatalf("xmpptest: %s is no IQ: %v", iq, err)
	}
	u.serial++
	id := fmt.Sprintf("ask-%d", u.serial)
	u.Send("<iq id='" + id + "'" + iq[len("<iq"):])
	el := u.Next()
	if el.Attr("id") != id {
		u.t.Fatalf("xmpptest: %s: asked %s, got %s", u.JID, iq, el)
	}
	return el
}
