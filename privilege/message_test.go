package privilege_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/privilege"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/form"
	"github.com/postern-im/postern/xmpptest"
)

// sink keeps what is sent, as a stream that tells of no refusals.
type sink struct {
	offline
	sent []string
}

func (s *sink) Send(_ context.Context, st stanza.Stanza) error {
	b, err := stanza.Append(nil, st)
	s.sent = append(s.sent, string(b))
	return err
}

// TestK17_AnyMessage sends a message that has all that messages have, and reads it as the server does.
func TestK17_AnyMessage(t *testing.T) {
	out := new(sink)
	s := newStream(t, out, privilege.Config{})
	for version, grants := range map[string]string{
		privilege.NS:  grantAll,
		privilege.NS1: strings.Replace(grantAll, privilege.NS, privilege.NS1, 1),
	} {
		s.receive(t.Context(), advert("localhost", grants))
		out.sent = nil
		msg := &stanza.Message{
			Header: stanza.Header{ID: "i", To: jid.MustParse("romeo@montague.net/orchard"), Lang: "en"}, Type: stanza.MessageHeadline,
			Subject: stanza.NewText("<s>"), Body: stanza.Text{{Text: "hi"}, {Lang: "de", Text: "hallo"}}, Thread: stanza.Thread{ID: "t"},
			Payloads: []stanza.Payload{form.Submit("urn:x"), element(t, "<event xmlns='urn:event'><x a='b'>&amp;</x></event>")},
		}
		if err := s.juliet().SendMessage(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
		sent, err := stanzas(out.sent[0])
		if err != nil {
			t.Fatal(err)
		}
		outer := sent[0].(*stanza.Message)
		if outer.To.String() != "localhost" || outer.From.String() != "gateway.localhost" || outer.ID == "" || outer.ID == "i" || outer.Payloads[0].PayloadName().Space != version {
			t.Errorf("sent %s", out.sent[0])
		}
		inner, err := privilege.Unwrap(outer)
		if err != nil {
			t.Fatal(err)
		}
		msg.From = jid.MustParse("juliet@localhost")
		got, _ := stanza.Append(nil, inner)
		want, _ := stanza.Append(nil, msg)
		if string(got) != string(want) {
			t.Errorf("inside is\n%s\nwant\n%s", got, want)
		}
	}
}

func TestK17_NoMessages(t *testing.T) {
	out := new(sink)
	s := newStream(t, out, privilege.Config{})
	s.receive(t.Context(), advert("localhost", grantAll))
	u := s.juliet()
	for name, msg := range map[string]*stanza.Message{
		"to nobody":      {},
		"of no type":     {Header: stanza.Header{To: jid.MustParse("a@b")}, Type: "shout"},
		"an empty error": {Header: stanza.Header{To: jid.MustParse("a@b")}, Type: stanza.MessageError},
	} {
		if err := u.SendMessage(t.Context(), msg); !errors.Is(err, privilege.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(out.sent) != 0 {
		t.Errorf("sent %q", out.sent)
	}
	if _, err := privilege.Unwrap(chat("a@b", "hi")); !errors.Is(err, stanza.ErrNoPayload) {
		t.Errorf("nothing inside: %v", err)
	}
	presence := &stanza.Message{Payloads: []stanza.Payload{element(t, "<privilege xmlns='urn:xmpp:privilege:2'><forwarded xmlns='urn:xmpp:forward:0'><presence xmlns='jabber:client'/></forwarded></privilege>")}}
	if _, err := privilege.Unwrap(presence); !errors.Is(err, stanza.ErrNoPayload) {
		t.Errorf("presence inside: %v", err)
	}
}

// TestK17_Refusals has the server refuse what it has granted: at once, late, and on a stream that cannot wait for it.
func TestK17_Refusals(t *testing.T) {
	for name, manners := range map[string]xmpptest.Option{"prosody": xmpptest.LikeProsody(), "ejabberd": xmpptest.LikeEjabberd()} {
		t.Run(name, func(t *testing.T) {
			granted := everything()
			granted.Message = "" // the test says otherwise
			srv := xmpptest.NewServer(t, manners, xmpptest.WithUser("juliet", "j"), xmpptest.WithPrivileges(granted))
			b := connect(t, of(srv), privilege.Config{})
			side := srv.Component(srv.Domain)
			refusals := make(chan privilege.Refusal, 10)
			b.m.OnRefusal(func(_ context.Context, r privilege.Refusal) { refusals <- r })
			u := b.user("juliet@localhost")
			if err := u.SendMessage(t.Context(), chat("romeo@montague.net", "hi")); !errors.Is(err, privilege.ErrGrantMissing) {
				t.Errorf("not granted: %v", err)
			}
			side.Send(advert("localhost", grantAll))
			b.advertised()
			var refused *privilege.RefusedError
			err := u.SendMessage(t.Context(), chat("romeo@montague.net", "hi"))
			if !errors.As(err, &refused) || !errors.Is(err, stanza.Forbidden) || refused.Needed.String() != "message outgoing" {
				t.Errorf("at once: %v", err)
			}

			side.Clear()
			outer, err := u.Wrap(chat("romeo@montague.net", "by a queue"))
			if err != nil {
				t.Fatal(err)
			}
			if err := b.c.Send(t.Context(), outer); err != nil {
				t.Fatal(err)
			}
			if r := <-refusals; r.ID != outer.ID || r.As.String() != "juliet@localhost" || r.To.String() != "romeo@montague.net" || !errors.Is(r.Err, stanza.Forbidden) {
				t.Errorf("late: %+v", r)
			}

			// Errors of others, and of messages that nobody sent, are nothing of ours; a refusal comes once.
			inner, err := privilege.Unwrap(outer)
			if err != nil {
				t.Fatal(err)
			}
			second, err := u.Wrap(inner)
			if err != nil || second.ID == outer.ID {
				t.Fatalf("%v, %v", second, err)
			}
			bounce := func(from, id string) string {
				return fmt.Sprintf("<message type='error' from='%s' to='gateway.localhost' id='%s'><error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>", from, id)
			}
			side.Send(bounce("evil.example", second.ID))
			side.Send(bounce("juliet@localhost", second.ID))
			side.Send(bounce("localhost", "other"))
			side.Send(bounce("localhost", outer.ID))
			side.Send(bounce("localhost", second.ID))
			if r := <-refusals; r.ID != second.ID || r.MessageID != inner.ID {
				t.Errorf("another refusal: %+v", r)
			}
			if len(refusals) != 0 {
				t.Errorf("%d more", len(refusals))
			}
		})
	}
}

func TestK17_StreamThatIsLost(t *testing.T) {
	srv := xmpptest.NewServer(t, xmpptest.WithUser("juliet", "j"), xmpptest.WithPrivileges(everything()))
	b := connect(t, of(srv), privilege.Config{})
	side := srv.Component(srv.Domain)
	release := side.Stall()
	done := make(chan error, 1)
	go func() { done <- b.user("juliet@localhost").SendMessage(t.Context(), chat("romeo@montague.net", "hi")) }()
	for b.c.Stats().Pending == 0 {
		select {
		case err := <-done:
			t.Fatalf("it ended: %v", err)
		default:
			runtime.Gosched()
		}
	}
	side.Drop()
	release()
	if err := <-done; !errors.Is(err, component.ErrStreamLost) {
		t.Errorf("error %v", err)
	}
}
