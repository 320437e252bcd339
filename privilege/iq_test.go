package privilege_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/privilege"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
	"github.com/postern-im/postern/xmpptest"
)

// TestK18_Captures has the servers' own answers to a privileged IQ come to one that asks the same. What they say in which way differs
// from server to server; what the caller gets must not.
func TestK18_Captures(t *testing.T) {
	for file, c := range map[string]struct {
		outer string // id in the capture
		want  string // condition of the error, "" for a result, or the name of another outcome
	}{
		"prosody13-privilege-iq.xml q1":    {want: "item-not-found"},
		"prosody13-privilege-iq.xml q2":    {want: ""},
		"prosody13-privilege-iq.xml q3":    {want: ""},
		"prosody13-privilege-iq.xml q4":    {want: "refused forbidden"},
		"prosody13-privilege-iq.xml q6":    {want: ""},
		"prosody13-privilege-iq.xml q7":    {want: "item-not-found"},
		"prosody13-privilege-iq.xml q8":    {want: "refused forbidden"},
		"prosody1307-privilege-iq.xml q1":  {want: "item-not-found"},
		"prosody1307-privilege-iq.xml q2":  {want: ""},
		"prosody1307-privilege-iq.xml q7":  {want: "item-not-found"},
		"ejabberd2412-privilege-iq.xml q1": {want: "echo"},
		"ejabberd2412-privilege-iq.xml q2": {want: "echo"},
		"ejabberd2412-privilege-iq.xml q7": {want: "item-not-found"},
		"ejabberd2607-privilege-iq.xml q1": {want: "item-not-found"},
		"ejabberd2607-privilege-iq.xml q2": {want: ""},
		"ejabberd2607-privilege-iq.xml q7": {want: "item-not-found"},
		"ejabberd2607-privilege-iq.xml q8": {want: "item-not-found"},
	} {
		t.Run(file, func(t *testing.T) {
			name, id, _ := strings.Cut(file, " ")
			asked, answered := capture(t, name, id)
			var s *stream
			s = newStream(t, offline{func(iq *stanza.IQ) (*stanza.IQ, error) {
				// The ids are ours; all else is as it came.
				el, err := stanza.Element(iq.Payload)
				if err != nil {
					return nil, err
				}
				inner, _ := el.Child(stanza.NS, "iq")
				xml := strings.ReplaceAll(answered, "id='"+id+"'", "id='"+iq.ID+"'")
				xml = strings.ReplaceAll(xml, "id='w"+id[1:]+"'", "id='"+inner.Attr("id")+"'")
				all, err := stanzas(xml)
				if err != nil {
					return nil, err
				}
				reply := all[0].(*stanza.IQ)
				if reply.IsRequest() {
					s.receive(t.Context(), xml)
					return nil, context.Canceled
				}
				return reply, replyError(reply)
			}}, privilege.Config{JID: jid.MustParse("gateway.xmpp.test"), Servers: []jid.JID{jid.MustParse("xmpp.test")}})
			s.receive(t.Context(), "<message from='xmpp.test' to='gateway.xmpp.test'><privilege xmlns='urn:xmpp:privilege:2'><perm access='iq'>"+
				"<namespace ns='http://jabber.org/protocol/pubsub' type='both'/><namespace ns='jabber:iq:version' type='get'/></perm></privilege></message>")
			u, err := s.m.Impersonate(asked.To, "a test")
			if err != nil {
				t.Fatal(err)
			}
			el, _ := stanza.Element(asked.Payload)
			in, _ := el.Child(stanza.NS, "iq")
			inner, err := stanza.Parse(in)
			if err != nil {
				t.Fatal(err)
			}
			iq := inner.(*stanza.IQ)
			iq.ID = ""
			reply, err := u.Request(t.Context(), iq)
			got := ""
			var refused *privilege.RefusedError
			var failed *stanza.Error
			switch {
			case errors.Is(err, privilege.ErrEcho):
				got = "echo"
			case errors.As(err, &refused):
				got = "refused " + string(refused.Err.Condition)
			case errors.As(err, &failed):
				got = string(failed.Condition)
				if reply == nil || reply.Error != failed {
					t.Errorf("the IQ around the error is %+v", reply)
				}
			case err != nil:
				got = err.Error()
			case reply.Payload.PayloadName().Local != "pubsub":
				t.Errorf("the answer is %+v", reply)
			}
			if got != c.want {
				t.Errorf("the outcome is %q, want %q", got, c.want)
			}
		})
	}
}

func replyError(iq *stanza.IQ) error {
	if iq.Type == stanza.IQError {
		return iq.Error
	}
	return nil
}

// capture returns the IQ with this id that the component sent, and the text of what the server answered.
func capture(t *testing.T, file, id string) (asked *stanza.IQ, answered string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		el, err := xmltree.Parse([]byte("<r xmlns='jabber:client'>"+strings.TrimSpace(line)+"</r>"), xmltree.Limits{})
		if err != nil {
			continue // a comment
		}
		for c := range el.Children() {
			if c.Attr("id") != id {
				continue
			}
			if c.Attr("from") != "gateway.xmpp.test" {
				answered = c.String()
				continue
			}
			s, err := stanza.Parse(c)
			if err != nil {
				t.Fatal(err)
			}
			asked = s.(*stanza.IQ)
		}
	}
	if asked == nil || answered == "" {
		t.Fatalf("%s has no exchange %s", file, id)
	}
	return asked, answered
}

// TestK18_Silence is ejabberd, which drops what it does not permit.
func TestK18_Silence(t *testing.T) {
	granted := everything()
	granted.IQ = nil
	srv := xmpptest.NewServer(t, xmpptest.LikeEjabberd(), xmpptest.WithUser("juliet", "j"), xmpptest.WithPrivileges(granted))
	b := connect(t, of(srv), privilege.Config{Timeout: 100 * time.Millisecond})
	srv.Component(srv.Domain).Send(advert("localhost", grantPing))
	b.advertised()
	_, err := b.user("juliet@localhost").Request(t.Context(), &stanza.IQ{Type: stanza.IQGet, Payload: element(t, "<ping xmlns='urn:xmpp:ping'/>")})
	if !errors.Is(err, privilege.ErrNoAnswer) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "ejabberd") {
		t.Errorf("error %v", err)
	}
}

func TestK18_NoRequests(t *testing.T) {
	s := newStream(t, offline{func(*stanza.IQ) (*stanza.IQ, error) { return nil, errors.New("lost") }}, privilege.Config{})
	s.receive(t.Context(), advert("localhost", grantPing))
	ping := element(t, "<ping xmlns='urn:xmpp:ping'/>")
	for name, iq := range map[string]*stanza.IQ{
		"a result":         {Type: stanza.IQResult, Payload: ping},
		"an error":         {Type: stanza.IQError, Error: stanza.NewError(stanza.Gone, "")},
		"without a type":   {Payload: ping},
		"without anything": {Type: stanza.IQGet},
	} {
		if _, err := s.juliet().Request(t.Context(), iq); !errors.Is(err, privilege.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.juliet().Request(t.Context(), &stanza.IQ{Type: stanza.IQGet, Payload: ping}); err == nil || err.Error() != "lost" {
		t.Errorf("the stream's own error: %v", err)
	}
}
