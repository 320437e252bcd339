package xmppserver

import (
	"strings"
	"testing"

	"github.com/postern-im/postern/stanza"
)

// privilegedPeer is a component that is granted everything, on a server with alice, bob and carol.
func privilegedPeer(t *testing.T, policy Policy) (*Server, *peer) {
	t.Helper()
	s := newUserServer(t, withPolicy(policy))
	s.Component(gw).Grant(&Privileges{
		Roster: "both", Message: "outgoing", Presence: "roster", SendPushes: true,
		IQ: map[string]string{nsPrivate: "both", nsVersion: "get"},
	})
	p := connect(t, s, gw)
	p.expect("<message from='xmpp.test' to='gateway.xmpp.test'><privilege xmlns='urn:xmpp:privilege:2'><perm access='roster' type='both'/>" +
		"<perm access='message' type='outgoing'/><perm access='presence' type='roster'/><perm access='iq'>" +
		"<namespace ns='jabber:iq:private' type='both'/><namespace ns='jabber:iq:version' type='get'/></perm></privilege></message>")
	return s, p
}

func privilegedText(to, typ, inner string) string {
	return "<iq type='" + typ + "' id='o' from='gateway.xmpp.test' to='" + to + "'><privileged_iq xmlns='urn:xmpp:privilege:2'>" + inner + "</privileged_iq></iq>"
}

// TestPrivileges holds the answers to what was seen of Prosody 13.0 and ejabberd 24.12; "" is none.
func TestPrivileges(t *testing.T) {
	const (
		version  = "<query xmlns='jabber:iq:version'/>"
		private  = "<query xmlns='jabber:iq:private'><x xmlns='urn:x'/></query>"
		refusal  = "<error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
		toServer = "<message from='gateway.xmpp.test' to='xmpp.test' id='m'>"
	)
	iq := func(typ, attrs, payload string) string {
		return "<iq xmlns='jabber:client' type='" + typ + "' id='i'" + attrs + ">" + payload + "</iq>"
	}
	message := func(ns, from string) string {
		return toServer + "<privilege xmlns='" + ns + "'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='" + from +
			"' to='carol@xmpp.test/none'/></forwarded></privilege></message>"
	}
	forbiddenIQ := func(who string) string {
		return "<iq type='error' id='o' from='" + who + "' to='gateway.xmpp.test'>" + refusal + "</iq>"
	}
	for name, c := range map[string]struct{ send, prosody, ejabberd string }{
		"a namespace that is not granted": {privilegedText("alice@xmpp.test", "get", iq("get", " to='xmpp.test'", "<ping xmlns='urn:xmpp:ping'/>")), forbiddenIQ("alice@xmpp.test"), ""},
		"a type that is not granted":      {privilegedText("alice@xmpp.test", "set", iq("set", " to='xmpp.test'", version)), forbiddenIQ("alice@xmpp.test"), ""},
		"two types":                       {privilegedText("alice@xmpp.test", "get", iq("set", " to='xmpp.test'", private)), forbiddenIQ("alice@xmpp.test"), ""},
		"from somebody else":              {privilegedText("alice@xmpp.test", "get", iq("get", " from='bob@xmpp.test' to='xmpp.test'", version)), forbiddenIQ("alice@xmpp.test"), ""},
		"nobody's account":                {privilegedText("nobody@xmpp.test", "get", iq("get", " to='xmpp.test'", version)), forbiddenIQ("nobody@xmpp.test"), ""},
		"no IQ in it":                     {privilegedText("alice@xmpp.test", "get", "<x/>"), forbiddenIQ("alice@xmpp.test"), ""},
		"the own account": {
			privilegedText("alice@xmpp.test", "get", iq("get", " to='alice@xmpp.test'", private)),
			"<iq type='result' id='o' from='alice@xmpp.test' to='gateway.xmpp.test'><privilege xmlns='urn:xmpp:privilege:2'><forwarded xmlns='urn:xmpp:forward:0'>" +
				"<iq xmlns='jabber:client' type='result' id='i' from='alice@xmpp.test' to='alice@xmpp.test'>" + private + "</iq></forwarded></privilege></iq>",
			"<iq type='get' id='o' from='alice@xmpp.test' to='gateway.xmpp.test'><privilege xmlns='urn:xmpp:privilege:2'><forwarded xmlns='urn:xmpp:forward:0'>" +
				"<iq xmlns='jabber:client' type='get' id='i' from='alice@xmpp.test' to='alice@xmpp.test'>" + private + "</iq></forwarded></privilege></iq>",
		},
		"to nobody": {
			privilegedText("alice@xmpp.test", "get", iq("get", "", private)),
			"<iq type='result' id='o' from='alice@xmpp.test' to='gateway.xmpp.test'><privilege xmlns='urn:xmpp:privilege:2'><forwarded xmlns='urn:xmpp:forward:0'>" +
				"<iq xmlns='jabber:client' type='result' id='i' from='alice@xmpp.test' to='alice@xmpp.test'>" + private + "</iq></forwarded></privilege></iq>",
			"",
		},
		"an error of another user": {
			privilegedText("alice@xmpp.test", "get", iq("get", " to='bob@xmpp.test'", private)),
			"<iq type='result' id='o' from='alice@xmpp.test' to='gateway.xmpp.test'><privilege xmlns='urn:xmpp:privilege:2'><forwarded xmlns='urn:xmpp:forward:0'>" +
				"<iq xmlns='jabber:client' type='error' id='i' from='bob@xmpp.test' to='alice@xmpp.test'><error type='cancel'>" +
				"<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq></forwarded></privilege></iq>",
			"<iq type='error' id='o' from='alice@xmpp.test' to='gateway.xmpp.test'><privilege xmlns='urn:xmpp:privilege:2'><forwarded xmlns='urn:xmpp:forward:0'>" +
				"<iq xmlns='jabber:client' type='error' id='i' from='bob@xmpp.test' to='alice@xmpp.test'>" + private + "<error type='cancel'>" +
				"<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq></forwarded></privilege></iq>",
		},
		"a message of the user":           {message(nsPrivilege, "alice@xmpp.test"), "", ""},
		"a message of a session":          {message(nsPrivilege, "alice@xmpp.test/x"), "forbidden", "forbidden"},
		"a message of a stranger":         {message(nsPrivilege, "alice@elsewhere.test"), "forbidden", "forbidden"},
		"a message of the component":      {message(nsPrivilege, "gateway.xmpp.test"), "service-unavailable", "forbidden"}, // Prosody sends it, and its error comes back
		"a message in another version":    {message("urn:xmpp:privilege:1", "alice@xmpp.test"), "service-unavailable", "bad-request"},
		"a message with nothing in it":    {toServer + "<privilege xmlns='urn:xmpp:privilege:2'/></message>", "bad-request", "bad-request"},
		"the roster of nobody, changed":   {"<iq type='set' id='o' from='gateway.xmpp.test' to='nobody@xmpp.test'><query xmlns='jabber:iq:roster'><item jid='a@b'/></query></iq>", "item-not-found", "item-not-found"},
		"another IQ to the account":       {"<iq type='get' id='o' from='gateway.xmpp.test' to='alice@xmpp.test'><vCard xmlns='vcard-temp'/></iq>", "item-not-found", ""},
		"another IQ to the server itself": {"<iq type='get' id='o' from='gateway.xmpp.test' to='xmpp.test'><ping xmlns='urn:xmpp:ping'/></iq>", "<iq type='result' id='o' from='xmpp.test' to='gateway.xmpp.test'/>", ""},
	} {
		for _, policy := range []Policy{Prosody(), Ejabberd()} {
			t.Run(name+", "+policy.Name, func(t *testing.T) {
				want := c.prosody
				if policy.Name == "ejabberd" {
					want = c.ejabberd
				}
				_, p := privilegedPeer(t, policy)
				p.write(c.send + "<message from='gateway.xmpp.test' to='gateway.xmpp.test' id='behind'/>")
				el, _ := p.next()
				switch {
				case want == "":
				case strings.HasPrefix(want, "<"):
					if !like(el, parseOne(t, want)) {
						t.Fatalf("got  %s\nwant %s", el, want)
					}
					el, _ = p.next()
				default:
					if !strings.Contains(el.String(), "<"+want+" ") || el.Attr("type") != "error" {
						t.Fatalf("got %s, want %s", el, want)
					}
					el, _ = p.next()
				}
				if el.Attr("id") != "behind" {
					t.Errorf("and then %s", el)
				}
			})
		}
	}
}

// TestPrivilegedPresence: the component sees users and their contacts come and go.
func TestPrivilegedPresence(t *testing.T) {
	s, p := privilegedPeer(t, Prosody())
	alice := available(t, s, "alice", "pc", "0")
	p.expect("<presence from='alice@xmpp.test/pc' to='gateway.xmpp.test' xml:lang='de'><priority>0</priority></presence>")
	alice.write("<presence type='unavailable'/>")
	p.expect("<presence from='alice@xmpp.test/pc' to='gateway.xmpp.test' type='unavailable' xml:lang='de'/>")
	alice.write("<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='friend@example.test' name='F'/></query></iq>")
	p.expect("<iq from='alice@xmpp.test' to='gateway.xmpp.test' id='*' type='set'><query xmlns='jabber:iq:roster'>" +
		"<item jid='friend@example.test' name='F' subscription='none'/></query></iq>")
	s.Component(gw).Grant(&Privileges{})
	p.expect("<message from='xmpp.test' to='gateway.xmpp.test'><privilege xmlns='urn:xmpp:privilege:2'/></message>")
	p.write("<iq type='get' id='o' from='gateway.xmpp.test' to='alice@xmpp.test'><query xmlns='jabber:iq:roster'/></iq>")
	el, _ := p.next()
	if !strings.Contains(el.String(), string(stanza.Forbidden)) {
		t.Errorf("got %s", el)
	}
}
