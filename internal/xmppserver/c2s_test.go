package xmppserver

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

const clientHeader = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='xmpp.test' version='1.0' xml:lang='de'>"

// newUserServer has the accounts alice, bob and carol, whose passwords are their names with "-pw".
func newUserServer(t testing.TB, change func(*Config)) *Server {
	t.Helper()
	s := newTestServer(t, change)
	for _, name := range []string{"alice", "bob", "carol"} {
		if err := s.AddUser(name, name+"-pw"); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// openClient opens a stream and returns its features.
func (p *peer) openClient() xmltree.Element {
	p.t.Helper()
	p.restart()
	p.write(clientHeader)
	p.expectEnd("open")
	el, _ := p.next()
	if !el.Is(stanza.NSStream, "features") {
		p.t.Fatalf("got %s, want features", el)
	}
	return el
}

// secure returns a client inside TLS, with its stream open.
func secure(t testing.TB, s *Server) *peer {
	t.Helper()
	p := dial(t, s.ClientAddr())
	if f := p.openClient(); !like(f, parseOne(t, "<stream:features><starttls xmlns='"+nsTLS+"'><required/></starttls></stream:features>")) {
		t.Fatalf("features before TLS: %s", f)
	}
	p.write("<starttls xmlns='" + nsTLS + "'/>")
	p.expect("<proceed xmlns='" + nsTLS + "'/>")
	p.startTLS(s.ClientTLS())
	f := p.openClient()
	if !like(f, parseOne(t, "<stream:features><mechanisms xmlns='"+nsSASL+"'><mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism></mechanisms></stream:features>")) {
		t.Fatalf("features inside TLS: %s", f)
	}
	return p
}

func plain(authzid, user, password string) string {
	return "<auth xmlns='" + nsSASL + "' mechanism='PLAIN'>" + base64.StdEncoding.EncodeToString([]byte(authzid+"\x00"+user+"\x00"+password)) + "</auth>"
}

// login returns a client that has bound a resource. It is not available yet.
func login(t testing.TB, s *Server, user, resource string) *peer {
	t.Helper()
	p := secure(t, s)
	p.write(plain("", user, user+"-pw"))
	p.expect("<success xmlns='" + nsSASL + "'/>")
	p.openClient()
	p.write("<iq type='set' id='bind'><bind xmlns='" + nsBind + "'><resource>" + resource + "</resource></bind></iq>")
	p.expect("<iq type='result' id='bind'><bind xmlns='" + nsBind + "'><jid>" + user + "@xmpp.test/" + resource + "</jid></bind></iq>")
	p.domain = user + "@xmpp.test/" + resource
	return p
}

// available is login, a roster and initial presence.
func available(t testing.TB, s *Server, user, resource, priority string) *peer {
	t.Helper()
	p := login(t, s, user, resource)
	p.write("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>")
	if el, _ := p.next(); el.Attr("id") != "roster" || el.Attr("type") != "result" {
		t.Fatal(el)
	}
	content := ""
	if priority != "" {
		content = "<priority>" + priority + "</priority>"
	}
	p.write("<presence>" + content + "</presence>")
	p.expect("<presence from='" + p.domain + "' to='" + user + "@xmpp.test' xml:lang='de'>" + content + "</presence>")
	return p
}

// sync returns when the server has handled all that the client sent, and demands that nothing else comes before.
func (p *peer) sync() {
	p.t.Helper()
	p.write("<iq type='get' id='sync' to='xmpp.test'><ping xmlns='urn:xmpp:ping'/></iq>")
	p.expect("<iq type='result' id='sync' from='xmpp.test' to='" + p.domain + "'/>")
}

func TestLoginSCRAM(t *testing.T) {
	s := newUserServer(t, nil)
	for name, tc := range map[string]struct {
		hash     scram.HashGeneratorFcn
		user, pw string
		authzid  string
		want     string
	}{
		"SCRAM-SHA-1":                       {scram.SHA1, "alice", "alice-pw", "", ""},
		"SCRAM-SHA-256":                     {scram.SHA256, "alice", "alice-pw", "", ""},
		"SCRAM-SHA-256, name in upper case": {scram.SHA256, "ALICE", "alice-pw", "", ""},
		"SCRAM-SHA-256, as oneself":         {scram.SHA256, "alice", "alice-pw", "alice@xmpp.test", ""},
		"SCRAM-SHA-256, as another":         {scram.SHA256, "alice", "alice-pw", "bob@xmpp.test", "invalid-authzid"},
		"SCRAM-SHA-256, wrong password":     {scram.SHA256, "alice", "bob-pw", "", "not-authorized"},
		"SCRAM-SHA-1, wrong password":       {scram.SHA1, "alice", "bob-pw", "", "not-authorized"},
		"SCRAM-SHA-256, unknown user":       {scram.SHA256, "nobody", "x", "", "not-authorized"},
	} {
		t.Run(name, func(t *testing.T) {
			mechanism, _, _ := strings.Cut(name, ",")
			p := secure(t, s)
			client, err := tc.hash.NewClient(tc.user, tc.pw, tc.authzid)
			if err != nil {
				t.Fatal(err)
			}
			conv := client.NewConversation()
			step := func(in string) string {
				out, err := conv.Step(in)
				if err != nil {
					t.Fatal(err)
				}
				return base64.StdEncoding.EncodeToString([]byte(out))
			}
			p.write("<auth xmlns='" + nsSASL + "' mechanism='" + mechanism + "'>" + step("") + "</auth>")
			el, _ := p.next()
			if el.Is(nsSASL, "challenge") {
				b, err := base64.StdEncoding.DecodeString(el.Text())
				if err != nil {
					t.Fatal(err)
				}
				p.write("<response xmlns='" + nsSASL + "'>" + step(string(b)) + "</response>")
				el, _ = p.next()
			}
			if tc.want != "" {
				if _, ok := el.Child(nsSASL, tc.want); !ok || !el.Is(nsSASL, "failure") {
					t.Fatalf("got %s, want %s", el, tc.want)
				}
				return
			}
			b, err := base64.StdEncoding.DecodeString(el.Text())
			if err != nil || !el.Is(nsSASL, "success") {
				t.Fatalf("got %s, %v", el, err)
			}
			step(string(b))
			if !conv.Valid() {
				t.Error("the server's signature is wrong")
			}
		})
	}
}

func TestLoginPlain(t *testing.T) {
	s := newUserServer(t, nil)
	for name, tc := range map[string]struct{ send, want string }{
		"good":              {plain("", "alice", "alice-pw"), ""},
		"as oneself":        {plain("alice@xmpp.test", "alice", "alice-pw"), ""},
		"as another":        {plain("bob@xmpp.test", "alice", "alice-pw"), "invalid-authzid"},
		"wrong password":    {plain("", "alice", "x"), "not-authorized"},
		"empty password":    {plain("", "alice", ""), "not-authorized"},
		"unknown user":      {plain("", "nobody", ""), "not-authorized"},
		"no name":           {plain("", "", ""), "not-authorized"},
		"malformed":         {"<auth xmlns='" + nsSASL + "' mechanism='PLAIN'>YQ==</auth>", "malformed-request"},
		"empty":             {"<auth xmlns='" + nsSASL + "' mechanism='PLAIN'>=</auth>", "malformed-request"},
		"not base64":        {"<auth xmlns='" + nsSASL + "' mechanism='PLAIN'>!</auth>", "incorrect-encoding"},
		"unknown mechanism": {"<auth xmlns='" + nsSASL + "' mechanism='EXTERNAL'>=</auth>", "invalid-mechanism"},
		"malformed SCRAM":   {"<auth xmlns='" + nsSASL + "' mechanism='SCRAM-SHA-1'>YQ==</auth>", "malformed-request"},
		"asked for":         {"<auth xmlns='" + nsSASL + "' mechanism='PLAIN'/>", "challenge"},
	} {
		t.Run(name, func(t *testing.T) {
			p := secure(t, s)
			p.write(tc.send)
			switch tc.want {
			case "":
				p.expect("<success xmlns='" + nsSASL + "'/>")
			case "challenge":
				p.expect("<challenge xmlns='" + nsSASL + "'/>")
				p.write("<abort xmlns='" + nsSASL + "'/>")
				p.expect("<failure xmlns='" + nsSASL + "'><aborted/></failure>")
				p.write("<auth xmlns='" + nsSASL + "' mechanism='PLAIN'/>")
				p.expect("<challenge xmlns='" + nsSASL + "'/>")
				p.write(strings.NewReplacer("auth", "response", " mechanism='PLAIN'", "").Replace(plain("", "alice", "alice-pw")))
				p.expect("<success xmlns='" + nsSASL + "'/>")
			default:
				p.expect("<failure xmlns='" + nsSASL + "'><" + tc.want + "/></failure>")
				p.write(plain("", "alice", "alice-pw")) // another attempt is allowed
				p.expect("<success xmlns='" + nsSASL + "'/>")
			}
		})
	}
}

func TestLoginRefusals(t *testing.T) {
	s := newUserServer(t, nil)
	t.Run("no SASL outside TLS", func(t *testing.T) {
		p := dial(t, s.ClientAddr())
		p.openClient()
		p.write(plain("", "alice", "alice-pw"))
		p.expect("<failure xmlns='" + nsSASL + "'><encryption-required/></failure>")
	})
	t.Run("too many attempts", func(t *testing.T) {
		p := secure(t, s)
		for range maxLogins {
			p.write(plain("", "alice", "x"))
			p.expect("<failure xmlns='" + nsSASL + "'><not-authorized/></failure>")
		}
		if got := p.streamError(); got != stanza.StreamPolicyViolation {
			t.Error(got)
		}
	})
	t.Run("stanza before the login", func(t *testing.T) {
		p := secure(t, s)
		p.write("<message to='bob@xmpp.test'/>")
		if got := p.streamError(); got != stanza.StreamNotAuthorized {
			t.Error(got)
		}
	})
	t.Run("stanza before a resource is bound", func(t *testing.T) {
		p := secure(t, s)
		p.write(plain("", "alice", "alice-pw"))
		p.expect("<success xmlns='" + nsSASL + "'/>")
		p.openClient()
		p.write("<message to='bob@xmpp.test'/>")
		if got := p.streamError(); got != stanza.StreamNotAuthorized {
			t.Error(got)
		}
	})
	t.Run("data behind starttls", func(t *testing.T) {
		p := dial(t, s.ClientAddr())
		p.openClient()
		p.write("<starttls xmlns='" + nsTLS + "'/><starttls xmlns='" + nsTLS + "'/>")
		if got := p.streamError(); got != stanza.StreamPolicyViolation {
			t.Error(got)
		}
	})
	for name, tc := range map[string]struct {
		header string
		want   stanza.StreamCondition
	}{
		"other host":         {strings.Replace(clientHeader, "to='xmpp.test'", "to='other.test'", 1), stanza.StreamHostUnknown},
		"no host":            {strings.Replace(clientHeader, "to='xmpp.test'", "", 1), stanza.StreamHostUnknown},
		"a component's host": {strings.Replace(clientHeader, "to='xmpp.test'", "to='"+gw+"'", 1), stanza.StreamHostUnknown},
		"no version":         {strings.Replace(clientHeader, "version='1.0' x", "x", 1), stanza.StreamUnsupportedVersion},
		"other namespace":    {strings.Replace(clientHeader, "jabber:client", "jabber:server", 1), stanza.StreamInvalidNamespace},
		"no stream":          {"<a xmlns='jabber:client'>", stanza.StreamInvalidNamespace},
		"not XML":            {"<<", stanza.StreamNotWellFormed},
		"DTD":                {"<!DOCTYPE x>", stanza.StreamNotWellFormed},
	} {
		t.Run(name, func(t *testing.T) {
			p := dial(t, s.ClientAddr())
			p.write(tc.header)
			p.expectEnd("open")
			if got := p.streamError(); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestBind(t *testing.T) {
	s := newUserServer(t, func(c *Config) { c.Limits.Resources = 2 })
	ready := func(t *testing.T) *peer {
		t.Helper()
		p := dial(t, s.ClientTLSAddr()) // also: direct TLS
		p.startTLS(s.ClientTLS())
		p.openClient()
		p.write(plain("", "bob", "bob-pw"))
		p.expect("<success xmlns='" + nsSASL + "'/>")
		f := p.openClient()
		if !like(f, parseOne(t, "<stream:features><bind xmlns='"+nsBind+"'/><session xmlns='"+nsSession+"'><optional/></session><ver xmlns='urn:xmpp:features:rosterver'/><csi xmlns='urn:xmpp:csi:0'/></stream:features>")) {
			t.Fatalf("features: %s", f)
		}
		return p
	}
	bind := func(resource string) string {
		return "<iq type='set' id='b'><bind xmlns='" + nsBind + "'>" + resource + "</bind></iq>"
	}
	t.Run("made by the server", func(t *testing.T) {
		p := ready(t)
		p.write(bind(""))
		p.expect("<iq type='result' id='b'><bind xmlns='" + nsBind + "'><jid>*</jid></bind></iq>")
		all := s.Sessions("bob")
		if len(all) != 1 || len(all[0].Resource()) < 20 {
			t.Fatal(all)
		}
		p.write("<iq type='set' id='s'><session xmlns='" + nsSession + "'/></iq></stream:stream>")
		p.expect("<iq type='result' id='s' from='bob@xmpp.test' to='" + all[0].String() + "'/>")
		p.expectEnd("close", "eof")
	})
	t.Run("invalid, then valid", func(t *testing.T) {
		p := ready(t)
		p.write(bind("<resource> x</resource>"))
		p.expect("<iq type='error' id='b'><error type='modify'><bad-request " + errNS + "/></error></iq>")
		p.write(bind("<resource>é x</resource>"))
		p.expect("<iq type='result' id='b'><bind xmlns='" + nsBind + "'><jid>bob@xmpp.test/é x</jid></bind></iq>")
	})
	t.Run("conflict ends the old one", func(t *testing.T) {
		c := connect(t, s, gw)
		old := login(t, s, "carol", "r")
		old.write("<presence to='" + gw + "'/>")
		c.expect("<presence from='carol@xmpp.test/r' to='" + gw + "' xml:lang='de'/>")
		login(t, s, "carol", "r")
		c.expect("<presence from='carol@xmpp.test/r' to='" + gw + "' type='unavailable'/>")
		if got := old.streamError(); got != stanza.StreamConflict {
			t.Error(got)
		}
		old.expectEnd("close", "eof")
		if all := s.Sessions("carol"); len(all) != 1 {
			t.Error(all)
		}
	})
	t.Run("too many", func(t *testing.T) {
		login(t, s, "alice", "1")
		login(t, s, "alice", "2")
		p := secure(t, s)
		p.write(plain("", "alice", "alice-pw"))
		p.expect("<success xmlns='" + nsSASL + "'/>")
		p.openClient()
		p.write(bind("<resource>3</resource>"))
		p.expect("<iq type='error' id='b'><error type='wait'><resource-constraint " + errNS + "/></error></iq>")
		p.write(bind("<resource>1</resource>"))
		p.expect("<iq type='result' id='b'><bind xmlns='" + nsBind + "'><jid>alice@xmpp.test/1</jid></bind></iq>")
	})
}
