package delegation_test

import (
	"strings"
	"testing"

	"github.com/postern-im/postern/delegation"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/xmpptest"
)

const (
	alice   = "alice@localhost/pc"
	getNote = "<note xmlns='urn:test:note'/>"
)

// TestK11_Answers: a delegated request reaches its handler under its own addresses and is answered once, inside a result, in the
// version in which it was asked.
func TestK11_Answers(t *testing.T) {
	for _, version := range []string{delegation.NS, delegation.NS1} {
		t.Run(version, func(t *testing.T) {
			g, side := scripted(t, func(c *delegation.Config) { c.Namespaces[0].Access = delegation.Anyone })
			side.Send(advert("localhost", version, nsNote))
			g.granted(t, nsNote)
			for _, tt := range []struct{ name, ask, want string }{
				{
					"a result", iq("get", alice, "alice@localhost", "1", getNote),
					iq("result", "alice@localhost", alice, "1", "<note xmlns='urn:test:note'>buy milk</note>"),
				},
				{
					"without to, as Prosody forwards it", iq("get", alice, "", "2", getNote),
					iq("result", "alice@localhost", alice, "2", "<note xmlns='urn:test:note'>buy milk</note>"),
				},
				{
					"an empty result", iq("set", alice, "alice@localhost", "3", "<note xmlns='urn:test:note'>buy milk</note>"),
					iq("result", "alice@localhost", alice, "3", ""),
				},
				{
					"to the server itself", iq("get", alice, "localhost", "4", getNote),
					iq("error", "localhost", alice, "4", failed("cancel", "item-not-found")),
				},
				{
					"of a stranger", iq("get", "romeo@montague.net/o", "alice@localhost", "5", getNote),
					iq("result", "alice@localhost", "romeo@montague.net/o", "5", "<note xmlns='urn:test:note'>buy milk</note>"),
				},
				{
					"that panics", iq("get", alice, "", "6", "<note xmlns='urn:test:note'>panic</note>"),
					iq("error", "alice@localhost", alice, "6", failed("cancel", "internal-server-error")),
				},
				{
					"whose answer is too large", iq("get", alice, "", "7", "<note xmlns='urn:test:note'>large</note>"),
					iq("error", "alice@localhost", alice, "7", "<error type='cancel'><internal-server-error "+errNS+"/><text "+errNS+">the answer could not be sent</text></error>"),
				},
				{
					"that no route takes", iq("get", alice, "", "8", "<other xmlns='urn:test:note'/>"),
					iq("error", "alice@localhost", alice, "8", failed("cancel", "service-unavailable")),
				},
				{
					"that does not decode", iq("get", alice, "", "9", "<note xmlns='urn:test:note'><b/></note>"),
					iq("result", "alice@localhost", alice, "9", "<note xmlns='urn:test:note'>buy milk</note>"),
				},
			} {
				t.Run(tt.name, func(t *testing.T) {
					side.Send(wrapped(version, "w-"+tt.name, tt.ask))
					side.ExpectXML(answered(version, "w-"+tt.name, tt.want))
				})
			}
			side.ExpectNone()
			want := delegation.Request{
				Server: jid.MustParse("localhost"), From: jid.MustParse(alice), Owner: jid.MustParse("alice@localhost"), ID: "w-a result", Version: version,
			}
			if got := g.notes.requests()[0]; got != want {
				t.Errorf("the handler was told %+v", got)
			}
		})
	}
}

// TestSEC09_Matrix: nobody but a configured server, for nobody but its own accounts, and for nothing but what it delegates.
func TestSEC09_Matrix(t *testing.T) {
	g, side := scripted(t, func(c *delegation.Config) {
		c.Servers = append(c.Servers, jid.MustParse("second.example"))
		other := delegation.Serve("urn:test:other", delegation.Anyone, xmppRoute("urn:test:other"))
		filtered := delegation.Serve("urn:test:filtered", delegation.Anyone, xmppRoute("urn:test:filtered"))
		c.Namespaces = append(c.Namespaces, other, filtered)
	})
	side.Send(advert("localhost", delegation.NS, nsNote, "urn:test:filtered node id", "urn:test:nothing"))
	g.granted(t, "urn:test:filtered", nsNote, "urn:test:nothing")
	ask := iq("get", alice, "", "1", getNote)
	from := func(s, from string) string {
		return strings.Replace(s, "<iq from='localhost'", "<iq from='"+from+"'", 1)
	}
	outer := func(to, from, typ, condition string) string {
		return "<iq from='" + to + "' to='" + from + "' id='w' type='error'><error type='" + typ + "'><" + condition + " " + errNS + "/></error></iq>"
	}
	anyError := func(from, typ, condition string) string { return outer(gw, from, typ, condition) }
	notOurs := func(from, to string) string {
		return answered(delegation.NS, "w", iq("error", to, from, "1", failed("cancel", "service-unavailable")))
	}
	for _, tt := range []struct{ name, send, want string }{
		{"from another domain", from(wrapped(delegation.NS, "w", ask), "evil.example"), anyError("evil.example", "auth", "forbidden")},
		{"from an account of the server", from(wrapped(delegation.NS, "w", ask), "mallory@localhost/x"), anyError("mallory@localhost/x", "auth", "forbidden")},
		{"from a resource of the server", from(wrapped(delegation.NS, "w", ask), "localhost/x"), anyError("localhost/x", "auth", "forbidden")},
		{"from a subdomain", from(wrapped(delegation.NS, "w", ask), "x.localhost"), anyError("x.localhost", "auth", "forbidden")},
		{"from ourselves", from(wrapped(delegation.NS, "w", ask), "me@"+gw), anyError("me@"+gw, "auth", "forbidden")},
		{"to an address of ours", strings.Replace(wrapped(delegation.NS, "w", ask), "to='"+gw+"'", "to='x@"+gw+"'", 1), outer("x@"+gw, "localhost", "auth", "forbidden")},
		{"in a get", strings.Replace(wrapped(delegation.NS, "w", ask), "type='set'", "type='get'", 1), anyError("localhost", "modify", "bad-request")},
		{"nothing forwarded", strings.Replace(wrapped(delegation.NS, "w", ""), "<forwarded xmlns='urn:xmpp:forward:0'></forwarded>", "", 1), anyError("localhost", "modify", "bad-request")},
		{"no IQ inside", wrapped(delegation.NS, "w", ""), anyError("localhost", "modify", "bad-request")},
		{"two IQs inside", wrapped(delegation.NS, "w", ask+ask), anyError("localhost", "modify", "bad-request")},
		{"two forwarded", strings.Replace(wrapped(delegation.NS, "w", ask), "</delegation>", "<forwarded xmlns='urn:xmpp:forward:0'>"+ask+"</forwarded></delegation>", 1), anyError("localhost", "modify", "bad-request")},
		{"a message inside", wrapped(delegation.NS, "w", "<message xmlns='jabber:client' from='"+alice+"'><note xmlns='urn:test:note'/></message>"), anyError("localhost", "modify", "bad-request")},
		{"a result inside", wrapped(delegation.NS, "w", iq("result", alice, "", "1", getNote)), anyError("localhost", "modify", "bad-request")},
		{"an error inside", wrapped(delegation.NS, "w", iq("error", alice, "", "1", failed("cancel", "gone"))), anyError("localhost", "modify", "bad-request")},
		{"two payloads inside", wrapped(delegation.NS, "w", iq("get", alice, "", "1", getNote+getNote)), anyError("localhost", "modify", "bad-request")},
		{"no payload inside", wrapped(delegation.NS, "w", iq("get", alice, "", "1", "")), anyError("localhost", "modify", "bad-request")},
		{"nobody asks", wrapped(delegation.NS, "w", strings.Replace(ask, "from='"+alice+"'", "", 1)), anyError("localhost", "modify", "bad-request")},
		{"in that of the forwarding", wrapped(delegation.NS, "w", strings.Replace(ask, "xmlns='jabber:client'", "", 1)), anyError("localhost", "modify", "bad-request")},
		{"a malformed address", wrapped(delegation.NS, "w", iq("get", "@", "", "1", getNote)), anyError("localhost", "modify", "bad-request")},

		{"to an account elsewhere", wrapped(delegation.NS, "w", iq("get", alice, "bob@second.example", "1", getNote)), notOurs(alice, "bob@second.example")},
		{"for an account elsewhere", wrapped(delegation.NS, "w", iq("get", "bob@second.example/x", "", "1", getNote)), notOurs("bob@second.example/x", "bob@second.example")},
		{"to a subdomain", wrapped(delegation.NS, "w", iq("get", alice, "bob@x.localhost", "1", getNote)), notOurs(alice, "bob@x.localhost")},
		{"to a resource", wrapped(delegation.NS, "w", iq("get", alice, "alice@localhost/other", "1", getNote)), notOurs(alice, "alice@localhost/other")},
		{"a namespace that is not delegated", wrapped(delegation.NS, "w", iq("get", alice, "", "1", "<x xmlns='urn:test:other'/>")), notOurs(alice, "alice@localhost")},
		{"a namespace that nobody handles", wrapped(delegation.NS, "w", iq("get", alice, "", "1", "<x xmlns='urn:test:nothing'/>")), notOurs(alice, "alice@localhost")},
		{"another account, by the rule", wrapped(delegation.NS, "w", iq("get", alice, "bob@localhost", "1", getNote)), notOurs(alice, "bob@localhost")},
		{"a stranger, by the rule", wrapped(delegation.NS, "w", iq("get", "romeo@montague.net/o", "alice@localhost", "1", getNote)), notOurs("romeo@montague.net/o", "alice@localhost")},
		{"the server, by the rule", wrapped(delegation.NS, "w", iq("get", alice, "localhost", "1", getNote)), notOurs(alice, "localhost")},
		{"the protocol's own", wrapped(delegation.NS, "w", iq("set", alice, "", "1", "<delegation xmlns='urn:xmpp:delegation:2'/>")), notOurs(alice, "alice@localhost")},
		{"without a filtering attribute", wrapped(delegation.NS, "w", iq("get", alice, "", "1", "<x xmlns='urn:test:filtered' node='n'/>")), notOurs(alice, "alice@localhost")},
		{"with all filtering attributes", wrapped(delegation.NS, "w", iq("get", alice, "", "1", "<x xmlns='urn:test:filtered' node='' id='i'/>")), answered(delegation.NS, "w", iq("result", "alice@localhost", alice, "1", ""))},
		{"what is ours without delegation", wrapped(delegation.NS, "w", iq("get", alice, "", "1", "<ping xmlns='urn:xmpp:ping'/>")), notOurs(alice, "alice@localhost")},
		{"service discovery", wrapped(delegation.NS, "w", iq("get", alice, "", "1", "<query xmlns='http://jabber.org/protocol/disco#info'/>")), notOurs(alice, "alice@localhost")},
		{
			"another server without advertisement", from(wrapped(delegation.NS, "w", iq("get", "bob@second.example/x", "", "1", getNote)), "second.example"),
			strings.Replace(answered(delegation.NS, "w", iq("error", "bob@second.example", "bob@second.example/x", "1", failed("wait", "unexpected-request"))), "to='localhost'", "to='second.example'", 1),
		},
		{
			"another server about our account", from(wrapped(delegation.NS, "w", ask), "second.example"),
			strings.Replace(notOurs(alice, "alice@localhost"), "to='localhost'", "to='second.example'", 1),
		},
		{"in order", wrapped(delegation.NS, "w", ask), answered(delegation.NS, "w", iq("result", "alice@localhost", alice, "1", "<note xmlns='urn:test:note'>buy milk</note>"))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(g.notes.requests())
			side.Send(tt.send)
			side.ExpectXML(tt.want)
			if handled := len(g.notes.requests()) - before; (handled == 1) != (tt.name == "in order") {
				t.Errorf("%d requests reached the handler", handled)
			}
		})
	}
	if s := g.Stats(); s.Strangers != 6 || s.Malformed != 13 || s.Ungranted != 12 || s.Refused != 3 {
		t.Errorf("%+v", s)
	}
}

// TestSEC76_UnknownAndForbidden: who may not ask gets the same bytes whether there is anything or not.
func TestSEC76_UnknownAndForbidden(t *testing.T) {
	g, side := scripted(t, func(c *delegation.Config) {
		c.Namespaces = append(c.Namespaces, delegation.Discover(delegation.OwnerOnly, pepNodes{})...)
	})
	side.Send(advert("localhost", delegation.NS, nsNote, delegation.NSBareInfo, delegation.NSBareItems))
	g.granted(t, nsNote, delegation.NSBareInfo, delegation.NSBareItems)
	for _, payload := range []string{
		getNote, "<unknown xmlns='urn:test:note'/>",
		"<query xmlns='http://jabber.org/protocol/disco#info' node='mood'/>", "<query xmlns='http://jabber.org/protocol/disco#items'/>",
	} {
		for _, asker := range []string{"bob@localhost/x", "romeo@montague.net/o"} {
			var answers []string
			for _, owner := range []string{"alice@localhost", "nobody@localhost"} {
				side.Send(wrapped(delegation.NS, "w", iq("get", asker, owner, "1", payload)))
				got := side.Expect(xmpptest.XML(answered(delegation.NS, "w", iq("error", owner, asker, "1", "<error type='*'><"+conditionOf(payload)+" "+errNS+"/></error>"))))
				answers = append(answers, strings.ReplaceAll(got.String(), owner, "OWNER"))
			}
			if answers[0] != answers[1] {
				t.Errorf("%s of %s: forbidden\n%s\nand unknown\n%s", payload, asker, answers[0], answers[1])
			}
		}
	}
	if got := g.notes.requests(); len(got) != 0 {
		t.Errorf("handlers were asked: %+v", got)
	}
	if s := g.Stats(); s.Refused != 16 {
		t.Errorf("%+v", s)
	}
	side.Send(wrapped(delegation.NS, "w", iq("get", alice, "localhost", "1", getNote)))
	side.ExpectXML(answered(delegation.NS, "w", iq("error", "localhost", alice, "1", failed("cancel", "service-unavailable"))))
}

func conditionOf(payload string) string {
	if strings.Contains(payload, "disco") {
		return "item-not-found"
	}
	return "service-unavailable"
}

func TestAccess(t *testing.T) {
	server := jid.MustParse("localhost")
	for _, tt := range []struct {
		from, owner          string
		ownerOnly, localOnly bool
	}{
		{"alice@localhost/pc", "alice@localhost", true, true},
		{"alice@localhost", "alice@localhost", true, true},
		{"Alice@LOCALHOST/pc", "alice@localhost", true, true},
		{"bob@localhost/pc", "alice@localhost", false, true},
		{"alice@elsewhere.example/pc", "alice@localhost", false, false},
		{"alice@x.localhost/pc", "alice@localhost", false, false},
		{"alice@localhost/pc", "localhost", false, true},
		{"gateway.localhost", "alice@localhost", false, false},
	} {
		from, err := jid.ParseRouted(tt.from)
		if err != nil {
			t.Fatal(err)
		}
		r := delegation.Request{Server: server, From: from, Owner: jid.MustParse(tt.owner)}
		if got := delegation.OwnerOnly(t.Context(), r); got != tt.ownerOnly {
			t.Errorf("OwnerOnly: %s asks %s: %v", tt.from, tt.owner, got)
		}
		if got := delegation.Local(t.Context(), r); got != tt.localOnly {
			t.Errorf("Local: %s asks %s: %v", tt.from, tt.owner, got)
		}
		if !delegation.Anyone(t.Context(), r) {
			t.Errorf("Anyone: %s asks %s", tt.from, tt.owner)
		}
	}
}

// TestK11_SlowHandlerDelaysNobody: all requests come from the same server, and none waits for another user's.
func TestK11_SlowHandlerDelaysNobody(t *testing.T) {
	g, side := scripted(t, nil)
	side.Send(advert("localhost", delegation.NS, nsNote))
	g.granted(t, nsNote)
	release := g.notes.block("alice@localhost")
	defer release()
	side.Send(wrapped(delegation.NS, "slow", iq("get", alice, "", "1", getNote)))
	users := make(map[string]bool)
	for i := range 50 {
		user := "user" + string(rune('a'+i/26)) + string(rune('a'+i%26)) + "@localhost"
		users[user] = true
		side.Send(wrapped(delegation.NS, user, iq("get", user+"/x", "", "1", getNote)))
	}
	for range len(users) {
		got := side.Expect(xmpptest.XML(answered(delegation.NS, "*", iq("error", "*", "*", "1", failed("cancel", "item-not-found")))))
		if id := got.Attr("id"); !users[id] {
			t.Errorf("%s was answered twice, or is nobody", id)
		} else {
			delete(users, id)
		}
	}
	release()
	side.ExpectXML(answered(delegation.NS, "slow", iq("result", "alice@localhost", alice, "1", "<note xmlns='urn:test:note'>buy milk</note>")))
	side.ExpectNone()
}
