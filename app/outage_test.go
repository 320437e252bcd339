package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/xmpptest"
)

// TestFLT05_NoLoginBeforeTheDatabase starts the gateway where its database cannot be, and then makes room for it.
func TestFLT05_NoLoginBeforeTheDatabase(t *testing.T) {
	s := server(t)
	c := s.Component(s.Domain)
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // where a folder should be
		t.Fatal(err)
	}
	r := start(t, echo(), append(behind(s), "POSTERN_DATABASE_URL=sqlite:"+dir+"/gateway.db"), []string{"run"})
	r.stderr.await(t, "the database cannot be used")
	st := r.status()
	if st.Ready || st.Checks[1].Name != "database" || st.Checks[1].Ready || !strings.Contains(st.Checks[1].Reason, "away since") {
		t.Errorf("%+v", st)
	}
	if _, body := r.get("/metrics"); !strings.Contains(body, "postern_database_usable 0") {
		t.Error("the metrics do not say so")
	}
	if _, ever := c.Links(); ever != 0 {
		t.Errorf("%d links without a database", ever)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	c.Connected()
	until(t, r, true)
	if _, body := r.get("/metrics"); !strings.Contains(body, "postern_database_usable 1") || !strings.Contains(body, "postern_lease_held 1") {
		t.Error("the metrics do not say so")
	}
}

// TestFLT05_ADatabaseOfOthers starts the gateway with a file that is no database.
func TestFLT05_ADatabaseOfOthers(t *testing.T) {
	s := server(t)
	name := file(t, "gateway.db", strings.Repeat("certainly no database ", 1000))
	r := start(t, echo(), append(behind(s), "POSTERN_DATABASE_URL=sqlite:"+name), []string{"run"})
	if code := r.wait(); code != ExitFailure || !strings.Contains(r.stderr.String(), "no SQLite database") {
		t.Errorf("exit code %d", code)
	}
	if _, ever := s.Component(s.Domain).Links(); ever != 0 {
		t.Errorf("%d links", ever)
	}
}

func TestFLT06_WhatNeedsTheDatabaseIsToldToWait(t *testing.T) {
	away := fmt.Errorf("looking up: %w", storage.ErrUnavailable)
	n := network{routes: func(stanza.Sender) []router.Route {
		return []router.Route{
			router.HandleIQ(stanza.IQGet, func(context.Context, *stanza.IQ, extra) (stanza.Payload, error) { return nil, away }),
			router.HandleMessage(stanza.MessageChat, func(context.Context, *stanza.Message) error { return away }),
			router.HandlePresence(stanza.PresenceAvailable, func(context.Context, *stanza.Presence) error { return away }),
		}
	}}
	s := server(t)
	c := s.Component(s.Domain)
	run(t, n, s)
	c.Connected()
	const wait = `<error type="wait"><resource-constraint xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/>` +
		`<text xmlns="urn:ietf:params:xml:ns:xmpp-stanzas">the gateway cannot reach its database; try again later</text></error>`
	c.Send(`<presence from="test@localhost/a" to="x@gateway.localhost"/>`)
	c.Send(`<message from="test@localhost/a" to="x@gateway.localhost" type="chat" id="m"><body>hello</body></message>`)
	c.ExpectXML(`<message from="x@gateway.localhost" to="test@localhost/a" type="error" id="m">` + wait + `</message>`)
	c.Send(`<iq from="test@localhost/a" to="x@gateway.localhost" type="get" id="i"><x xmlns="urn:example:extra"/></iq>`)
	c.ExpectXML(`<iq from="x@gateway.localhost" to="test@localhost/a" type="error" id="i">` + wait + `</iq>`)
	c.ExpectNone()
}

// TestFLT03_LosingTheLeaseEndsTheStream takes the lease away from a gateway that serves, and gives it back.
func TestFLT03_LosingTheLeaseEndsTheStream(t *testing.T) {
	s := server(t)
	c := s.Component(s.Domain)
	env, file := onFile(t)
	serving := make(chan struct{}, 2)
	n := network{serve: func(ctx context.Context, _ stanza.Sender) error {
		serving <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}}
	r := start(t, n, append(behind(s), env...), []string{"run", "--lease-ttl=1s"})
	c.Connected()
	<-serving
	d := opened(t, file)
	l, err := d.HeldLease(t.Context(), leaseName)
	if err != nil {
		t.Fatal(err)
	}
	var thief storage.Lease
	if err := d.InTx(t.Context(), func(ctx context.Context) error {
		if err := d.ReleaseLease(ctx, l); err != nil {
			return err
		}
		thief, err = d.AcquireLease(ctx, leaseName, "a thief", time.Hour)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	c.Disconnected()
	r.stderr.await(t, "the lease is lost")
	r.stderr.await(t, "a thief")
	if st := r.status(); st.Ready || !strings.Contains(st.Checks[2].Reason, "a thief serves") {
		t.Errorf("%+v", st)
	}
	if err := d.ReleaseLease(t.Context(), thief); err != nil {
		t.Fatal(err)
	}
	c.Connected()
	<-serving
	until(t, r, true)
	r.signals <- syscall.SIGTERM
	if code := r.wait(); code != ExitOK {
		t.Errorf("exit code %d", code)
	}
	if _, ever := c.Links(); ever != 2 {
		t.Errorf("%d links", ever)
	}
}

// TestGrantsAreKept has a server grant something, and reads it by the command.
func TestGrantsAreKept(t *testing.T) {
	s := server(t, xmpptest.WithoutChecker())
	c := s.Component(s.Domain)
	env, file := onFile(t)
	r := start(t, echo(), append(behind(s), env...), []string{"run"})
	c.Connected()
	c.Send(`<message from="localhost" to="gateway.localhost"><privilege xmlns="urn:xmpp:privilege:2"><perm access="roster" type="both"/></privilege></message>`)
	r.stderr.await(t, "roster both")
	d := opened(t, file)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for kept := 0; kept == 0; { // it is recorded when it has taken effect; each question is answered as of that moment
		list, err := d.LatestGrants(ctx)
		if err != nil {
			t.Fatal(err)
		}
		kept = len(list)
	}
	r.signals <- syscall.SIGTERM
	if code := r.wait(); code != ExitOK {
		t.Fatalf("exit code %d", code)
	}
	if out, code := call(t, env, "grants"); code != ExitOK || !strings.Contains(out, "roster both") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}
