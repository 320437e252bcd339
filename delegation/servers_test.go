package delegation_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/delegation"
	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/internal/linktest"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
	"github.com/postern-im/postern/xmpptest"
)

// env is a server that delegates to a component, whatever server that is: the namespace of notes, and at accounts what the server
// itself does not know in service discovery, if it can (K12).
type env struct {
	prosody              bool
	host                 string
	addr, domain, secret string
	alice, bob           asker
	crowd                func(t *testing.T, n int) []*xmpptest.User // accounts that are neither
	stranger             component.Config                           // of another component of that server
}

// asker is a client of the server.
type asker interface {
	address() string // full
	// ask sends an IQ and returns the answer; to may be empty.
	ask(t *testing.T, typ, to, payload string) xmltree.Element
}

// linkAsker is an asker at another component.
type linkAsker struct {
	*linktest.Link
	from string
}

func (l linkAsker) address() string { return l.from }

func (l linkAsker) ask(t *testing.T, typ, to, payload string) xmltree.Element {
	t.Helper()
	l.Send("<iq id='ask' type='" + typ + "' from='" + l.from + "' to='" + to + "'>" + payload + "</iq>")
	return l.Expect("iq", "ask")
}

// inProcess is an asker at the in-process server.
type inProcess struct{ *xmpptest.User }

func (u inProcess) address() string { return u.JID }

func (u inProcess) ask(t *testing.T, typ, to, payload string) xmltree.Element {
	t.Helper()
	if to != "" {
		to = " to='" + to + "'"
	}
	return u.Ask("<iq type='" + typ + "'" + to + ">" + payload + "</iq>")
}

func TestInProcessServers(t *testing.T) {
	for name, like := range map[string]xmpptest.Option{"prosody": xmpptest.LikeProsody(), "ejabberd": xmpptest.LikeEjabberd()} {
		t.Run(name, func(t *testing.T) {
			s := xmpptest.NewServer(t, like, xmpptest.WithDelegation(nsNote), xmpptest.WithDelegation(delegation.NSBareItems),
				xmpptest.WithUser("alice", "a"), xmpptest.WithUser("bob", "b"),
				xmpptest.WithComponent(gw, "secret"), xmpptest.WithComponent("other.localhost", "secret"))
			runBehaviours(t, env{
				prosody: name == "prosody", host: s.Host, addr: s.Addr, domain: s.Domain, secret: s.Secret,
				alice: inProcess{s.User(t, "alice", "a")}, bob: inProcess{s.User(t, "bob", "b")},
				crowd: func(t *testing.T, n int) []*xmpptest.User {
					var users []*xmpptest.User
					for i := range n {
						name := fmt.Sprintf("user%02d", i)
						s.AddUser(name, "p")
						users = append(users, s.User(t, name, "p"))
					}
					return users
				},
				stranger: component.Config{Addr: s.Addr, Domain: jid.MustParse("other.localhost"), Secret: "secret"},
			})
		})
	}
}

// runBehaviours walks through all that happens between a server, its users and a component that handles a namespace for them.
func runBehaviours(t *testing.T, e env) {
	server := jid.MustParse(e.host)
	alice := jid.MustParse(e.alice.address())
	granted := []string{nsNote}
	if e.prosody {
		granted = []string{nsNote, delegation.NSBareItems}
	}
	g := newGateway(t, e.domain, func(c *delegation.Config) {
		c.Servers = []jid.JID{server}
		c.Namespaces = append(c.Namespaces, delegation.Discover(delegation.OwnerOnly, noteItems{alice.Bare()})...)
	})
	g.notes.of = map[string]string{alice.Bare().String(): "buy milk"}
	// until asks as alice until the answer is as wanted: ejabberd advertises a namespace when the first of two questions what to
	// nest is answered, and refuses what is asked of accounts until the second is.
	until := func(t *testing.T, to, payload string, f func(answer string) bool) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
			if f(e.alice.ask(t, "get", to, payload).String()) {
				return
			}
		}
		t.Fatalf("asked %q in vain for %s", to, payload)
	}
	stop := g.start(t, e.addr, e.domain, e.secret)
	g.granted(t, granted...)
	until(t, "", getNote, func(a string) bool { return strings.Contains(a, ">buy milk</note>") })

	// check asks and checks the answer.
	check := func(t *testing.T, who asker, typ, to, payload, wantType, part string) xmltree.Element {
		t.Helper()
		got := who.ask(t, typ, to, payload)
		if got.Attr("type") != wantType || !strings.Contains(got.String(), part) {
			t.Errorf("%s asks %q for %s: no %s with %s but %s", who.address(), to, payload, wantType, part, got)
		}
		return got
	}

	t.Run("K11 results and errors", func(t *testing.T) {
		check(t, e.alice, "get", "", getNote, "result", ">buy milk</note>")
		check(t, e.alice, "set", alice.Bare().String(), "<note xmlns='urn:test:note'>sleep</note>", "result", "")
		check(t, e.alice, "get", alice.Bare().String(), getNote, "result", ">sleep</note>")
		check(t, e.bob, "get", "", getNote, "error", "<item-not-found ")
		check(t, e.alice, "get", e.host, getNote, "error", "<service-unavailable ")
		check(t, e.alice, "get", "", "<note xmlns='urn:test:note'>panic</note>", "error", "<internal-server-error ")
		check(t, e.alice, "get", "", "<note xmlns='urn:test:note'>large</note>", "error", "<internal-server-error ")
	})
	t.Run("SEC-76 another's data are like nobody's", func(t *testing.T) {
		other := linktest.Dial(t, e.stranger.Addr, e.stranger.Domain.String(), string(e.stranger.Secret))
		defer other.Close()
		stranger := linkAsker{other, "romeo@" + e.stranger.Domain.String() + "/o"}
		for _, who := range []asker{e.bob, stranger} {
			var answers []string
			for _, owner := range []string{alice.Bare().String(), "nobody@" + e.host} {
				got := check(t, who, "get", owner, getNote, "error", "<service-unavailable ")
				answers = append(answers, strings.NewReplacer(owner, "OWNER", "id='"+got.Attr("id")+"'", "").Replace(got.String()))
			}
			if answers[0] != answers[1] {
				t.Errorf("%s is answered\n%s\nand\n%s", who.address(), answers[0], answers[1])
			}
		}
		for _, r := range g.notes.requests() {
			if !r.IsOwner() {
				t.Errorf("a handler was asked: %+v", r)
			}
		}
	})
	t.Run("K12 nesting", func(t *testing.T) {
		const ask = "<query xmlns='" + disco.NSInfo + "'/>"
		info := func(to string) disco.Info {
			t.Helper()
			q, _ := check(t, e.alice, "get", to, ask, "result", "").Child(disco.NSInfo, "query")
			info, err := stanza.Decode[disco.Info](q)
			if err != nil {
				t.Error(err)
			}
			return info
		}
		count := func(i disco.Info, feature string) (n int) {
			for _, f := range i.Features {
				if f == feature {
					n++
				}
			}
			return n
		}
		if i := info(e.host); !i.Has(nsNote) || i.Is("component", "generic") || i.Is("gateway", "test") {
			t.Errorf("the server shows %+v", i)
		}
		if i := info(alice.Bare().String()); !i.Is("store", "note") || count(i, nsNote+"#account") == 0 || count(i, disco.NSInfo) != 1 || i.Is("component", "generic") {
			t.Errorf("the account shows %+v", i)
		}
		items := check(t, e.alice, "get", alice.Bare().String(), "<query xmlns='"+disco.NSItems+"'/>", "result", "")
		if e.prosody != strings.Contains(items.String(), "node='notes'") {
			t.Errorf("the account has %s", items)
		}
	})
	t.Run("fifty users and a slow handler", func(t *testing.T) {
		users := e.crowd(t, 50)
		slow := users[0]
		release := g.notes.block(jid.MustParse(slow.JID).Bare().String())
		defer release()
		for _, u := range users {
			u.Send("<iq id='1' type='get'>" + getNote + "</iq>")
		}
		for _, u := range users[1:] {
			if got := u.Next(); got.Attr("id") != "1" || got.Attr("type") != "error" || !strings.Contains(got.String(), "item-not-found") {
				t.Errorf("%s got %s", u.JID, got)
			}
		}
		release()
		if got := slow.Next(); got.Attr("id") != "1" || got.Attr("type") != "error" || !strings.Contains(got.String(), "item-not-found") {
			t.Errorf("the slow one got %s", got)
		}
	})
	t.Run("K9 the end of the stream withdraws", func(t *testing.T) {
		stop()
		g.granted(t)
		// ejabberd notices after us that the link has ended, and what it forwards until then is lost.
		if !e.prosody { // which goes on showing what it learned at its start
			until(t, e.host, "<query xmlns='"+disco.NSInfo+"'/>", func(a string) bool { return !strings.Contains(a, "var='"+nsNote+"'") })
		}
		check(t, e.alice, "get", "", getNote, "error", "<service-unavailable ")
		g.start(t, e.addr, e.domain, e.secret)
		g.granted(t, granted...)
		until(t, "", getNote, func(a string) bool { return strings.Contains(a, ">sleep</note>") })
	})
	if s := g.Stats(); s.Strangers+s.Malformed+s.Ungranted != 0 || s.Refused != 5 { // five that it was asked to refuse
		t.Errorf("%+v", s)
	}
	want := delegation.NS1
	if e.prosody {
		want = delegation.NS
	}
	if i := slices.IndexFunc(g.Granted(), func(g delegation.Grant) bool { return g.Version != want }); i >= 0 {
		t.Errorf("granted are %+v", g.Granted())
	}
}
