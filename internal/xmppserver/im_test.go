package xmppserver

import (
	"fmt"
	"strings"
	"testing"

	"github.com/postern-im/postern/stanza"
)

const unavailableError = "<error type='cancel'><service-unavailable " + errNS + "/></error>"

func TestClientStanzas(t *testing.T) {
	const me = "alice@xmpp.test/home"
	for name, tc := range map[string]struct{ send, want string }{
		"ping of the server":          {"<iq type='get' id='1' to='xmpp.test'><ping xmlns='urn:xmpp:ping'/></iq>", "<iq type='result' id='1' from='xmpp.test' to='" + me + "'/>"},
		"ping without to":             {"<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>", "<iq type='result' id='1' from='alice@xmpp.test' to='" + me + "'/>"},
		"unknown IQ":                  {"<iq type='set' id='1' to='xmpp.test'><x xmlns='urn:x'/></iq>", "<iq type='error' id='1' from='xmpp.test' to='" + me + "'>" + unavailableError + "</iq>"},
		"unknown IQ to the account":   {"<iq type='set' id='1'><x xmlns='urn:x'/></iq>", "<iq type='error' id='1' from='alice@xmpp.test' to='" + me + "'>" + unavailableError + "</iq>"},
		"IQ without id":               {"<iq type='get'><ping xmlns='urn:xmpp:ping'/></iq>", "<iq type='error' to='" + me + "'><error type='modify'><bad-request " + errNS + "/><text " + errNS + ">*</text></error></iq>"},
		"IQ of unknown type":          {"<iq type='x' id='1'><ping xmlns='urn:xmpp:ping'/></iq>", "<iq type='error' id='1' to='" + me + "'><error type='modify'><bad-request " + errNS + "/><text " + errNS + ">*</text></error></iq>"},
		"IQ with two children":        {"<iq type='get' id='1'><a xmlns='urn:x'/><a xmlns='urn:x'/></iq>", "<iq type='error' id='1' to='" + me + "'><error type='modify'><bad-request " + errNS + "/><text " + errNS + ">*</text></error></iq>"},
		"malformed to":                {"<message to='@@' id='1'/>", "<message type='error' id='1' to='" + me + "'><error type='modify'><jid-malformed " + errNS + "/><text " + errNS + "/></error></message>"},
		"to a user nobody has":        {"<message to='nobody@xmpp.test' id='1'/>", "<message type='error' id='1' from='nobody@xmpp.test' to='" + me + "'>" + unavailableError + "</message>"},
		"to another server":           {"<message to='x@y.example' id='1'/>", "<message type='error' id='1' from='x@y.example' to='" + me + "'><error type='cancel'><remote-server-not-found " + errNS + "/></error></message>"},
		"to a component away":         {"<iq type='get' id='1' to='" + gw + "'><ping xmlns='urn:xmpp:ping'/></iq>", "<iq type='error' id='1' from='" + gw + "' to='" + me + "'>" + notConnected + "</iq>"},
		"from written out":            {"<iq from='alice@xmpp.test/home' type='get' id='1' to='xmpp.test'><ping xmlns='urn:xmpp:ping'/></iq>", "<iq type='result' id='1' from='xmpp.test' to='" + me + "'/>"},
		"message to itself":           {"<message id='1'><body>note</body></message>", "<message id='1' from='" + me + "' to='alice@xmpp.test' xml:lang='de'><body>note</body></message>"},
		"message in another language": {"<message id='1' xml:lang='fr'/>", "<message id='1' from='" + me + "' to='alice@xmpp.test' xml:lang='fr'/>"},
		"no vCard yet":                {"<iq type='get' id='1'><vCard xmlns='vcard-temp'/></iq>", "<iq type='result' id='1' from='alice@xmpp.test' to='" + me + "'><vCard xmlns='vcard-temp'/></iq>"},
		"vCard of a user without":     {"<iq type='get' id='1' to='bob@xmpp.test'><vCard xmlns='vcard-temp'/></iq>", "<iq type='error' id='1' from='bob@xmpp.test' to='" + me + "'><error type='cancel'><item-not-found " + errNS + "/></error></iq>"},
		"roster of another":           {"<iq type='get' id='1' to='bob@xmpp.test'><query xmlns='jabber:iq:roster'/></iq>", "<iq type='error' id='1' from='bob@xmpp.test' to='" + me + "'>" + unavailableError + "</iq>"},
		"no bookmarks yet":            {"<iq type='get' id='1'><query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query></iq>", "<iq type='result' id='1' from='alice@xmpp.test' to='" + me + "'><query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query></iq>"},
		"info of the account":         {"<iq type='get' id='1'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>", "<iq type='result' id='1' from='alice@xmpp.test' to='" + me + "'><query xmlns='http://jabber.org/protocol/disco#info'><identity category='account' type='registered'/><feature var='*'/><feature var='*'/><feature var='*'/></query></iq>"},
		"info of a stranger":          {"<iq type='get' id='1' to='bob@xmpp.test'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>", "<iq type='error' id='1' from='bob@xmpp.test' to='" + me + "'>" + unavailableError + "</iq>"},
		"resource that is not there":  {"<iq type='get' id='1' to='bob@xmpp.test/x'><ping xmlns='urn:xmpp:ping'/></iq>", "<iq type='error' id='1' from='bob@xmpp.test/x' to='" + me + "'>" + unavailableError + "</iq>"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newUserServer(t, nil)
			p := available(t, s, "alice", "home", "")
			p.write(tc.send)
			p.expect(tc.want)
			p.sync()
		})
	}
	for name, tc := range map[string]struct {
		send string
		want stanza.StreamCondition
	}{
		"from of another":   {"<message from='bob@xmpp.test' to='carol@xmpp.test'/>", stanza.StreamInvalidFrom},
		"from is malformed": {"<message from='@' to='carol@xmpp.test'/>", stanza.StreamInvalidFrom},
		"unknown element":   {"<foo xmlns='urn:x'/>", stanza.StreamUnsupportedStanzaType},
		"too large":         {"<message><body>" + strings.Repeat("x", 300_000) + "</body></message>", stanza.StreamPolicyViolation},
		"not well-formed":   {"<message></iq>", stanza.StreamNotWellFormed},
	} {
		t.Run(name, func(t *testing.T) {
			s := newUserServer(t, nil)
			p := available(t, s, "alice", "home", "")
			go func() { _, _ = p.conn.Write([]byte(tc.send)) }()
			if got := p.streamError(); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// TestMessageRules is the table of RFC 6121 section 8.5.4.
func TestMessageRules(t *testing.T) {
	const bare, full, gone = "bob@xmpp.test", "bob@xmpp.test/low", "bob@xmpp.test/gone"
	for name, tc := range map[string]struct {
		typ, to string
		online  map[string]string // priorities by resource
		want    string            // resources, "offline", "error" or "nothing"
	}{
		"nobody online, normal":             {"normal", bare, nil, "offline"},
		"nobody online, chat":               {"chat", bare, nil, "offline"},
		"nobody online, chat to a resource": {"chat", gone, nil, "offline"},
		"nobody online, normal to one":      {"normal", gone, nil, "error"},
		"nobody online, groupchat":          {"groupchat", bare, nil, "error"},
		"nobody online, headline":           {"headline", bare, nil, "nothing"},
		"negative, chat":                    {"chat", bare, map[string]string{"low": "-1"}, "offline"},
		"negative, headline":                {"headline", bare, map[string]string{"low": "-1"}, "nothing"},
		"negative, chat to it":              {"chat", full, map[string]string{"low": "-1"}, "low"},
		"one, chat":                         {"chat", bare, map[string]string{"low": "0"}, "low"},
		"one, groupchat":                    {"groupchat", bare, map[string]string{"low": "0"}, "error"},
		"one, groupchat to it":              {"groupchat", full, map[string]string{"low": "0"}, "low"},
		"two, chat":                         {"chat", bare, map[string]string{"low": "0", "high": "5"}, "high"},
		"two equal, chat":                   {"chat", bare, map[string]string{"low": "5", "high": "5"}, "high low"},
		"two, normal":                       {"normal", bare, map[string]string{"low": "0", "high": "5"}, "high"},
		"two, headline":                     {"headline", bare, map[string]string{"low": "0", "high": "5"}, "high low"},
		"two, chat to the lower":            {"chat", full, map[string]string{"low": "0", "high": "5"}, "low"},
		"two, chat to another":              {"chat", gone, map[string]string{"low": "0", "high": "5"}, "high"},
		"two, normal to another":            {"normal", gone, map[string]string{"low": "0", "high": "5"}, "error"},
		"two, headline to another":          {"headline", gone, map[string]string{"low": "0", "high": "5"}, "error"},
		"two, error to another":             {"error", gone, map[string]string{"low": "0", "high": "5"}, "nothing"},
		"two, error to the account":         {"error", bare, map[string]string{"low": "0", "high": "5"}, "nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newUserServer(t, nil)
			online := make(map[string]*peer)
			for _, r := range []string{"low", "high"} {
				prio, ok := tc.online[r]
				if !ok {
					continue
				}
				p := available(t, s, "bob", r, prio)
				for _, o := range online { // they see each other
					o.next()
					p.next()
				}
				online[r] = p
			}
			alice := login(t, s, "alice", "a")
			alice.write(fmt.Sprintf("<message type='%s' to='%s' id='1'><body>x</body></message>", tc.typ, tc.to))
			if tc.want == "error" {
				alice.expect("<message type='error' id='1' from='" + tc.to + "' to='" + alice.domain + "'>" + unavailableError + "</message>")
			}
			alice.sync()
			want := fmt.Sprintf("<message type='%s' from='%s' to='%s' id='1' xml:lang='de'><body>x</body>", tc.typ, alice.domain, tc.to)
			for r, p := range online {
				if strings.Contains(tc.want, r) {
					p.expect(want + "</message>")
				}
				p.sync()
			}
			later := available(t, s, "bob", "later", "")
			for range online {
				later.next()
			}
			if tc.want == "offline" {
				later.expect(want + "<delay xmlns='urn:xmpp:delay' from='xmpp.test' stamp='*'/></message>")
			}
			later.sync()
		})
	}
}

func TestOfflineIsBounded(t *testing.T) {
	s := newUserServer(t, func(c *Config) {
		c.Limits.Offline = 2
		c.Limits.StoredBytes = 5000
	})
	alice := login(t, s, "alice", "a")
	refused := func(id, to string) {
		alice.expect("<message type='error' id='" + id + "' from='" + to + "' to='" + alice.domain + "'>" + unavailableError + "</message>")
	}
	for i := range 3 {
		alice.write(fmt.Sprintf("<message to='bob@xmpp.test' id='%d'><body>x</body></message>", i))
	}
	refused("2", "bob@xmpp.test")
	alice.write("<message to='carol@xmpp.test' id='big'><body>" + strings.Repeat("x", 6000) + "</body></message>")
	refused("big", "carol@xmpp.test")
	alice.sync()
	bob := available(t, s, "bob", "b", "")
	for i := range 2 {
		if el, _ := bob.next(); el.Attr("id") != fmt.Sprint(i) {
			t.Errorf("got %s", el)
		}
	}
	alice.write("<message to='carol@xmpp.test' id='3'><body>x</body></message>")
	alice.sync()
}

func TestStored(t *testing.T) {
	s := newUserServer(t, func(c *Config) { c.Limits.StoredBytes = 2000 })
	alice := available(t, s, "alice", "a", "")
	bob := available(t, s, "bob", "b", "")
	set := func(content, want string) {
		t.Helper()
		alice.write("<iq type='set' id='1'>" + content + "</iq>")
		if want == "" {
			alice.expect("<iq type='result' id='1' from='alice@xmpp.test' to='" + alice.domain + "'/>")
			return
		}
		alice.expect("<iq type='error' id='1' from='alice@xmpp.test' to='" + alice.domain + "'><error type='*'><" + want + " " + errNS + "/></error></iq>")
	}
	const card = "<vCard xmlns='vcard-temp'><FN>Alice</FN></vCard>"
	set(card, "")
	bob.write("<iq type='get' id='1' to='alice@xmpp.test'><vCard xmlns='vcard-temp'/></iq>")
	bob.expect("<iq type='result' id='1' from='alice@xmpp.test' to='" + bob.domain + "'>" + card + "</iq>")
	const marks = "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'><conference jid='a@b'/></storage></query>"
	set(marks, "")
	alice.write("<iq type='get' id='1'><query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query></iq>")
	alice.expect("<iq type='result' id='1' from='alice@xmpp.test' to='" + alice.domain + "'>" + marks + "</iq>")
	set("<query xmlns='jabber:iq:private'/>", "bad-request")
	set("<query xmlns='jabber:iq:private'><a xmlns='urn:a'/><b xmlns='urn:b'/></query>", "bad-request")
	set("<vCard xmlns='vcard-temp'><DESC>"+strings.Repeat("x", 3000)+"</DESC></vCard>", "resource-constraint")
	for range 20 { // replacing takes no more room
		set("<vCard xmlns='vcard-temp'><DESC>"+strings.Repeat("x", 500)+"</DESC></vCard>", "")
	}
	deep := strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100)
	set("<vCard xmlns='vcard-temp'>"+deep+"</vCard>", "")
	alice.write("<iq type='get' id='1'><vCard xmlns='vcard-temp'/></iq>")
	alice.expect("<iq type='result' id='1' from='alice@xmpp.test' to='" + alice.domain + "'><vCard xmlns='vcard-temp'>" + deep + "</vCard></iq>")
}

func TestUserAndComponent(t *testing.T) {
	for _, policy := range []Policy{Prosody(), Ejabberd()} {
		t.Run(policy.Name, func(t *testing.T) {
			s := newUserServer(t, withPolicy(policy))
			c := connect(t, s, gw)
			alice := available(t, s, "alice", "a", "")
			alice.write("<message to='u@" + gw + "' type='chat' id='1'><body>hi</body><x xmlns='urn:x'/></message>")
			c.expect("<message from='" + alice.domain + "' to='u@" + gw + "' type='chat' id='1' xml:lang='de'><body>hi</body><x xmlns='urn:x'/></message>")
			c.write("<message to='alice@xmpp.test' from='u@" + gw + "' type='chat' id='2'><body>ho</body></message>")
			alice.expect("<message to='alice@xmpp.test' from='u@" + gw + "' type='chat' id='2'><body>ho</body></message>")
			c.write("<iq to='" + alice.domain + "' from='" + gw + "' type='get' id='3'><ping xmlns='urn:xmpp:ping'/></iq>")
			alice.expect("<iq to='" + alice.domain + "' from='" + gw + "' type='get' id='3'><ping xmlns='urn:xmpp:ping'/></iq>")
			alice.write("<iq to='" + gw + "' type='result' id='3'/>")
			c.expect("<iq from='" + alice.domain + "' to='" + gw + "' type='result' id='3' xml:lang='de'/>")
			alice.write("<presence to='" + gw + "'><priority>5</priority></presence>")
			c.expect("<presence from='" + alice.domain + "' to='" + gw + "' xml:lang='de'><priority>5</priority></presence>")
			_ = alice.conn.Close() // and who got directed presence learns of the end
			c.expect("<presence from='" + alice.domain + "' to='" + gw + "' type='unavailable'/>")
			c.pings(s)
		})
	}
}

func TestKickUser(t *testing.T) {
	s := newUserServer(t, nil)
	alice := available(t, s, "alice", "a", "")
	s.KickUser("alice", &stanza.StreamError{Condition: stanza.StreamReset})
	if got := alice.streamError(); got != stanza.StreamReset {
		t.Error(got)
	}
	bob := available(t, s, "bob", "b", "")
	s.DropUser("bob")
	bob.expectEnd("eof")
}

func TestAddUser(t *testing.T) {
	s := newTestServer(t, nil)
	for _, name := range []string{"", "a@b", "a b", "a/b"} {
		if err := s.AddUser(name, "x"); err == nil {
			t.Errorf("user %q was added", name)
		}
	}
}
