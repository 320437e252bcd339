package presence_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/internal/loopback"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/presence"
	"github.com/postern-im/postern/stanza"
)

var gw, romeo = jid.MustParse("gw.example"), jid.MustParse("romeo@montague.net")

// recorder keeps what is sent, as XML.
type recorder struct {
	mu   sync.Mutex
	sent []string
	err  error
	hook func()
}

func (r *recorder) Send(_ context.Context, s stanza.Stanza) error {
	out, err := stanza.Append(nil, s)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	r.sent = append(r.sent, string(out))
	if r.hook != nil {
		r.hook()
	}
	return nil
}

func (*recorder) Request(context.Context, *stanza.IQ) (*stanza.IQ, error) {
	return nil, errors.New("no")
}

func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	sent := r.sent
	r.sent = nil
	return sent
}

// bed is a manager with its routes, and what it sends.
type bed struct {
	t       testing.TB
	m       *presence.Manager
	in      *loopback.Stream
	out     *recorder
	changes []string
}

func newBed(t testing.TB, cfg presence.Config) *bed {
	t.Helper()
	b := &bed{t: t, out: new(recorder)}
	cfg.JID = gw
	cfg.Changed = func(_ context.Context, s presence.Subscription) {
		b.changes = append(b.changes, fmt.Sprintf("%s %s %s", s.Own, s.User, s.State))
	}
	var err error
	if b.m, err = presence.New(cfg, b.out, nil); err != nil {
		t.Fatal(err)
	}
	b.in = loopback.Must(b.m.Routes()...)
	return b
}

// receive gives the manager one stanza, which the router itself must not answer.
func (b *bed) receive(xml string) {
	b.t.Helper()
	if sent, err := b.in.Exchange(b.t.Context(), xml); err != nil || len(sent) > 0 {
		b.t.Fatalf("%s is answered by the router with %q, %v", xml, sent, err)
	}
}

// expect compares what was sent since the last call.
func (b *bed) expect(want ...string) {
	b.t.Helper()
	if got := b.out.take(); !slices.Equal(got, want) {
		b.t.Errorf("sent\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// state compares the state between an address and Romeo.
func (b *bed) state(own string, want presence.State) {
	b.t.Helper()
	got, err := b.m.Subscription(b.t.Context(), jid.MustParse(own), romeo)
	if err != nil || got != want {
		b.t.Errorf("state of %s is %q, %v, want %q", own, got, err, want)
	}
}

// p writes presence of a type.
func p(typ, from, to string) string {
	return fmt.Sprintf("<presence from='%s' to='%s' type='%s'/>", from, to, typ)
}

func available(from, to string) string { return fmt.Sprintf("<presence from='%s' to='%s'/>", from, to) }

// contacts: one is away at a resource, one is unavailable, one breaks the database.
var contacts = presence.SourceFunc(func(_ context.Context, own, _ jid.JID) (*stanza.Presence, error) {
	switch own.Local() {
	case "away":
		return &stanza.Presence{Header: stanza.Header{From: jid.MustParse("away@gw.example/irc")}, Show: stanza.ShowAway, Priority: 1}, nil
	case "off":
		return &stanza.Presence{Type: stanza.PresenceUnavailable, Status: stanza.NewText("gone fishing")}, nil
	case "broken":
		return nil, errors.New("the database is down")
	}
	return nil, presence.ErrUnknown
})

func TestSubscribe(t *testing.T) {
	b := newBed(t, presence.Config{Sources: []presence.Source{contacts}})
	const ask = "<presence from='romeo@montague.net/orchard' to='%s' type='subscribe' id='1'/>"
	for _, c := range []struct {
		name, to string
		want     []string
		state    presence.State
	}{
		{"to the service", "gw.example", []string{p("subscribed", "gw.example", "romeo@montague.net"), available("gw.example", "romeo@montague.net")}, presence.From},
		{"to a contact", "away@gw.example", []string{
			p("subscribed", "away@gw.example", "romeo@montague.net"),
			"<presence from='away@gw.example/irc' to='romeo@montague.net'><show>away</show><priority>1</priority></presence>",
		}, presence.From},
		{"to a contact's resource", "off@gw.example/x", []string{
			p("subscribed", "off@gw.example", "romeo@montague.net"),
			"<presence from='off@gw.example' to='romeo@montague.net' type='unavailable'><status>gone fishing</status></presence>",
		}, presence.From},
		{"to nobody", "nobody@gw.example", nil, 0},
		{"to a contact that cannot be read", "broken@gw.example", nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 3 { // idempotent
				b.receive(fmt.Sprintf(ask, c.to))
				b.expect(c.want...)
			}
			b.state(jid.MustParse(c.to).Bare().String(), c.state)
		})
	}
	if want := []string{"gw.example romeo@montague.net from", "away@gw.example romeo@montague.net from", "off@gw.example romeo@montague.net from"}; !slices.Equal(b.changes, want) {
		t.Errorf("changes %q", b.changes)
	}
}

func TestUnsubscribe(t *testing.T) {
	b := newBed(t, presence.Config{Sources: []presence.Source{contacts}})
	for _, to := range []string{"gw.example", "away@gw.example"} {
		b.receive(p("subscribe", "romeo@montague.net", to))
	}
	b.out.take()
	b.receive(p("unsubscribe", "romeo@montague.net", "gw.example"))
	b.expect(p("unavailable", "gw.example", "romeo@montague.net"))
	b.receive(p("unsubscribe", "romeo@montague.net", "away@gw.example"))
	b.expect(p("unavailable", "away@gw.example/irc", "romeo@montague.net"))
	for _, to := range []string{"gw.example", "away@gw.example", "nobody@gw.example"} {
		b.receive(p("unsubscribe", "romeo@montague.net", to))
		b.expect()
		b.state(to, 0)
	}
	if len(b.changes) != 4 {
		t.Errorf("changes %q", b.changes)
	}
}

func TestDecide(t *testing.T) {
	var decision presence.Decision
	var fail error
	b := newBed(t, presence.Config{Decide: func(_ context.Context, own jid.JID, r *stanza.Presence) (presence.Decision, error) {
		if own != gw || r.Status.String() != "please" {
			t.Errorf("asked about %s, %q", own, r.Status)
		}
		return decision, fail
	}})
	ask := func(d presence.Decision) {
		t.Helper()
		decision = d
		b.receive("<presence from='romeo@montague.net' to='gw.example' type='subscribe'><status>please</status></presence>")
	}
	ask(presence.Refuse)
	b.expect(p("unsubscribed", "gw.example", "romeo@montague.net"))
	b.state("gw.example", 0)
	ask(presence.Ignore)
	b.expect()
	b.state("gw.example", 0)
	fail = errors.New("cannot decide")
	ask(presence.Accept)
	b.expect()
	b.state("gw.example", 0)
	fail = nil
	for range 2 {
		ask(presence.Later)
		b.expect()
		b.state("gw.example", presence.PendingIn)
	}
	b.receive(p("unsubscribe", "romeo@montague.net", "gw.example"))
	b.expect()
	b.state("gw.example", 0)
	ask(presence.Later)
	if err := b.m.Approve(t.Context(), gw, romeo); err != nil {
		t.Fatal(err)
	}
	b.expect(p("subscribed", "gw.example", "romeo@montague.net"), available("gw.example", "romeo@montague.net"))
	b.state("gw.example", presence.From)
	decision = presence.Refuse // not asked again: she is subscribed
	b.receive(p("subscribe", "romeo@montague.net", "gw.example"))
	b.expect(p("subscribed", "gw.example", "romeo@montague.net"), available("gw.example", "romeo@montague.net"))
	if err := b.m.Revoke(t.Context(), gw, romeo); err != nil {
		t.Fatal(err)
	}
	b.expect(p("unavailable", "gw.example", "romeo@montague.net"), p("unsubscribed", "gw.example", "romeo@montague.net"))
	if err := b.m.Revoke(t.Context(), gw, romeo); err != nil {
		t.Fatal(err)
	}
	b.expect()
	ask(presence.Later)
	if err := b.m.Revoke(t.Context(), gw, romeo); err != nil {
		t.Fatal(err)
	}
	b.expect(p("unsubscribed", "gw.example", "romeo@montague.net"))
	if err := b.m.Approve(t.Context(), jid.MustParse("nobody@gw.example"), romeo); !errors.Is(err, presence.ErrUnknown) {
		t.Errorf("approved for nobody: %v", err)
	}
}

func TestProbe(t *testing.T) {
	b := newBed(t, presence.Config{Sources: []presence.Source{contacts}, Status: stanza.NewText("up")})
	for _, to := range []string{"gw.example", "away@gw.example", "off@gw.example"} {
		b.receive(p("subscribe", "romeo@montague.net", to))
	}
	b.out.take()
	for _, c := range []struct{ name, from, to, want string }{
		{"the service", "romeo@montague.net", "gw.example", "<presence from='gw.example' to='romeo@montague.net'><status>up</status></presence>"},
		{"a resource asks", "romeo@montague.net/orchard", "gw.example", "<presence from='gw.example' to='romeo@montague.net'><status>up</status></presence>"},
		{"a contact", "romeo@montague.net", "away@gw.example", "<presence from='away@gw.example/irc' to='romeo@montague.net'><show>away</show><priority>1</priority></presence>"},
		{"an unavailable contact", "romeo@montague.net", "off@gw.example", "<presence from='off@gw.example' to='romeo@montague.net' id='p1' type='unavailable'><status>gone fishing</status></presence>"},
		{"a resource: no details", "romeo@montague.net", "away@gw.example/irc", "<presence from='away@gw.example/irc' to='romeo@montague.net'/>"},
		{"another resource", "romeo@montague.net", "away@gw.example/x", "<presence from='away@gw.example/x' to='romeo@montague.net' id='p1' type='unavailable'/>"},
		{"a resource of an unavailable contact", "romeo@montague.net", "off@gw.example/x", "<presence from='off@gw.example/x' to='romeo@montague.net' id='p1' type='unavailable'/>"},
		{"who is not subscribed", "eve@x", "away@gw.example", "<presence from='away@gw.example' to='eve@x' id='p1' type='unsubscribed'/>"},
		{"who is not subscribed, to a resource", "eve@x/y", "away@gw.example/irc", "<presence from='away@gw.example' to='eve@x' id='p1' type='unsubscribed'/>"},
		{"nobody", "romeo@montague.net", "nobody@gw.example", "<presence from='nobody@gw.example' to='romeo@montague.net' id='p1' type='unsubscribed'/>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.receive(fmt.Sprintf("<presence from='%s' to='%s' type='probe' id='p1'/>", c.from, c.to))
			b.expect(c.want)
		})
	}
	b.receive(p("probe", "romeo@montague.net", "broken@gw.example"))
	b.expect()
}

// TestOurSubscriptions walks through the states of appendix A of RFC 6121 that we ask for.
func TestOurSubscriptions(t *testing.T) {
	b := newBed(t, presence.Config{Sources: []presence.Source{contacts}})
	own := jid.MustParse("away@gw.example")
	do := func(f func(context.Context, jid.JID, jid.JID) error) {
		t.Helper()
		if err := f(t.Context(), own, jid.MustParse("romeo@montague.net/orchard")); err != nil {
			t.Fatal(err)
		}
	}
	b.receive(p("subscribed", "romeo@montague.net", "away@gw.example")) // not asked for
	b.state("away@gw.example", 0)
	for range 2 {
		do(b.m.Subscribe)
		b.expect(p("subscribe", "away@gw.example", "romeo@montague.net"))
		b.state("away@gw.example", presence.PendingOut)
	}
	b.receive(p("subscribed", "romeo@montague.net", "away@gw.example"))
	b.state("away@gw.example", presence.To)
	do(b.m.Subscribe)
	b.expect()
	b.receive(p("subscribe", "romeo@montague.net", "away@gw.example"))
	b.out.take()
	b.state("away@gw.example", presence.To|presence.From)
	b.receive(p("unsubscribed", "romeo@montague.net", "away@gw.example"))
	b.receive(p("unsubscribed", "romeo@montague.net", "away@gw.example"))
	b.expect()
	b.state("away@gw.example", presence.From)
	do(b.m.Unsubscribe)
	b.expect()
	do(b.m.Subscribe)
	b.out.take()
	do(b.m.Unsubscribe)
	b.expect(p("unsubscribe", "away@gw.example", "romeo@montague.net"))
	b.state("away@gw.example", presence.From)
	want := []string{"to", "from, to", "from"}
	for i, c := range b.changes {
		if !strings.HasSuffix(c, " "+want[min(i, 2)]) {
			t.Errorf("change %d: %s", i, c)
		}
	}
	if len(b.changes) != 3 {
		t.Errorf("changes %q", b.changes)
	}
}

func TestAddresses(t *testing.T) {
	b := newBed(t, presence.Config{})
	for _, f := range []func(context.Context, jid.JID, jid.JID) error{b.m.Approve, b.m.Revoke, b.m.Subscribe, b.m.Unsubscribe} {
		for _, own := range []string{"other.example", "x@gw.example/r", "x@sub.gw.example"} {
			if err := f(t.Context(), jid.MustParse(own), romeo); !errors.Is(err, presence.ErrNotOwn) {
				t.Errorf("%s: %v", own, err)
			}
		}
	}
	if err := b.m.Update(t.Context(), romeo); !errors.Is(err, presence.ErrNotOwn) {
		t.Errorf("update: %v", err)
	}
	b.receive(p("subscribe", "romeo@montague.net", "other.example"))
	b.expect()
	// One user, however her server writes her.
	b.receive(p("subscribe", "Romeo@Montague.NET", "gw.example"))
	b.state("gw.example", presence.From)
	b.out.take()
	b.receive(p("unsubscribe", "romeo@montague.net", "GW.example"))
	b.expect(p("unavailable", "GW.example", "romeo@montague.net"))
	b.state("gw.example", 0)
	if _, err := presence.New(presence.Config{JID: romeo}, b.out, nil); err == nil {
		t.Error("an address that is no domain is accepted")
	}
}

func TestCaps(t *testing.T) {
	d, err := disco.New(disco.Config{JID: gw, Identities: []disco.Identity{{Category: "gateway", Type: "irc"}}, CapsNode: "urn:n"})
	if err != nil {
		t.Fatal(err)
	}
	caps, err := d.Caps(t.Context(), gw)
	if err != nil {
		t.Fatal(err)
	}
	c := fmt.Sprintf("<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:n' ver='%s'/>", caps.Ver)
	own := presence.SourceFunc(func(_ context.Context, j, _ jid.JID) (*stanza.Presence, error) {
		switch j.Local() {
		case "own":
			return &stanza.Presence{Payloads: []stanza.Payload{disco.Caps{Hash: "sha-1", Node: "x", Ver: "y"}}}, nil
		case "off":
			return &stanza.Presence{Type: stanza.PresenceUnavailable}, nil
		case "unknown-to-disco":
			return &stanza.Presence{}, nil
		}
		return nil, presence.ErrUnknown
	})
	b := newBed(t, presence.Config{Caps: d.Caps, Sources: []presence.Source{own}})
	for _, x := range []struct{ to, want string }{
		{"gw.example", "<presence from='gw.example' to='romeo@montague.net'>" + c + "</presence>"},
		{"own@gw.example", "<presence from='own@gw.example' to='romeo@montague.net'><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='x' ver='y'/></presence>"},
		{"off@gw.example", p("unavailable", "off@gw.example", "romeo@montague.net")},
		{"unknown-to-disco@gw.example", available("unknown-to-disco@gw.example", "romeo@montague.net")},
	} {
		b.receive(p("subscribe", "romeo@montague.net", x.to))
		b.expect(p("subscribed", x.to, "romeo@montague.net"), x.want)
	}
}

// TestSEC78_SubscriptionsAreBounded: nobody can make us remember, or send, without end.
func TestSEC78_SubscriptionsAreBounded(t *testing.T) {
	anybody := presence.SourceFunc(func(context.Context, jid.JID, jid.JID) (*stanza.Presence, error) { return new(stanza.Presence), nil })
	b := newBed(t, presence.Config{Sources: []presence.Source{anybody}, MaxSubscriptions: 10, MaxPerUser: 4})
	accepted := func(user string, n int) (ok int) {
		for i := range n {
			b.receive(p("subscribe", user, fmt.Sprintf("c%d@gw.example", i)))
			sent := b.out.take()
			if strings.Contains(sent[0], "'subscribed'") {
				ok++
			} else if len(sent) != 1 || !strings.Contains(sent[0], "'unsubscribed'") {
				t.Errorf("answered %q", sent)
			}
		}
		return ok
	}
	for _, c := range []struct {
		user string
		want int
	}{{"eve@x", 4}, {"eve@x", 4}, {"mallory@x", 4}, {"romeo@montague.net", 2}} {
		if got := accepted(c.user, 20); got != c.want {
			t.Errorf("%s has %d subscriptions, want %d", c.user, got, c.want)
		}
	}
	b.receive(p("unsubscribe", "eve@x", "c0@gw.example"))
	b.out.take()
	if got := accepted("romeo@montague.net", 20); got != 3 {
		t.Errorf("%d subscriptions when one has gone", got)
	}
}

// failing is a store that is down.
type failing struct{ presence.Subscriptions }

func (failing) Subscription(context.Context, jid.JID, jid.JID) (presence.State, error) {
	return 0, stanza.NewError(stanza.Gone, "the store is down")
}

func (failing) EachSubscription(context.Context, jid.JID) iter.Seq2[presence.Subscription, error] {
	return func(yield func(presence.Subscription, error) bool) {
		yield(presence.Subscription{}, errors.New("down"))
	}
}

// TestOurFaultsAreOurs: a store that fails is logged, and no user's server hears of it, whatever kind of error it is.
func TestOurFaultsAreOurs(t *testing.T) {
	core, logs := observer.New(zap.ErrorLevel)
	out := new(recorder)
	m, err := presence.New(presence.Config{JID: gw, Store: failing{}}, out, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	in := loopback.Must(m.Routes()...)
	types := []string{"subscribe", "subscribed", "unsubscribe", "unsubscribed", "probe"}
	for _, typ := range types {
		if sent, err := in.Exchange(t.Context(), p(typ, "romeo@montague.net", "gw.example")); err != nil || len(sent)+len(out.take()) > 0 {
			t.Errorf("%s is answered with %q, %v", typ, sent, err)
		}
	}
	if logs.Len() != len(types) {
		t.Errorf("%d log entries", logs.Len())
	}
	for name, f := range map[string]func(context.Context) error{"Online": m.Online, "Offline": m.Offline, "Update": func(ctx context.Context) error { return m.Update(ctx, gw) }} {
		if err := f(t.Context()); err == nil {
			t.Errorf("%s succeeds", name)
		}
	}
}

// TestErrorsAreNotAnswered: presence of type error belongs to nobody here.
func TestErrorsAreNotAnswered(t *testing.T) {
	b := newBed(t, presence.Config{})
	for _, typ := range []string{"error", "unavailable"} {
		b.receive(p(typ, "romeo@montague.net", "gw.example"))
	}
	b.receive(available("romeo@montague.net/x", "gw.example"))
	b.expect()
}

func TestState(t *testing.T) {
	for s, want := range map[presence.State]string{0: "none", presence.From: "from", presence.From | presence.To: "from, to", presence.PendingIn | presence.PendingOut: "pending in, pending out"} {
		if s.String() != want {
			t.Errorf("%d is %q", s, s)
		}
	}
}
