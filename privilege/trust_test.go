package privilege_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/privilege"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/form"
	"github.com/postern-im/postern/xmpptest"
)

const (
	grantAll  = "<privilege xmlns='urn:xmpp:privilege:2'><perm access='roster' type='both'/><perm access='message' type='outgoing'/></privilege>"
	grantPing = "<privilege xmlns='urn:xmpp:privilege:2'><perm access='iq'><namespace ns='urn:xmpp:ping' type='get'/></perm></privilege>"
)

// offline is a stream that sends nothing and answers by a function.
type offline struct {
	answer func(iq *stanza.IQ) (*stanza.IQ, error)
}

func (offline) Send(context.Context, stanza.Stanza) error { return nil }

func (o offline) Request(_ context.Context, iq *stanza.IQ) (*stanza.IQ, error) { return o.answer(iq) }

// stream is a router with a manager, to which a test is the server.
type stream struct {
	t *testing.T
	r *router.Router
	m *privilege.Manager
}

func newStream(t *testing.T, out stanza.Sender, cfg privilege.Config, routes ...router.Route) *stream {
	t.Helper()
	if cfg.JID.IsZero() {
		cfg.JID = jid.MustParse("gateway.localhost")
	}
	if cfg.Servers == nil {
		cfg.Servers = []jid.JID{jid.MustParse("localhost")}
	}
	if cfg.GrantWait == 0 {
		cfg.GrantWait = -1
	}
	m, err := privilege.New(cfg, out, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := router.New(router.Config{Routes: append(m.Routes(), routes...), Middleware: []router.Middleware{m.Middleware()}})
	if err != nil {
		t.Fatal(err)
	}
	return &stream{t, r, m}
}

// receive has the router handle stanzas, and returns when it has.
func (s *stream) receive(session context.Context, xml string) {
	s.t.Helper()
	els, err := stanzas(xml)
	if err != nil {
		s.t.Fatal(err)
	}
	s.r.HandleStanzas(session, offline{}, els)
	if err := s.r.Drain(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stream) granted(server string) string {
	for _, g := range s.m.Grants() {
		if g.Server.String() == server {
			if !g.Known {
				return "unknown"
			}
			return g.Permissions.String()
		}
	}
	return "no server of ours"
}

func advert(from, payload string) string {
	return fmt.Sprintf("<message from='%s' to='gateway.localhost' id='a'>%s</message>", from, payload)
}

func TestSEC08_OnlyServersGrant(t *testing.T) {
	var handled []string
	s := newStream(t, offline{}, privilege.Config{Servers: []jid.JID{jid.MustParse("localhost"), jid.MustParse("other.test")}},
		router.HandleAnyMessage(func(_ context.Context, m *stanza.Message) error {
			handled = append(handled, m.Body.String())
			return nil
		}))
	s.m.Stream(true)
	s.receive(t.Context(), advert("localhost", "<privilege xmlns='urn:xmpp:privilege:2'><perm access='roster' type='get' push='false'/></privilege>"))
	if got := s.granted("localhost"); got != "roster get" {
		t.Fatalf("granted %s", got)
	}
	for name, c := range map[string]struct{ from, to, typ string }{
		"a user of the server":      {"juliet@localhost", "gateway.localhost", ""},
		"a session of a user":       {"juliet@localhost/balcony", "gateway.localhost", ""},
		"a resource of the server":  {"localhost/x", "gateway.localhost", ""},
		"a stranger's server":       {"evil.example", "gateway.localhost", ""},
		"a stranger":                {"eve@evil.example", "gateway.localhost", ""},
		"ourselves":                 {"gateway.localhost", "gateway.localhost", ""},
		"a contact of ours":         {"localhost@gateway.localhost", "gateway.localhost", ""},
		"a longer name":             {"localhost.evil.example", "gateway.localhost", ""},
		"a subdomain":               {"conference.localhost", "gateway.localhost", ""},
		"a look-alike":              {"lοcalhost", "gateway.localhost", ""}, // a Greek letter
		"a chat message":            {"localhost", "gateway.localhost", "chat"},
		"a headline":                {"localhost", "gateway.localhost", "headline"},
		"a groupchat message":       {"localhost", "gateway.localhost", "groupchat"},
		"to somebody else":          {"localhost", "juliet@gateway.localhost", ""},
		"to a resource of ours":     {"localhost", "gateway.localhost/x", ""},
		"an error, which is no say": {"localhost", "gateway.localhost", "error"},
	} {
		t.Run(name, func(t *testing.T) {
			before, changed := s.m.Stats(), false
			defer s.m.OnGrants(func(context.Context, privilege.GrantChange) { changed = true })()
			handled = nil
			typ := ""
			if c.typ != "" {
				typ = "type='" + c.typ + "'"
			}
			s.receive(t.Context(), fmt.Sprintf("<message from='%s' to='%s' %s><body>hi</body>%s</message>", c.from, c.to, typ, grantAll))
			if got := s.granted("localhost"); got != "roster get" || changed {
				t.Errorf("granted %s by %s", got, c.from)
			}
			if got := s.granted("other.test"); got != "unknown" {
				t.Errorf("the other server grants %s", got)
			}
			if c.typ == "error" {
				return
			}
			if n := s.m.Stats().Untrusted - before.Untrusted; n != 1 {
				t.Errorf("counted %d", n)
			}
			if len(handled) != 1 || handled[0] != "hi" {
				t.Errorf("the message itself was handled as %q", handled)
			}
		})
	}
}

// What anybody may send does not fill the log; what a server of ours says in a strange way is worth a line.
func TestStrangersDoNotFillTheLog(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	m, err := privilege.New(privilege.Config{JID: jid.MustParse("gateway.localhost"), Servers: []jid.JID{jid.MustParse("localhost")}}, offline{}, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	r, err := router.New(router.Config{Routes: m.Routes(), Middleware: []router.Middleware{m.Middleware()}})
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{t, r, m}
	for _, from := range []string{"eve@evil.example/x", "evil.example", "eve@localhost/x", "localhost/x"} {
		s.receive(t.Context(), advert(from, grantAll))
	}
	if n := logs.Len(); n != 0 {
		t.Errorf("%d lines: %v", n, logs.All())
	}
	s.receive(t.Context(), strings.Replace(advert("localhost", grantAll), "<message", "<message type='chat'", 1))
	if n := logs.Len(); n != 1 || m.Stats().Untrusted != 5 {
		t.Errorf("%d lines of the server, %+v", n, m.Stats())
	}
}

// TestSEC08_NotForAnotherDomain has one server of ours try to speak for another one.
func TestSEC08_NotForAnotherDomain(t *testing.T) {
	s := newStream(t, offline{}, privilege.Config{Servers: []jid.JID{jid.MustParse("localhost"), jid.MustParse("other.test")}})
	s.receive(t.Context(), advert("localhost", grantAll))
	u, err := s.m.Impersonate(jid.MustParse("romeo@other.test"), "a test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Roster(t.Context()); !errors.Is(err, privilege.ErrGrantUnknown) {
		t.Errorf("a roster of the other domain: %v", err)
	}
	if u, err = s.m.Impersonate(jid.MustParse("romeo@third.test"), "a test"); !errors.Is(err, privilege.ErrNotManaged) {
		t.Errorf("a user of nobody's: %v, %v", u, err)
	}
}

// TestSEC08_GrantsEndWithTheirStream also holds that an advertisement which was read before the end of a stream, and is handled
// after it, grants nothing on the next one.
func TestSEC08_GrantsEndWithTheirStream(t *testing.T) {
	asked := 0
	s := newStream(t, offline{func(iq *stanza.IQ) (*stanza.IQ, error) {
		asked++
		return iq.Result(element(t, "<query xmlns='jabber:iq:roster'/>")), nil
	}}, privilege.Config{})
	u, err := s.m.Impersonate(jid.MustParse("juliet@localhost"), "a test")
	if err != nil {
		t.Fatal(err)
	}
	read := func() error { _, err := u.Roster(t.Context()); return err }
	var causes []string
	s.m.OnGrants(func(_ context.Context, c privilege.GrantChange) { causes = append(causes, c.Cause.String()) })

	first, end := context.WithCancel(t.Context())
	defer end()
	s.m.Stream(true)
	if err := read(); !errors.Is(err, privilege.ErrGrantUnknown) {
		t.Errorf("before the advertisement: %v", err)
	}
	s.receive(first, advert("localhost", grantAll))
	if err := read(); err != nil {
		t.Fatal(err)
	}
	end() // the stream is gone, though nobody has said so yet
	if err := read(); !errors.Is(err, privilege.ErrGrantUnknown) {
		t.Errorf("after the end: %v", err)
	}
	s.m.Stream(false)
	s.m.Stream(true)
	s.receive(first, advert("localhost", grantAll))
	if err := read(); !errors.Is(err, privilege.ErrGrantUnknown) {
		t.Errorf("by an advertisement of the last stream: %v", err)
	}
	if st := s.m.Stats(); st.Stale != 1 {
		t.Errorf("%d stale", st.Stale)
	}
	second, end := context.WithCancel(t.Context())
	defer end()
	s.receive(second, advert("localhost", grantAll))
	if err := read(); err != nil {
		t.Errorf("by its own: %v", err)
	}
	s.m.Stream(true) // a new stream, whose predecessor's end nobody has seen
	if err := read(); !errors.Is(err, privilege.ErrGrantUnknown) {
		t.Errorf("on a new stream: %v", err)
	}
	if got := strings.Join(causes, ", "); got != "advertised, stream ended, advertised, stream ended" {
		t.Errorf("observers were told: %s", got)
	}
	if asked != 2 {
		t.Errorf("%d requests", asked)
	}
}

// acts is a gateway whose users name contacts, and perhaps themselves, in a form.
type acts struct {
	m   **privilege.Manager
	err chan error
}

func (a acts) handle(ctx context.Context, msg *stanza.Message, f form.Form) error {
	typed := jid.MustParse(f.Fields.Value("jid"))
	msg.From = typed // the worst that a handler can do
	u, err := (*a.m).For(ctx)
	if err == nil {
		err = u.SetContact(ctx, privilege.Item{Contact: jid.MustParse("room@gateway.localhost")})
	}
	a.err <- err
	return nil
}

func TestSEC10_NobodyChoosesWhomWeActFor(t *testing.T) {
	var m *privilege.Manager
	a := acts{&m, make(chan error, 1)}
	srv := xmpptest.NewServer(t, xmpptest.WithUser("mallory", "m"), xmpptest.WithUser("victim", "v"), xmpptest.WithPrivileges(everything()))
	b := connect(t, of(srv), privilege.Config{}, router.HandlePayload(a.handle, router.Exclusive()))
	m = b.m
	side := srv.Component(srv.Domain)
	const typed = "<x xmlns='jabber:x:data' type='submit'><field var='jid'><value>victim@localhost</value></field></x>" +
		"<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='victim@localhost/x' to='gateway.localhost'/></forwarded>"
	side.Send("<message from='mallory@localhost/x' to='gateway.localhost'><body>from=victim@localhost</body>" + typed + "</message>")
	if err := <-a.err; err != nil {
		t.Fatal(err)
	}
	side.Expect(xmpptest.Matching("a roster set for mallory", func(s stanza.Stanza) error {
		if s.Head().To.String() != "mallory@localhost" || s.StanzaType() != "set" {
			return fmt.Errorf("%s to %s", s.StanzaType(), s.Head().To)
		}
		return nil
	}))
	for name, from := range map[string]string{
		"a stranger":        "mallory@evil.example/x",
		"the server itself": "localhost",
		"ourselves":         "mallory@gateway.localhost/x",
	} {
		t.Run(name, func(t *testing.T) {
			side.Send("<message from='" + from + "' to='gateway.localhost'>" + typed + "</message>")
			if err := <-a.err; !errors.Is(err, privilege.ErrNotManaged) || !errors.Is(err, stanza.NotAllowed) {
				t.Errorf("it acts: %v", err)
			}
		})
	}
	side.ExpectNone()
	if _, err := m.For(t.Context()); !errors.Is(err, privilege.ErrNoStanza) {
		t.Errorf("outside a handler: %v", err)
	}
}

// TestSEC10_StanzasInOthersNames gives a user's calls stanzas that say they are from others.
func TestSEC10_StanzasInOthersNames(t *testing.T) {
	s := newStream(t, offline{func(*stanza.IQ) (*stanza.IQ, error) { t.Error("it was sent"); return nil, stanza.Gone }}, privilege.Config{})
	s.receive(t.Context(), advert("localhost", "<privilege xmlns='urn:xmpp:privilege:2'><perm access='message' type='outgoing'/>"+
		"<perm access='iq'><namespace ns='urn:xmpp:ping' type='get'/></perm></privilege>"))
	u, err := s.m.Impersonate(jid.MustParse("mallory@localhost"), "a test")
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{"victim@localhost", "mallory@localhost/x", "localhost", "mallory@evil.example", "MALLORY@localhost/x"} {
		msg := chat("juliet@localhost", "hi")
		msg.From = jid.MustParse(from)
		if err := u.SendMessage(t.Context(), msg); !errors.Is(err, privilege.ErrForeignFrom) {
			t.Errorf("a message from %s: %v", from, err)
		}
		if _, err := u.Wrap(msg); !errors.Is(err, privilege.ErrForeignFrom) {
			t.Errorf("a wrapper around a message from %s: %v", from, err)
		}
		iq := &stanza.IQ{Header: stanza.Header{From: jid.MustParse(from)}, Type: stanza.IQGet, Payload: element(t, "<ping xmlns='urn:xmpp:ping'/>")}
		if _, err := u.Request(t.Context(), iq); !errors.Is(err, privilege.ErrForeignFrom) {
			t.Errorf("an IQ from %s: %v", from, err)
		}
	}
	for name, iq := range map[string]*stanza.IQ{
		"another type":      {Type: stanza.IQSet, Payload: element(t, "<ping xmlns='urn:xmpp:ping'/>")},
		"another namespace": {Type: stanza.IQGet, Payload: element(t, "<query xmlns='jabber:iq:roster'/>")},
	} {
		if _, err := u.Request(t.Context(), iq); !errors.Is(err, privilege.ErrGrantMissing) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var nobody privilege.User
	if err := nobody.SendMessage(t.Context(), chat("juliet@localhost", "hi")); !errors.Is(err, privilege.ErrNotManaged) {
		t.Errorf("nobody sends: %v", err)
	}
	if err := s.m.SendAsServer(t.Context(), jid.MustParse("evil.example"), chat("juliet@localhost", "hi")); !errors.Is(err, privilege.ErrNotManaged) {
		t.Errorf("in another server's name: %v", err)
	}
}

// TestSEC10_OneWayIn holds that no method but Impersonate makes a user of an address: whoever adds one has to think of it here.
func TestSEC10_OneWayIn(t *testing.T) {
	typ := reflect.TypeFor[*privilege.Manager]()
	for i := range typ.NumMethod() {
		method := typ.Method(i)
		var takes, makes bool
		for j := range method.Type.NumIn() {
			takes = takes || method.Type.In(j) == reflect.TypeFor[jid.JID]()
		}
		for j := range method.Type.NumOut() {
			makes = makes || method.Type.Out(j) == reflect.TypeFor[privilege.User]()
		}
		if makes && method.Name != "For" && (method.Name != "Impersonate" || !takes) {
			t.Errorf("%s makes a user", method.Name)
		}
	}
	if n := reflect.TypeFor[privilege.User]().NumField(); n != 3 {
		t.Errorf("a user has %d fields", n)
	}
	for i := range reflect.TypeFor[privilege.User]().NumField() {
		if f := reflect.TypeFor[privilege.User]().Field(i); f.IsExported() {
			t.Errorf("anybody can set %s", f.Name)
		}
	}
}

// answerTo is an answer in the shape of XEP-0356 section 6.3.
func answerTo(typ, id, from, innerType, innerID, innerFrom, innerTo string) string {
	return fmt.Sprintf("<iq type='%s' id='%s' from='%s' to='gateway.localhost'>%s</iq>", typ, id, from, wrapped(innerType, innerID, innerFrom, innerTo))
}

func wrapped(typ, id, from, to string) string {
	attr := func(name, v string) string {
		if v == "" {
			return ""
		}
		return " " + name + "='" + v + "'"
	}
	return "<privilege xmlns='urn:xmpp:privilege:2'><forwarded xmlns='urn:xmpp:forward:0'><iq xmlns='jabber:client' type='" + typ + "'" +
		attr("id", id) + attr("from", from) + attr("to", to) + "><ping xmlns='urn:xmpp:ping'/></iq></forwarded></privilege>"
}

func TestSEC11_AnswersOfOthers(t *testing.T) {
	srv := xmpptest.NewServer(t) // grants nothing by itself: the test does
	b := serve(t, of(srv), privilege.Config{})
	side := srv.Component(srv.Domain)
	side.Send(advert("localhost", grantPing))
	b.advertised()
	u, target := b.user("juliet@localhost"), jid.MustParse("romeo@montague.net")
	type outcome struct {
		iq  *stanza.IQ
		err error
	}
	done := make(chan outcome, 1)
	ask := func() (outer, inner string) {
		go func() {
			iq, err := u.Request(t.Context(), &stanza.IQ{Header: stanza.Header{To: target}, Type: stanza.IQGet, Payload: element(t, "<ping xmlns='urn:xmpp:ping'/>")})
			done <- outcome{iq, err}
		}()
		el := side.Expect(xmpptest.XML("<iq type='get' id='*' from='gateway.localhost' to='juliet@localhost'><privileged_iq xmlns='urn:xmpp:privilege:2'>" +
			"<iq xmlns='jabber:client' type='get' id='*' to='romeo@montague.net'><ping xmlns='urn:xmpp:ping'/></iq></privileged_iq></iq>"))
		p, _ := el.Child(privilege.NS, "privileged_iq")
		iq, _ := p.Child(stanza.NS, "iq")
		return el.Attr("id"), iq.Attr("id")
	}
	outer, inner := ask()
	for name, spoof := range map[string]string{
		"a result of a stranger":     answerTo("result", outer, "evil@evil.example", "result", inner, "romeo@montague.net", "juliet@localhost"),
		"a result of the server":     answerTo("result", outer, "localhost", "result", inner, "romeo@montague.net", "juliet@localhost"),
		"a result of a session":      answerTo("result", outer, "juliet@localhost/x", "result", inner, "romeo@montague.net", "juliet@localhost"),
		"a result of the one asked":  answerTo("result", outer, "romeo@montague.net", "result", inner, "romeo@montague.net", "juliet@localhost"),
		"another id":                 answerTo("result", "other", "juliet@localhost", "result", inner, "romeo@montague.net", "juliet@localhost"),
		"in a message of a stranger": advert("evil@evil.example", wrapped("result", inner, "romeo@montague.net", "juliet@localhost")),
		"in a message of the server": advert("localhost", wrapped("result", inner, "romeo@montague.net", "juliet@localhost")),
		"an echo of a stranger":      answerTo("get", outer, "evil@evil.example", "get", inner, "juliet@localhost", "juliet@localhost"),
		"an echo of a session":       answerTo("get", outer, "juliet@localhost/x", "get", inner, "juliet@localhost", "juliet@localhost"),
		"an echo of something else":  answerTo("get", outer, "juliet@localhost", "get", "other", "juliet@localhost", "juliet@localhost"),
		"an echo of nothing":         answerTo("get", "other", "juliet@localhost", "get", inner, "juliet@localhost", "juliet@localhost"),
		"a request with a result":    answerTo("set", outer, "juliet@localhost", "result", inner, "romeo@montague.net", "juliet@localhost"),
		"a request with nothing":     "<iq type='get' id='" + outer + "' from='juliet@localhost' to='gateway.localhost'><privilege xmlns='urn:xmpp:privilege:2'/></iq>",
		"an error message, our id":   "<message type='error' id='" + outer + "' from='juliet@localhost' to='gateway.localhost'><error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
		"a presence error of the id": "<presence type='error' id='" + outer + "' from='juliet@localhost' to='gateway.localhost'/>",
		"the server grants no more":  advert("evil.example", "<privilege xmlns='urn:xmpp:privilege:2'/>"),
		"an answer of a former user": answerTo("result", outer, "juliet@localhost.evil.example", "result", inner, "romeo@montague.net", "juliet@localhost"),
		"an advertisement with a stanza": advert("localhost", "<privilege xmlns='urn:xmpp:privilege:2'><perm access='roster' type='both'/>"+
			"<forwarded xmlns='urn:xmpp:forward:0'/></privilege>"),
	} {
		t.Run(name, func(t *testing.T) {
			side.Send(spoof)
			// What is sent behind it, on the same conversation, is answered when it has been dealt with.
			from := strings.SplitN(strings.SplitN(spoof, "from='", 2)[1], "'", 2)[0]
			side.Send("<iq type='get' id='barrier' from='" + from + "' to='gateway.localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
			side.Await(xmpptest.Matching("the answer behind it", func(s stanza.Stanza) error {
				if s.Head().ID != "barrier" {
					return errors.New("another")
				}
				return nil
			}))
			select {
			case got := <-done:
				t.Fatalf("it ended the wait: %v, %v", got.iq, got.err)
			default:
			}
		})
	}
	side.Clear()
	side.Send(answerTo("result", outer, "juliet@localhost", "result", inner, "romeo@montague.net", "juliet@localhost"))
	if got := <-done; got.err != nil || got.iq.ID != inner {
		t.Errorf("the true answer: %+v, %v", got.iq, got.err)
	}

	for name, c := range map[string]struct{ typ, id, from, to string }{
		"another id inside":       {"result", "other", "romeo@montague.net", "juliet@localhost"},
		"no id inside":            {"result", "", "romeo@montague.net", "juliet@localhost"},
		"of somebody else":        {"result", "*", "evil@evil.example", "juliet@localhost"},
		"of a session of the one": {"result", "*", "romeo@montague.net/x", "juliet@localhost"},
		"for somebody else":       {"result", "*", "romeo@montague.net", "nurse@localhost"},
		"a request inside":        {"get", "*", "romeo@montague.net", "juliet@localhost"},
	} {
		t.Run(name, func(t *testing.T) {
			outer, inner := ask()
			side.Send(answerTo("result", outer, "juliet@localhost", c.typ, strings.Replace(c.id, "*", inner, 1), c.from, c.to))
			if got := <-done; !errors.Is(got.err, privilege.ErrAnswer) {
				t.Errorf("taken for the answer: %+v, %v", got.iq, got.err)
			}
		})
	}
}

// TestSEC11_StreamThatChecksNothing has a Sender take any answer for the one to a request.
func TestSEC11_StreamThatChecksNothing(t *testing.T) {
	s := newStream(t, offline{func(iq *stanza.IQ) (*stanza.IQ, error) {
		reply := iq.Result(nil)
		reply.From = jid.MustParse("evil@evil.example")
		el, err := stanza.Element(iq.Payload)
		if err != nil {
			return nil, err
		}
		inner, _ := el.Child(stanza.NS, "iq")
		reply.Payload = element(t, wrapped("result", inner.Attr("id"), "", ""))
		return reply, nil
	}}, privilege.Config{})
	s.receive(t.Context(), advert("localhost", grantPing))
	u, err := s.m.Impersonate(jid.MustParse("juliet@localhost"), "a test")
	if err != nil {
		t.Fatal(err)
	}
	if iq, err := u.Request(t.Context(), &stanza.IQ{Type: stanza.IQGet, Payload: element(t, "<ping xmlns='urn:xmpp:ping'/>")}); !errors.Is(err, privilege.ErrAnswer) {
		t.Errorf("taken: %+v, %v", iq, err)
	}
}
