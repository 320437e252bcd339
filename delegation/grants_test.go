package delegation_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-im/postern/delegation"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/xmltree"
	"github.com/postern-im/postern/xmpptest"
)

// anything matches every stanza.
func anything(what string) xmpptest.Matcher {
	return xmpptest.Matching(what, func(stanza.Stanza) error { return nil })
}

// TestK9_Grants: what a server delegates is what it said last over this stream.
func TestK9_Grants(t *testing.T) {
	g, side := scripted(t, func(c *delegation.Config) {
		c.Servers = append(c.Servers, jid.MustParse("second.example"))
		c.Namespaces = append(c.Namespaces, delegation.Serve("urn:b", delegation.Anyone, xmppRoute("urn:b")))
	})
	ask := func(t *testing.T, version, ns, want string) {
		t.Helper()
		side.Send(wrapped(version, "w", iq("get", alice, "", "1", "<x xmlns='"+ns+"'/>")))
		content, typ := "", "result"
		if want != "" {
			content, typ = want, "error"
		}
		side.ExpectXML(answered(version, "w", iq(typ, "alice@localhost", alice, "1", content)))
	}
	wait, no := failed("wait", "unexpected-request"), failed("cancel", "service-unavailable")

	ask(t, delegation.NS, "urn:b", wait) // nothing is known yet
	side.Send(advert("localhost", delegation.NS, nsNote, "urn:b"))
	g.granted(t, "urn:b", nsNote)
	ask(t, delegation.NS, "urn:b", "")
	side.Send(advert("second.example", delegation.NS, nsNote)) // one server's are not another's
	g.granted(t, nsNote)
	ask(t, delegation.NS, "urn:b", "")
	side.Send(advert("localhost", delegation.NS, "urn:c b a b", nsNote)) // replaced, with what nobody handles
	g.granted(t, "urn:c", nsNote)
	ask(t, delegation.NS, "urn:b", no)
	want := []delegation.Grant{
		{Server: jid.MustParse("localhost"), Namespace: "urn:c", Attributes: []string{"a", "b"}, Version: delegation.NS},
		{Server: jid.MustParse("localhost"), Namespace: nsNote, Version: delegation.NS},
		{Server: jid.MustParse("second.example"), Namespace: nsNote, Version: delegation.NS},
	}
	if got := g.Granted(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("granted are %+v", got)
	}
	side.Send(advert("localhost", delegation.NS)) // withdrawn
	g.granted(t)
	ask(t, delegation.NS, "urn:b", no)

	side.Send(advert("localhost", delegation.NS1, nsNote) + advert("localhost", delegation.NS1, "urn:b")) // one by one, as ejabberd does
	g.granted(t, "urn:b", nsNote)
	ask(t, delegation.NS1, "urn:b", "")
	side.Send(advert("localhost", delegation.NS1))
	g.granted(t)
	ask(t, delegation.NS1, "urn:b", wait) // it may still come
	side.Send(advert("localhost", delegation.NS1, "urn:b"))
	g.granted(t, "urn:b")

	side.Drop() // the stream ends, and with it all that it brought
	g.granted(t)
	side.ConnectedAfter(1)
	ask(t, delegation.NS, "urn:b", wait)
	side.Send(advert("localhost", delegation.NS, "urn:b"))
	g.granted(t, "urn:b")
	ask(t, delegation.NS, "urn:b", "")
}

// TestSEC09_Advertisements: only a configured server says what it delegates, and never the protocol itself.
func TestSEC09_Advertisements(t *testing.T) {
	g, side := scripted(t, nil)
	ok := advert("localhost", delegation.NS, nsNote)
	from := func(from string) string { return advert(from, delegation.NS, nsNote) }
	for name, message := range map[string]string{
		"from a stranger":    from("evil.example"),
		"from an account":    from("alice@localhost"),
		"from a resource":    from("localhost/x"),
		"from ourselves":     from("me@" + gw),
		"from a look-alike":  from("1ocalhost"),
		"a chat message":     strings.Replace(ok, "<message", "<message type='chat'", 1),
		"a headline":         strings.Replace(ok, "<message", "<message type='headline'", 1),
		"to another address": strings.Replace(ok, "to='"+gw+"'", "to='x@"+gw+"'", 1),
		"client mode":        strings.Replace(ok, "<delegation ", "<delegation to='alice@localhost' ", 1),
	} {
		t.Run(name, func(t *testing.T) {
			before := g.Stats().Strangers
			side.Send(message)
			side.ExpectNone()
			if got := g.Stats().Strangers; got != before+1 || len(g.Granted()) != 0 {
				t.Errorf("%d counted, granted are %+v", got-before, g.Granted())
			}
		})
	}
	t.Run("an error", func(t *testing.T) {
		side.Send(strings.Replace(ok, "<message", "<message type='error'", 1))
		side.ExpectNone()
		if len(g.Granted()) != 0 {
			t.Errorf("granted are %+v", g.Granted())
		}
	})
	t.Run("too many", func(t *testing.T) {
		var many []string
		for i := range 1001 {
			many = append(many, fmt.Sprintf("urn:%d", i))
		}
		for _, message := range []string{advert("localhost", delegation.NS, many...), advert("localhost", delegation.NS, nsNote+strings.Repeat(" a", 1001))} {
			side.Send(message)
			side.ExpectXML("<message from='" + gw + "' to='localhost' type='error'>" + failed("cancel", "service-unavailable") + "</message>")
		}
		if len(g.Granted()) != 0 {
			t.Errorf("granted are %+v", g.Granted())
		}
		side.Send(advert("localhost", delegation.NS1, many[:600]...) + advert("localhost", delegation.NS1, many[300:]...))
		side.ExpectNone()
		if got := len(g.Granted()); got != 1000 {
			t.Errorf("%d are granted", got)
		}
	})
	t.Run("the protocol's own", func(t *testing.T) {
		side.Send(advert("localhost", delegation.NS, nsNote, delegation.NS, delegation.NS1, "urn:xmpp:delegation:2:bare:other", ""))
		g.granted(t, nsNote)
	})
}

// TestSEC09_LateAdvertisement: what a stream brought does not count any more when it is handled after its end.
func TestSEC09_LateAdvertisement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		m, err := delegation.New(delegation.Config{
			JID: jid.MustParse(gw), Servers: []jid.JID{jid.MustParse("localhost")},
			Namespaces: []delegation.Namespace{delegation.Serve("urn:b", delegation.Anyone, xmppRoute("urn:b"))},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := router.New(router.Config{
			Routes: append(m.Routes(), router.HandleAnyMessage(func(context.Context, *stanza.Message) error { <-gate; return nil })),
			Unwrap: []router.Unwrap{m.Unwrap},
		})
		if err != nil {
			t.Fatal(err)
		}
		out := new(sent)
		first, end := context.WithCancel(t.Context())
		r.HandleStanzas(first, out, []stanza.Stanza{
			parse(t, "<message from='localhost' to='"+gw+"'/>"), // holds up the lane
			parse(t, advert("localhost", delegation.NS, "urn:b")),
		})
		synctest.Wait()
		end()
		synctest.Wait()
		second, endSecond := context.WithCancel(t.Context())
		defer endSecond()
		r.HandleStanzas(second, out, []stanza.Stanza{parse(t, wrapped(delegation.NS, "w", iq("get", alice, "", "1", "<x xmlns='urn:b'/>")))})
		close(gate)
		if err := r.Drain(second); err != nil {
			t.Fatal(err)
		}
		if got := out.take(); len(got) != 1 || !strings.Contains(got[0], "unexpected-request") || len(m.Granted()) != 0 {
			t.Errorf("sent %q, granted are %+v", got, m.Granted())
		}
		// Nor does what an earlier stream brought count for a request of a later one, before the end of the former is noticed.
		r.HandleStanzas(second, out, []stanza.Stanza{parse(t, advert("localhost", delegation.NS, "urn:b"))})
		third, endThird := context.WithCancel(t.Context())
		defer endThird()
		if err := r.Drain(second); err != nil {
			t.Fatal(err)
		}
		r.HandleStanzas(third, out, []stanza.Stanza{parse(t, wrapped(delegation.NS, "w", iq("get", alice, "", "1", "<x xmlns='urn:b'/>")))})
		if err := r.Drain(second); err != nil {
			t.Fatal(err)
		}
		if got := out.take(); len(got) != 1 || !strings.Contains(got[0], "unexpected-request") {
			t.Errorf("sent %q", got)
		}
	})
}

// TestDeadline: silence is answered in time, inside a result.
func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNotes()
		m, err := delegation.New(delegation.Config{
			JID: jid.MustParse(gw), Servers: []jid.JID{jid.MustParse("localhost")},
			Namespaces: []delegation.Namespace{delegation.Serve(nsNote, nil, n.routes()...)},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := router.New(router.Config{Routes: m.Routes(), Unwrap: []router.Unwrap{m.Unwrap}})
		if err != nil {
			t.Fatal(err)
		}
		defer n.block("alice@localhost")()
		out := new(sent)
		r.HandleStanzas(t.Context(), out, []stanza.Stanza{
			parse(t, advert("localhost", delegation.NS1, nsNote)), parse(t, wrapped(delegation.NS1, "w", iq("get", alice, "", "1", getNote))),
		})
		<-time.After(router.DefaultHandlerTimeout + time.Second)
		synctest.Wait()
		got := out.take()
		if len(got) != 1 || !strings.HasPrefix(got[0], "<iq from='"+gw+"' to='localhost' id='w' type='result'><delegation xmlns='urn:xmpp:delegation:1'>") ||
			!strings.Contains(got[0], "<iq xmlns='jabber:client' from='alice@localhost' to='"+alice+"' id='1' type='error'><error type='wait'><remote-server-timeout ") {
			t.Errorf("sent %q", got)
		}
		if err := r.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestNotUnwrapped: a router that was not told to unwrap says so.
func TestNotUnwrapped(t *testing.T) {
	m, err := delegation.New(delegation.Config{JID: jid.MustParse(gw), Servers: []jid.JID{jid.MustParse("localhost")}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := router.New(router.Config{Routes: m.Routes()})
	if err != nil {
		t.Fatal(err)
	}
	out := new(sent)
	r.HandleStanzas(t.Context(), out, []stanza.Stanza{parse(t, wrapped(delegation.NS, "w", iq("get", alice, "", "1", getNote)))})
	if err := r.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := out.take(); len(got) != 1 || !strings.Contains(got[0], "internal-server-error") || r.Stats().Failed != 1 {
		t.Errorf("sent %q", got)
	}
	if got := router.Features(m.Routes()); !slices.Equal(got, []string{delegation.NS1, delegation.NS}) {
		t.Errorf("features %q", got)
	}
}

// history is a storage.Grants in memory.
type history struct {
	mu      sync.Mutex
	fails   int
	refused int // that no store can keep
	added   []string
	arrive  chan struct{}
}

func (h *history) AddGrant(_ context.Context, server jid.JID, kind storage.GrantKind, data []byte) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := storage.CheckGrant(server, kind, data); err != nil {
		h.refused++
		return false, err
	}
	if h.fails > 0 {
		h.fails--
		return false, storage.ErrUnavailable
	}
	h.added = append(h.added, fmt.Sprintf("%s %s %s", server, kind, data))
	h.arrive <- struct{}{}
	return true, nil
}

// large is an advertisement of 200 namespaces, together more than a store keeps.
func large() string {
	names := make([]string, 200)
	for i := range names {
		names[i] = fmt.Sprintf("urn:%d:%s", i, strings.Repeat("x", 1000))
	}
	return advert("localhost", delegation.NS, names...)
}

func (*history) LatestGrants(context.Context) ([]storage.Grant, error) {
	return nil, errors.New("unused")
}

func (*history) GrantHistory(context.Context, jid.JID, storage.GrantKind, int) ([]storage.Grant, error) {
	return nil, errors.New("unused")
}

// TestHistory: what was granted is kept as the one advertisement that says all of it, also when the store comes back late, and
// nothing waits for it.
func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &history{fails: 2, arrive: make(chan struct{}, 10)}
		m, err := delegation.New(delegation.Config{JID: jid.MustParse(gw), Servers: []jid.JID{jid.MustParse("localhost")}, Store: h}, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- m.Serve(ctx) }()
		r, err := router.New(router.Config{Routes: m.Routes()})
		if err != nil {
			t.Fatal(err)
		}
		session, end := context.WithCancel(t.Context())
		defer end()
		r.HandleStanzas(session, new(sent), []stanza.Stanza{
			parse(t, advert("localhost", delegation.NS1, "urn:b y x")), parse(t, advert("localhost", delegation.NS1, "urn:a")),
		})
		<-h.arrive
		want := "localhost delegation <delegation xmlns='urn:xmpp:delegation:1'><delegated namespace='urn:a'/><delegated namespace='urn:b'><attribute name='x'/><attribute name='y'/></delegated></delegation>"
		h.mu.Lock()
		if len(h.added) != 1 || h.added[0] != want {
			t.Errorf("kept %q", h.added)
		}
		h.mu.Unlock()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := r.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestHistory_TooLarge: what no store can keep is not tried again and again, and what comes after it is kept.
func TestHistory_TooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &history{arrive: make(chan struct{}, 10)}
		m, err := delegation.New(delegation.Config{JID: jid.MustParse(gw), Servers: []jid.JID{jid.MustParse("localhost")}, Store: h}, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- m.Serve(ctx) }()
		r, err := router.New(router.Config{Routes: m.Routes()})
		if err != nil {
			t.Fatal(err)
		}
		session, end := context.WithCancel(t.Context())
		defer end()
		r.HandleStanzas(session, new(sent), []stanza.Stanza{parse(t, large())})
		<-time.After(time.Hour)
		h.mu.Lock()
		if h.refused != 1 || len(m.Granted()) != 200 {
			t.Errorf("tried %d times, %d granted", h.refused, len(m.Granted()))
		}
		h.mu.Unlock()
		r.HandleStanzas(session, new(sent), []stanza.Stanza{parse(t, advert("localhost", delegation.NS, "urn:a"))})
		<-h.arrive
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := r.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// sent is a stanza.Sender that keeps what is sent.
type sent struct {
	mu  sync.Mutex
	all []string
}

func (s *sent) Send(_ context.Context, st stanza.Stanza) error {
	b, err := stanza.Append(nil, st)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, string(b))
	return nil
}

func (*sent) Request(context.Context, *stanza.IQ) (*stanza.IQ, error) {
	return nil, errors.New("no request expected")
}

func (s *sent) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.all
	s.all = nil
	return all
}

// parse reads a stanza as a stream would.
func parse(t testing.TB, text string) stanza.Stanza {
	t.Helper()
	kind := text[1:strings.IndexAny(text, " >/")]
	el, err := xmltree.Parse([]byte(strings.Replace(text, "<"+kind, "<"+kind+" xmlns='jabber:client'", 1)), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := stanza.Parse(el)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
