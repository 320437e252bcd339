package privilege_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/outbox"
	"github.com/postern-im/postern/privilege"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/sqlite"
	"github.com/postern-im/postern/xmpptest"
)

// queue is an outbox behind a bed.
type queue struct {
	*bed

	store storage.Store
	box   *outbox.Outbox
}

// queued runs an outbox until the test ends.
func queued(t *testing.T, b *bed) *queue {
	t.Helper()
	st, err := sqlite.Open(t.Context(), sqlite.Memory, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	owner, err := outbox.NewOwner(outbox.OwnerConfig{}, st, nil)
	if err != nil {
		t.Fatal(err)
	}
	box, err := outbox.New(outbox.Config{
		Domain: b.domain, Preparer: b.m, Tries: 2, RetryMin: time.Millisecond,
	}, st, owner, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- owner.Run(ctx, func(ctx context.Context) error { return box.Run(ctx, b.c) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return &queue{b, st, box}
}

// fate puts a message and waits for what becomes of it.
func (q *queue) fate(u privilege.User, msg *stanza.Message) error {
	q.t.Helper()
	conversation, outer, err := u.Queued(msg)
	if err != nil {
		q.t.Fatal(err)
	}
	w := q.box.WatchIn(conversation, outer)
	defer w.Stop()
	if n, err := u.PutMessage(q.t.Context(), q.box, msg); err != nil || n != 1 {
		q.t.Fatalf("put %d, %v", n, err)
	}
	return w.Wait(q.t.Context())
}

// reason returns for what the last dead letter is one, and the message that it is.
func (q *queue) reason() (string, *stanza.Message) {
	q.t.Helper()
	dead, err := q.store.ListDeadLetters(q.t.Context(), 0, 100)
	if err != nil || len(dead) == 0 {
		q.t.Fatalf("dead letters: %v, %v", dead, err)
	}
	last := dead[len(dead)-1]
	ss, err := stanzas(string(last.Stanza))
	if err != nil {
		q.t.Fatal(err)
	}
	inner, err := privilege.Unwrap(ss[0].(*stanza.Message))
	if err != nil {
		q.t.Fatal(err)
	}
	return last.Reason, inner
}

// TestK17_ThroughTheOutbox puts messages in a user's name into a transaction.
func TestK17_ThroughTheOutbox(t *testing.T) {
	for name, manners := range map[string]xmpptest.Option{"prosody": xmpptest.LikeProsody(), "ejabberd": xmpptest.LikeEjabberd()} {
		t.Run(name, func(t *testing.T) {
			srv := xmpptest.NewServer(t, manners, xmpptest.WithUser("juliet", "j"), xmpptest.WithUser("romeo", "r"), xmpptest.WithPrivileges(everything()))
			q := queued(t, connect(t, of(srv), privilege.Config{}))
			romeo := srv.User(t, "romeo", "r")
			romeo.Send("<presence/>")
			u := q.user("juliet@localhost")
			send := func(fails error, bodies ...string) {
				t.Helper()
				err := q.store.InTx(t.Context(), func(ctx context.Context) error {
					if err := q.store.PutAccount(ctx, storage.Account{User: u.JID()}); err != nil {
						return err
					}
					for _, body := range bodies {
						msg := chat("romeo@localhost", body)
						msg.ID = body
						if _, err := u.PutMessage(ctx, q.box, msg); err != nil {
							return err
						}
					}
					return fails
				})
				if !errors.Is(err, fails) {
					t.Fatal(err)
				}
			}
			had := make(map[string]bool) // what was under way when the link was lost comes again, with the same id
			arrives := func(from string, bodies ...string) {
				t.Helper()
				for _, body := range bodies {
					got := await(romeo, "message", "")
					for had[got.Attr("id")] {
						got = await(romeo, "message", "")
					}
					had[got.Attr("id")] = true
					if got.Attr("from") != from || !strings.Contains(got.String(), "<body>"+body+"</body>") {
						t.Errorf("in place of %s came %s", body, got)
					}
				}
			}
			errRolledBack := errors.New("it did not happen")
			send(errRolledBack, "never")
			send(nil, "one", "two", "three")
			send(nil, "one", "two", "three") // a replay
			msg := chat("romeo@localhost", "four")
			msg.ID = "four"
			if err := q.fate(u, msg); err != nil {
				t.Errorf("what became of it: %v", err)
			}
			arrives("juliet@localhost", "one", "two", "three", "four")

			// The refusal of a message that counts as taken already still finds its way.
			side := srv.Component(srv.Domain)
			refusals := make(chan privilege.Refusal, 10)
			q.m.OnRefusal(func(_ context.Context, r privilege.Refusal) { refusals <- r })
			_, outer, err := u.Queued(msg)
			if err != nil {
				t.Fatal(err)
			}
			side.Send("<message type='error' from='localhost' to='gateway.localhost' id='" + outer.ID + "'><error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>")
			if r := <-refusals; r.MessageID != "four" || r.As != u.JID() || !errors.Is(r.Err, stanza.Forbidden) {
				t.Errorf("%+v", r)
			}
			if n, err := q.m.PutAsServer(t.Context(), q.box, jid.MustParse("localhost"), chat("romeo@localhost", "a notice")); n != 1 || err != nil {
				t.Errorf("as the server: %d, %v", n, err)
			}
			arrives("localhost", "a notice")

			// What is put while the link is down is sent when the next one's grants are known.
			side.Drop()
			send(nil, "five", "six")
			arrives("juliet@localhost", "five", "six")
			if dead, err := q.store.ListDeadLetters(t.Context(), 0, 10); err != nil || len(dead) != 0 {
				for _, d := range dead {
					t.Errorf("dead: %s", d.Reason)
				}
				t.Errorf("%d dead letters, %v", len(dead), err)
			}
		})
	}
}

// TestK17_QueuedRefusals has messages refused here, there, and for want of the server's word, and expects those who wait to learn it.
func TestK17_QueuedRefusals(t *testing.T) {
	granted := everything()
	granted.Message = "" // the test says otherwise
	srv := xmpptest.NewServer(t, xmpptest.WithUser("juliet", "j"), xmpptest.WithPrivileges(granted))
	q := queued(t, connect(t, of(srv), privilege.Config{GrantWait: time.Millisecond}))
	refusals := make(chan privilege.Refusal, 10)
	q.m.OnRefusal(func(_ context.Context, r privilege.Refusal) { refusals <- r })
	side := srv.Component(srv.Domain)
	side.Clear()
	u := q.user("juliet@localhost")

	var missing *privilege.GrantError
	err := q.fate(u, chat("romeo@montague.net", "not granted"))
	if !errors.Is(err, outbox.ErrDead) || !errors.Is(err, privilege.ErrGrantMissing) || !errors.As(err, &missing) || missing.Server.String() != "localhost" {
		t.Errorf("not granted: %v", err)
	}
	reason, inner := q.reason()
	if !strings.Contains(reason, "does not grant message outgoing") || !strings.Contains(reason, "privileged_entities") || inner.Body.String() != "not granted" {
		t.Errorf("%v is dead for %q", inner, reason)
	}

	// It was not sent; the next one is, and refused.
	side.Send(advert("localhost", grantAll))
	q.advertised()
	msg := chat("romeo@montague.net", "refused")
	var refused *privilege.RefusedError
	err = q.fate(u, msg)
	if !errors.Is(err, outbox.ErrDead) || !errors.As(err, &refused) || !errors.Is(err, stanza.Forbidden) || refused.Needed.String() != "message outgoing" {
		t.Fatalf("refused: %v", err)
	}
	if r := <-refusals; r.MessageID != msg.ID || r.As.String() != "juliet@localhost" || r.To.String() != "romeo@montague.net" || !errors.Is(r.Err, stanza.Forbidden) {
		t.Errorf("%+v", r)
	}
	if sent := side.Await(xmpptest.Kind(stanza.KindMessage, "")).String(); !strings.Contains(sent, "<body>refused</body>") || !strings.Contains(sent, privilege.NS) {
		t.Errorf("sent %s", sent)
	}
	if reason, _ := q.reason(); !strings.Contains(reason, "localhost refused message outgoing") {
		t.Errorf("reason %q", reason)
	}

	// It is wrapped by the version that the server speaks when it is sent, which this one does not.
	side.Send(advert("localhost", strings.Replace(grantAll, privilege.NS, privilege.NS1, 1)))
	q.advertised()
	if err := q.fate(u, chat("romeo@montague.net", "version 1")); !errors.As(err, &refused) || !errors.Is(err, stanza.ServiceUnavailable) {
		t.Errorf("by version 1: %v", err)
	}
	if sent := side.Await(xmpptest.Kind(stanza.KindMessage, "")).String(); !strings.Contains(sent, "version 1") || !strings.Contains(sent, privilege.NS1) {
		t.Errorf("sent %s", sent)
	}

	// A server that never says what it grants is not waited for without end.
	srv.Stop()
	silent := xmpptest.NewServer(t, xmpptest.WithUser("juliet", "j"))
	b := serve(t, of(silent), privilege.Config{GrantWait: time.Millisecond})
	q = queued(t, b)
	if err := q.fate(q.user("juliet@localhost"), chat("romeo@montague.net", "who knows")); !errors.Is(err, outbox.ErrDead) || !errors.Is(err, privilege.ErrGrantUnknown) {
		t.Errorf("never known: %v", err)
	}
}

// TestSEC10_QueuedInOthersNames has rows in the queue, however they got there, that the manager would not have put.
func TestSEC10_QueuedInOthersNames(t *testing.T) {
	srv := xmpptest.NewServer(t, xmpptest.WithUser("juliet", "j"), xmpptest.WithPrivileges(everything()))
	q := queued(t, connect(t, of(srv), privilege.Config{}))
	side := srv.Component(srv.Domain)
	side.Clear()
	wrapped := func(to, inner string) stanza.Stanza {
		ss, err := stanzas("<message xmlns='jabber:client' from='gateway.localhost' to='" + to + "' id='1'><privilege xmlns='urn:xmpp:privilege:2'>" +
			"<forwarded xmlns='urn:xmpp:forward:0'>" + inner + "</forwarded></privilege></message>")
		if err != nil {
			t.Fatal(err)
		}
		return ss[0]
	}
	const inner = "<message xmlns='jabber:client' from='FROM' to='romeo@localhost'/>"
	for name, c := range map[string]struct {
		s    stanza.Stanza
		want error
	}{
		"of another server":         {wrapped("localhost", strings.Replace(inner, "FROM", "juliet@elsewhere.example", 1)), privilege.ErrForeignFrom},
		"with a resource":           {wrapped("localhost", strings.Replace(inner, "FROM", "juliet@localhost/x", 1)), privilege.ErrForeignFrom},
		"of nobody":                 {wrapped("localhost", "<message xmlns='jabber:client' to='romeo@localhost'/>"), privilege.ErrForeignFrom},
		"to a server of others":     {wrapped("elsewhere.example", strings.Replace(inner, "FROM", "juliet@elsewhere.example", 1)), privilege.ErrNotManaged},
		"presence in place of them": {wrapped("localhost", "<presence xmlns='jabber:client' from='juliet@localhost'/>"), privilege.ErrInvalid},
	} {
		w := q.box.WatchIn(name, c.s)
		if _, err := q.box.PutIn(t.Context(), name, c.s); err != nil {
			t.Fatal(err)
		}
		if err := w.Wait(t.Context()); !errors.Is(err, c.want) || !errors.Is(err, outbox.ErrDead) {
			t.Errorf("%s: %v", name, err)
		}
		w.Stop()
	}
	u := q.user("juliet@localhost")
	msg := chat("romeo@localhost", "hi")
	msg.From = jid.MustParse("victim@localhost")
	if n, err := u.PutMessage(t.Context(), q.box, chat("romeo@localhost", "hi"), msg); n != 0 || !errors.Is(err, privilege.ErrForeignFrom) {
		t.Errorf("put %d, %v", n, err)
	}
	if st, err := q.store.OutboxStats(t.Context()); err != nil || st.Waiting != 0 || st.Dead != 5 {
		t.Errorf("%+v, %v", st, err)
	}
}
