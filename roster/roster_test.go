package roster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/postern-im/postern/internal/loopback"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/roster"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

func element(t *testing.T, xml string) xmltree.Element {
	t.Helper()
	el, err := xmltree.Parse([]byte(xml), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return el
}

// server answers requests for the roster, and keeps what else it gets.
type server struct {
	t      *testing.T
	answer string // "" is an empty result
	before func() // is called before the answer
	fail   error
	got    []string
}

func (s *server) Send(_ context.Context, st stanza.Stanza) error {
	b, err := stanza.Append(nil, st)
	s.got = append(s.got, string(b))
	return err
}

func (s *server) Request(ctx context.Context, iq *stanza.IQ) (*stanza.IQ, error) {
	if err := s.Send(ctx, iq); err != nil || s.fail != nil {
		return nil, errors.Join(err, s.fail)
	}
	var p stanza.Payload
	if s.answer != "" && iq.Type == stanza.IQGet {
		p = element(s.t, s.answer)
	}
	if s.before != nil {
		s.before()
	}
	return iq.Result(p), nil
}

func (s *server) sent(want string) {
	s.t.Helper()
	if got := strings.Join(s.got, "\n"); got != want {
		s.t.Errorf("\n got %s\nwant %s", got, want)
	}
	s.got = nil
}

var juliet = jid.MustParse("juliet@example.com")

func newRoster(t *testing.T, s *server, cfg roster.Config) *roster.Roster {
	t.Helper()
	s.t, cfg.Account = t, juliet
	r, err := roster.New(cfg, s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func show(r *roster.Roster) string {
	var all []string
	for _, it := range r.Snapshot().Items {
		all = append(all, fmt.Sprintf("%s %q %s %v %v %q", it.JID, it.Name, it.Subscription, it.Ask, it.Approved, it.Groups))
	}
	return strings.Join(all, "\n")
}

// TestExamplesOfRFC6121 holds the examples of sections 2.1 to 2.6, and what an item may look like beyond them.
func TestExamplesOfRFC6121(t *testing.T) {
	s := &server{answer: "<query xmlns='jabber:iq:roster' ver='ver11'><item jid='romeo@example.net' name='Romeo' subscription='both'><group>Friends</group><group>Enemies</group><group>Friends</group></item>" +
		"<item jid='mercutio@example.com' name='Mercutio' subscription='from'/><item jid='benvolio@example.net/x' subscription='to' ask='no' approved='true'/>" +
		"<item jid='paris@example.org' ask='subscribe' subscription='sometimes' approved='1'/><item jid='@'/><item name='nobody'/>" +
		"<item jid='rosaline@example.org' subscription='remove'/><x xmlns='urn:x'/></query>"}
	versioned := false
	r := newRoster(t, s, roster.Config{Versions: func() bool { return versioned }})
	if fresh, err := r.Load(t.Context()); !fresh || err != nil {
		t.Fatal(fresh, err)
	}
	s.sent("<iq type='get'><query xmlns='jabber:iq:roster'/></iq>")
	want := `benvolio@example.net/x "" to false true []
mercutio@example.com "Mercutio" from false false []
paris@example.org "" none true true []
romeo@example.net "Romeo" both false false ["Friends" "Enemies"]`
	if got := show(r); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if it, ok := r.Item(jid.MustParse("ROMEO@example.net")); !ok || it.Name != "Romeo" {
		t.Errorf("got %+v", it)
	}
	versioned, s.answer = true, ""
	if fresh, err := r.Load(t.Context()); fresh || err != nil || show(r) != want {
		t.Error(fresh, err, show(r))
	}
	s.sent("<iq type='get'><query xmlns='jabber:iq:roster' ver='ver11'/></iq>")
	nurse := jid.MustParse("nurse@example.com")
	if err := r.Set(t.Context(), roster.Item{JID: nurse, Name: "Nurse", Subscription: roster.SubscriptionBoth, Ask: true, Groups: []string{"Servants"}}); err != nil {
		t.Error(err)
	}
	s.sent("<iq type='set'><query xmlns='jabber:iq:roster'><item jid='nurse@example.com' name='Nurse'><group>Servants</group></item></query></iq>")
	if err := r.Remove(t.Context(), nurse); err != nil {
		t.Error(err)
	}
	s.sent("<iq type='set'><query xmlns='jabber:iq:roster'><item jid='nurse@example.com' subscription='remove'/></query></iq>")
}

// TestSEC02_WhosePushes has everybody push who might want to write into the roster.
func TestSEC02_WhosePushes(t *testing.T) {
	const item = "<item jid='boss@corp.example' name='Boss' subscription='both'/>"
	const refused, bad = "cancel'><service-unavailable", "modify'><bad-request"
	for name, c := range map[string]struct{ from, items, refusal string }{
		"the account":             {"juliet@example.com", item, ""},
		"the account in capitals": {"JULIET@EXAMPLE.COM", item, ""},
		"another client":          {"juliet@example.com/balcony", item, refused},
		"the server":              {"example.com", item, refused},
		"a stranger":              {"evil@evil.example", item, refused},
		"a stranger at home":      {"evil@example.com", item, refused},
		"the account elsewhere":   {"juliet@example.com.evil.example", item, refused},
		"no item":                 {"juliet@example.com", "", bad},
		"two items":               {"juliet@example.com", item + item, bad},
		"nobody":                  {"juliet@example.com", "<item jid='@'/>", bad},
	} {
		t.Run(name, func(t *testing.T) {
			var changes []roster.Change
			r := newRoster(t, &server{}, roster.Config{OnChange: func(_ context.Context, c roster.Change) { changes = append(changes, c) }})
			in := "<iq type='set' id='1' from='" + c.from + "' to='juliet@example.com/chamber'><query xmlns='jabber:iq:roster' ver='1'>" + c.items + "</query></iq>"
			got := loopback.Must(r.Routes()...).Ask(in)
			if c.refusal == "" {
				if got != "<iq from='juliet@example.com/chamber' to='"+c.from+"' id='1' type='result'/>" || len(changes) != 1 || len(r.Snapshot().Items) != 1 {
					t.Errorf("%s: %+v", got, changes)
				}
				return
			}
			if !strings.Contains(got, c.refusal) || len(changes) != 0 || len(r.Snapshot().Items) != 0 || r.Stats().Refused != 1 {
				t.Errorf("%s: %+v, %s", got, changes, show(r))
			}
		})
	}
}

// TestPushWhileReading has a push overtaken by the answer that is older than it.
func TestPushWhileReading(t *testing.T) {
	s := &server{answer: "<query xmlns='jabber:iq:roster'><item jid='a@b' name='old'/><item jid='c@d'/></query>"}
	r := newRoster(t, s, roster.Config{MaxItems: 2})
	wire := loopback.Must(r.Routes()...)
	push := func(item string) {
		wire.Ask("<iq type='set' id='1' from='juliet@example.com' to='juliet@example.com/x'><query xmlns='jabber:iq:roster'>" + item + "</query></iq>")
	}
	s.before = func() {
		push("<item jid='a@b' name='new'/>")
		push("<item jid='c@d' subscription='remove'/>")
	}
	if _, err := r.Load(t.Context()); err != nil || show(r) != `a@b "new" none false false []` {
		t.Errorf("%v: %s", err, show(r))
	}
	push("<item jid='e@f'/>")
	push("<item jid='g@h'/>")
	if st := r.Stats(); st.Dropped != 1 || len(r.Snapshot().Items) != 2 {
		t.Errorf("%+v: %s", st, show(r))
	}
	s.before, s.answer = nil, "<query xmlns='jabber:iq:roster'><item jid='a@b'/><item jid='c@d'/><item jid='e@f'/></query>"
	if _, err := r.Load(t.Context()); !errors.Is(err, roster.ErrFull) {
		t.Errorf("got %v", err)
	}
}

func TestErrors(t *testing.T) {
	s := &server{}
	r := newRoster(t, s, roster.Config{Known: roster.Snapshot{Version: "7", Items: []roster.Item{{JID: jid.MustParse("a@b")}}}})
	if _, err := r.Load(t.Context()); !errors.Is(err, roster.ErrAnswer) { // nothing, and no version was sent
		t.Errorf("got %v", err)
	}
	if s.answer = "<x xmlns='urn:x'/>"; true {
		if _, err := r.Load(t.Context()); !errors.Is(err, roster.ErrAnswer) {
			t.Errorf("got %v", err)
		}
	}
	s.got = nil
	for name, it := range map[string]roster.Item{
		"nobody": {}, "an empty group": {JID: juliet, Groups: []string{""}}, "a group twice": {JID: juliet, Groups: []string{"x", "y", "x"}},
	} {
		if err := r.Set(t.Context(), it); !errors.Is(err, roster.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"remove nobody":       r.Remove(t.Context(), jid.JID{}),
		"subscribe to nobody": r.Subscribe(t.Context(), jid.JID{}),
		"to oneself":          r.Approve(t.Context(), jid.MustParse("juliet@example.com/x")),
	} {
		if !errors.Is(err, roster.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.sent("")
	s.fail = stanza.ItemNotFound
	if err := r.Remove(t.Context(), jid.MustParse("a@b")); err != nil {
		t.Errorf("got %v", err)
	}
	s.fail = stanza.Forbidden
	if err := r.Remove(t.Context(), jid.MustParse("a@b")); !errors.Is(err, stanza.Forbidden) {
		t.Errorf("got %v", err)
	}
	if _, err := r.Load(t.Context()); !errors.Is(err, stanza.Forbidden) || len(r.Snapshot().Items) != 1 {
		t.Errorf("got %v", err)
	}
	for name, cfg := range map[string]roster.Config{
		"no account":        {},
		"a domain":          {Account: juliet.DomainJID()},
		"too much is known": {Account: juliet, MaxItems: 1, Known: roster.Snapshot{Items: []roster.Item{{JID: jid.MustParse("a@b")}, {JID: jid.MustParse("c@d")}}}},
	} {
		if _, err := roster.New(cfg, s); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestRequests shows who waits for an answer.
func TestRequests(t *testing.T) {
	var asked []string
	s := &server{}
	r := newRoster(t, s, roster.Config{MaxRequests: 2, OnRequest: func(_ context.Context, j jid.JID, p *stanza.Presence) {
		asked = append(asked, j.String()+" "+p.Status.String())
	}})
	wire := loopback.Must(r.Routes()...)
	in := func(typ, from string) {
		t.Helper()
		if got := wire.Ask("<presence type='" + typ + "' from='" + from + "' to='juliet@example.com'><status>hi</status></presence>"); got != "" {
			t.Errorf("answer %s", got)
		}
	}
	waiting := func(want ...string) {
		t.Helper()
		var got []string
		for _, j := range r.Requests() {
			got = append(got, j.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("waiting: %q, want %q", got, want)
		}
	}
	in("subscribe", "b@x")
	in("subscribe", "a@x/home")
	in("subscribe", "juliet@example.com/other") // nobody asks herself
	in("subscribe", "B@x")
	waiting("a@x", "b@x")
	in("subscribe", "c@x") // one too many
	waiting("a@x", "b@x")
	if got := strings.Join(asked, ", "); got != "b@x hi, a@x hi, B@x hi" || r.Stats().Dropped != 1 {
		t.Errorf("asked: %s, %+v", got, r.Stats())
	}
	in("unsubscribe", "a@x")
	waiting("b@x")
	if err := r.Approve(t.Context(), jid.MustParse("b@x/anywhere")); err != nil {
		t.Error(err)
	}
	waiting()
	s.sent("<presence to='b@x' type='subscribed'/>")
	in("subscribe", "c@x")
	if st := r.State(jid.MustParse("c@x")); st != roster.StateNonePendingIn {
		t.Errorf("state %v", st)
	}
	// Another client of the user's has approved it.
	wire.Ask("<iq type='set' id='1' from='juliet@example.com' to='juliet@example.com/x'><query xmlns='jabber:iq:roster'><item jid='c@x' subscription='from' ask='subscribe'/></query></iq>")
	waiting()
	if st := r.State(jid.MustParse("c@x")); st != roster.StateFromPendingOut {
		t.Errorf("state %v", st)
	}
}
