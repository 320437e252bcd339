package client_test

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/stanza"
)

// The behaviour of a client at its server. Each test here runs at the in-process server, real Prosody and real ejabberd.

// env is a server with the accounts test, user2 and admin, whose passwords are their names.
type env struct {
	host, addr, direct string
	web                string // URL of the WebSocket
	tls                *tls.Config
	confirms           bool // its offer (XEP-0474)
	reorders           bool // what comes while a session is lost and resumed
	// noticed, where it is set, waits until the server knows that a session has lost its WebSocket so many times. ejabberd 24.12 has
	// to: what it sends before stops the session for 15 s, and what came for it meanwhile may be gone.
	noticed func(t *testing.T, session jid.JID, times int)
}

// account returns the configuration for an account.
func (e env) account(name string) client.Config {
	return client.Config{
		JID: jid.MustParse(name + "@" + e.host), Credentials: sasl.Credentials{Password: sasl.NewSecret(name)}, Addr: e.addr, TLS: e.tls,
		Backoff: client.Backoff{Min: 20 * time.Millisecond, Max: 200 * time.Millisecond},
	}
}

func runBehaviours(t *testing.T, e env) {
	for _, b := range []struct {
		name string
		run  func(t *testing.T, e env)
	}{
		{"A14 A15 C6 every way to sign in leads to a session", testSignIn},
		{"a router serves a client", testRouter},
		{"A19 a wrong password is permanent", testWrongPassword},
		{"FLT-34 SEC-42 an authority that is not trusted", testUntrusted},
		{"C11 a lost connection comes back", testComeback},
		{"C7 a resource that is taken over", testConflict},
		{"SEC-03 an answer from somebody else", testSpoof},
		{"C9 presence is sent by itself", testPresence},
		{"C14 closing is orderly", testClose},
		{"L4 a client that nobody uses", testClientState},
		{"A7 tokens in place of the password", testTokens},
		{"A7 a token that is refused", testRefusedToken},
		{"A7 signing out", testSignOut},
		{"SEC-43 the pin outlasts the client", testPin},
		{"A15 one round trip", testOneRoundTrip},
		{"A15 L2 L4 what a session begins with", testBeginning},
		{"somebody in the middle", testMiddle},
		{"somebody in the middle before TLS", testMiddleInTheClear},
		{"A1 A2 A8 A9 the matrix of sign-ins", testMatrix},
		{"S3 S4 S5 deliveries are acknowledged", testTracked},
		{"S6 S11 SEC-55 a lost session goes on", testResume},
		{"G3 over a WebSocket", testWebSocket},
		{"S12 a program that is killed goes on", testKilled},
	} {
		t.Run(b.name, func(t *testing.T) { b.run(t, e) })
	}
}

func testSignIn(t *testing.T, e env) {
	bob := newInbox()
	b := serve(t, e.account("user2"), bob.handle).online()
	base := e.account("test")
	base.UserAgent = client.UserAgent{ID: "d4565fa7-4d72-4749-b3d3-740edbf87770", Software: "test", Device: "here"}
	for name, change := range map[string]func(c *client.Config){
		"SASL2":                 func(*client.Config) {},
		"SASL2 tagged":          func(c *client.Config) { c.JID = jid.MustParse(c.JID.String() + "/tag") },
		"SASL1":                 func(c *client.Config) { c.NoSASL2 = true },
		"SASL1 with a resource": func(c *client.Config) { c.NoSASL2, c.JID = true, jid.MustParse(c.JID.String()+"/wish") },
		"direct TLS":            func(c *client.Config) { c.Addr, c.DirectTLS = e.direct, true },
		"TLS 1.2":               func(c *client.Config) { c.TLS = c.TLS.Clone(); c.TLS.MaxVersion = tls.VersionTLS12 },
		"PLAIN": func(c *client.Config) {
			c.Policy = sasl.Policy{AllowPlain: true, Mechanisms: []string{"PLAIN"}}
		},
		"insecure": func(c *client.Config) { c.Insecure, c.TLS = true, nil },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := base
			change(&cfg)
			a := serve(t, cfg, ignore).online()
			own := a.JID()
			if !own.IsFull() || own.Bare() != cfg.JID.Bare() || a.State().JID != own {
				t.Errorf("bound %q", own)
			}
			if wish := cfg.JID.Resource(); !strings.HasPrefix(own.Resource(), wish) || cfg.NoSASL2 && wish != "" && own.Resource() != wish {
				t.Errorf("bound %q for %q", own, cfg.JID)
			}
			if a.Pinned() != (name != "PLAIN") {
				t.Errorf("pinned: %v", a.Pinned())
			}
			if err := a.Send(t.Context(), message(b.JID(), name)); err != nil {
				t.Fatal(err)
			}
			if m := bob.message(t); m.Body.String() != name || m.From != own || m.To != b.JID() {
				t.Errorf("got %+v", m)
			}
			if err := a.Barrier(t.Context()); err != nil {
				t.Error(err)
			}
			// The account itself, and the server, asked without to and by name.
			roster := &stanza.IQ{Type: stanza.IQGet, Payload: query{}}
			if r, err := a.Request(t.Context(), roster); err != nil || r.From != own.Bare() && r.From != own.DomainJID() {
				t.Errorf("roster: %v %v", r, err)
			}
			if f := a.Features(); !f.RosterVersions {
				t.Errorf("features %+v", f)
			}
		})
	}
}

type query struct{}

func (query) PayloadName() xml.Name { return xml.Name{Space: "jabber:iq:roster", Local: "query"} }

// sum is a question of a test's own.
type sum struct {
	A int `xml:"a,attr"`
	B int `xml:"b,attr"`
}

func (sum) PayloadName() xml.Name { return xml.Name{Space: "urn:example:sum", Local: "sum"} }

func testRouter(t *testing.T, e env) {
	add := func(_ context.Context, _ *stanza.IQ, s sum) (stanza.Payload, error) { return sum{A: s.A + s.B}, nil }
	r, err := router.New(router.Config{Routes: []router.Route{router.HandleIQ(stanza.IQGet, add)}})
	if err != nil {
		t.Fatal(err)
	}
	b := serveHandler(t, e.account("test"), r).online()
	a := serve(t, e.account("user2"), ignore).online()
	reply, err := a.Request(t.Context(), &stanza.IQ{Header: stanza.Header{To: b.JID()}, Type: stanza.IQGet, Payload: sum{2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := stanza.Decode[sum](reply.Payload); err != nil || got.A != 5 {
		t.Errorf("got %+v %v", got, err)
	}
	_, err = a.Request(t.Context(), &stanza.IQ{Header: stanza.Header{To: b.JID()}, Type: stanza.IQSet, Payload: sum{2, 3}})
	if !errors.Is(err, stanza.ServiceUnavailable) {
		t.Errorf("got %v", err)
	}
}

func testWrongPassword(t *testing.T, e env) {
	cfg := e.account("test")
	cfg.Credentials.Password = sasl.NewSecret("another")
	for _, one := range []bool{false, true} {
		cfg.NoSASL2 = one
		err := serve(t, cfg, ignore).ended()
		var ce *client.Error
		var refused *client.SignInError
		if !errors.As(err, &ce) || !ce.Permanent || ce.Stage != client.StageSignIn || !errors.As(err, &refused) || !errors.Is(err, sasl.NotAuthorized) {
			t.Errorf("got %v", err)
		}
	}
}

func testUntrusted(t *testing.T, e env) {
	cfg := e.account("test")
	cfg.TLS = nil
	st, _ := serve(t, cfg, ignore).await(0, client.PhaseBackoff)
	var ce *client.Error
	if !errors.As(st.Cause, &ce) || ce.Stage != client.StageTLS || ce.Permanent {
		t.Errorf("cause %v", st.Cause)
	}
}

func testComeback(t *testing.T, e env) {
	cfg := e.account("test")
	cfg.StreamManagement.Off = true
	cut := cutter(&cfg)
	c := serve(t, cfg, ignore).online()
	silent := serve(t, e.account("user2"), ignore).online()
	done := make(chan error, 1)
	go func() {
		_, err := c.Request(t.Context(), &stanza.IQ{Header: stanza.Header{To: silent.JID()}, Type: stanza.IQGet, Payload: sum{}})
		done <- err
	}()
	for c.Stats().Pending == 0 {
		select {
		case <-time.After(time.Millisecond):
		case err := <-done:
			t.Fatal(err)
		}
	}
	_, n := c.await(0, client.PhaseOnline)
	cut()
	st, n := c.await(n, client.PhaseBackoff)
	if err := <-done; !errors.Is(err, client.ErrStreamLost) {
		t.Errorf("request: %v", err)
	}
	if err := c.Send(t.Context(), message(silent.JID(), "x")); err != nil && !errors.Is(err, client.ErrNotConnected) {
		t.Errorf("send: %v", err)
	}
	c.await(n, client.PhaseOnline)
	if err := c.Barrier(t.Context()); err != nil {
		t.Errorf("%v after %v", err, st.Cause)
	}
	if got := c.State().Sessions; got != 2 {
		t.Errorf("%d sessions", got)
	}
}

func testConflict(t *testing.T, e env) {
	cfg := e.account("test")
	cfg.NoSASL2, cfg.JID = true, jid.MustParse(cfg.JID.String()+"/same")
	first := serve(t, cfg, ignore).online()
	second := serve(t, cfg, ignore).online()
	st, n := first.await(0, client.PhaseStandby)
	if !errors.Is(st.Cause, stanza.StreamConflict) {
		t.Errorf("cause %v", st.Cause)
	}
	if err := second.Barrier(t.Context()); err != nil {
		t.Error(err)
	}
	first.Resume()
	first.await(n, client.PhaseOnline)
	second.await(0, client.PhaseStandby)
}

// testSpoof has somebody else answer a request: with its id, but from another address.
func testSpoof(t *testing.T, e env) {
	asked := newInbox()
	b := serve(t, e.account("user2"), asked.handle).online()
	evil := serve(t, e.account("admin"), ignore).online()
	got := newInbox()
	a := serve(t, e.account("test"), got.handle).online()
	done := make(chan *stanza.IQ, 1)
	go func() {
		r, _ := a.Request(t.Context(), &stanza.IQ{Header: stanza.Header{To: b.JID()}, Type: stanza.IQGet, Payload: sum{1, 1}})
		done <- r
	}()
	q := asked.iq(t)
	for _, s := range []stanza.Stanza{
		&stanza.IQ{Header: stanza.Header{ID: q.ID, To: a.JID()}, Type: stanza.IQResult, Payload: sum{6, 6}},
		&stanza.Message{Header: stanza.Header{ID: q.ID, To: a.JID()}, Type: stanza.MessageChat, Body: stanza.NewText("done")},
	} {
		if err := evil.Send(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	got.message(t) // so the false result has come as well
	if n := a.Stats(); n.Pending != 1 || n.Unexpected != 1 {
		t.Errorf("stats %+v", n)
	}
	if err := b.Send(t.Context(), q.Result(sum{2, 2})); err != nil {
		t.Fatal(err)
	}
	if s, err := stanza.Decode[sum]((<-done).Payload); err != nil || s.A != 2 {
		t.Errorf("answer %+v %v", s, err)
	}
	if err := a.Send(t.Context(), &stanza.Message{Header: stanza.Header{From: b.JID(), To: evil.JID()}}); !errors.Is(err, client.ErrForeignFrom) {
		t.Errorf("foreign from: %v", err)
	}
	if err := a.Send(t.Context(), &stanza.Message{Header: stanza.Header{From: a.JID(), To: b.JID()}, Body: stanza.NewText("own")}); err != nil {
		t.Error(err)
	}
	if m := asked.message(t); m.From != a.JID() {
		t.Errorf("from %q", m.From)
	}
}

func testPresence(t *testing.T, e env) {
	in := newInbox()
	cfg := e.account("test")
	cfg.Presence = &stanza.Presence{Status: stanza.NewText("here")}
	c := serve(t, cfg, in.handle).online()
	other := serve(t, e.account("user2"), ignore).online()
	if err := c.Barrier(t.Context()); err != nil { // presence has been read
		t.Fatal(err)
	}
	if err := other.Send(t.Context(), message(cfg.JID, "to the account")); err != nil {
		t.Fatal(err)
	}
	if m := in.message(t); m.Body.String() != "to the account" {
		t.Errorf("got %+v", m)
	}
}

func testClose(t *testing.T, e env) {
	in := newInbox()
	b := serve(t, e.account("user2"), in.handle).online()
	a := serve(t, e.account("test"), ignore).online()
	for range 100 {
		if err := a.Send(t.Context(), message(b.JID(), "bye")); err != nil {
			t.Fatal(err)
		}
	}
	a.stop()
	if err := a.ended(); err != nil {
		t.Error(err)
	}
	for range 100 {
		in.message(t)
	}
	if st := a.State(); st.Phase != client.PhaseStopped || st.Cause != nil || !a.JID().IsZero() {
		t.Errorf("state %+v", st)
	}
}
