package component_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmpptest"
)

// TestSEC03_ReplySpoofing sends, before the reply, what must not pass for it.
func TestSEC03_ReplySpoofing(t *testing.T) {
	const id = "'1'"
	spoofs := strings.Join([]string{
		"<iq type='result' id=" + id + " from='c@d' to='gw.test'><spoof xmlns='urn:spoof'/></iq>",
		"<iq type='result' id=" + id + " from='a@b/r' to='gw.test'><spoof xmlns='urn:spoof'/></iq>",
		"<iq type='result' id=" + id + " from='a@b' to='other@gw.test'><spoof xmlns='urn:spoof'/></iq>",
		"<iq type='result' id='2' from='a@b' to='gw.test'><spoof xmlns='urn:spoof'/></iq>",
		"<message type='error' id=" + id + " from='a@b' to='gw.test'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
		"<presence type='error' id=" + id + " from='a@b' to='gw.test'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>",
		"<iq type='set' id=" + id + " from='a@b' to='gw.test'><spoof xmlns='urn:spoof'/></iq>",
	}, "")
	reply := "<iq type='result' id=" + id + " from='a@b' to='gw.test'><true xmlns='urn:true'/></iq>"
	cfg := scripted(t, welcome(append([]xmpptest.Step{
		xmpptest.ExpectElement(xmpptest.Kind(stanza.KindIQ, "get")), xmpptest.SendBytes(spoofs + reply + reply),
		xmpptest.SendBytes("<message id='last' from='a@b' to='gw.test'/>"),
	}, farewell()...)...))
	r := newRecorder(nil)
	c := serve(t, cfg, r).online()
	iq, err := c.Request(t.Context(), &stanza.IQ{Header: stanza.Header{ID: "1", To: jid.MustParse("a@b")}, Type: stanza.IQGet, Payload: query{}})
	if err != nil || iq.Payload.PayloadName().Space != "urn:true" {
		t.Errorf("got %v, %v", iq, err)
	}
	var seen []string
	for {
		s := r.next(t)
		seen = append(seen, fmt.Sprint(s.Kind(), " ", s.StanzaType()))
		if s.Head().ID == "last" {
			break
		}
	}
	if got, want := strings.Join(seen, ", "), "message error, presence error, iq set, message normal"; got != want {
		t.Errorf("the handler got %s, want %s", got, want)
	}
	if st := c.Stats(); st.Unexpected != 5 { // four forged results and the second copy of the true one
		t.Errorf("%d unexpected replies", st.Unexpected)
	}
	c.stop()
	c.ended()
}

// TestRequest_StreamLost cuts the stream while a request waits, in the middle of the reply; the reply to the earlier stream's
// request that arrives on the next one goes to nobody.
func TestRequest_StreamLost(t *testing.T) {
	ask := xmpptest.ExpectElement(xmpptest.Kind(stanza.KindIQ, "get"))
	cfg := scripted(t,
		welcome(ask, xmpptest.SendBytes("<iq type='result' id='1' from='a@b' to='gw.t"), xmpptest.Close()),
		welcome(append([]xmpptest.Step{xmpptest.SendBytes("<iq type='result' id='1' from='a@b' to='gw.test'/><message id='last' from='a@b' to='gw.test'/>")}, farewell()...)...))
	r := newRecorder(nil)
	c := serve(t, cfg, r).online()
	_, err := c.Request(t.Context(), &stanza.IQ{Header: stanza.Header{ID: "1", To: jid.MustParse("a@b")}, Type: stanza.IQGet, Payload: query{}})
	if !errors.Is(err, component.ErrStreamLost) {
		t.Errorf("got %v", err)
	}
	if s := r.next(t); s.Head().ID != "last" {
		t.Errorf("the handler got %+v", s)
	}
	if st := c.Stats(); st.Unexpected != 1 || st.Pending != 0 {
		t.Errorf("stats %+v", st)
	}
	c.stop()
	c.ended()
}

// TestRequest_TooLarge ends a request by a reply over a limit.
func TestRequest_TooLarge(t *testing.T) {
	cfg := scripted(t, welcome(append([]xmpptest.Step{
		xmpptest.ExpectElement(xmpptest.Kind(stanza.KindIQ, "get")),
		xmpptest.SendBytes("<iq type='result' id='1' from='a@b' to='gw.test'><x xmlns='urn:x'>" + strings.Repeat("x", 2000) + "</x></iq>"),
	}, farewell()...)...))
	cfg.Limits.Bytes = 1000
	c := serve(t, cfg, newRecorder(nil)).online()
	_, err := c.Request(t.Context(), &stanza.IQ{Header: stanza.Header{ID: "1", To: jid.MustParse("a@b")}, Type: stanza.IQGet, Payload: query{}})
	if !errors.Is(err, component.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	c.oneSession()
	c.stop()
	c.ended()
}
