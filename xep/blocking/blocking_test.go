package blocking_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/postern-im/postern/internal/loopback"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/blocking"
)

var juliet = jid.MustParse("juliet@capulet.example")

func push(from, payload string) string {
	return "<iq type='set' id='1' from='" + from + "' to='juliet@capulet.example/chamber'>" + payload + "</iq>"
}

func show(l *blocking.List) string {
	var all []string
	for _, j := range l.Items() {
		all = append(all, j.String())
	}
	return strings.Join(all, " ")
}

// TestSEC02_WhosePushes has everybody push who might want to write into the list, or empty it.
func TestSEC02_WhosePushes(t *testing.T) {
	for name, c := range map[string]struct{ from, payload, want string }{
		"the account":           {"juliet@capulet.example", "<block xmlns='urn:xmpp:blocking'><item jid='romeo@montague.example'/></block>", "iago@x romeo@montague.example"},
		"it unblocks":           {"juliet@capulet.example", "<unblock xmlns='urn:xmpp:blocking'><item jid='IAGO@x'/><item jid='@'/></unblock>", ""},
		"it unblocks all":       {"JULIET@capulet.example", "<unblock xmlns='urn:xmpp:blocking'/>", ""},
		"it unblocks nobody":    {"juliet@capulet.example", "<unblock xmlns='urn:xmpp:blocking'><item jid='@'/></unblock>", "iago@x"},
		"another client":        {"juliet@capulet.example/balcony", "<unblock xmlns='urn:xmpp:blocking'/>", "cancel'><service-unavailable"},
		"the server":            {"capulet.example", "<unblock xmlns='urn:xmpp:blocking'/>", "cancel'><service-unavailable"},
		"a stranger":            {"tybalt@capulet.example", "<unblock xmlns='urn:xmpp:blocking'/>", "cancel'><service-unavailable"},
		"a stranger who blocks": {"iago@x/y", "<block xmlns='urn:xmpp:blocking'><item jid='romeo@montague.example'/></block>", "cancel'><service-unavailable"},
		"nobody is blocked":     {"juliet@capulet.example", "<block xmlns='urn:xmpp:blocking'/>", "modify'><bad-request"},
	} {
		t.Run(name, func(t *testing.T) {
			changes := 0
			l := blocking.New(juliet, nil, func(context.Context, blocking.Change) { changes++ })
			wire := loopback.Must(l.Routes()...)
			wire.Ask(push("juliet@capulet.example", "<block xmlns='urn:xmpp:blocking'><item jid='iago@x'/></block>"))
			got := wire.Ask(push(c.from, c.payload))
			if strings.Contains(c.want, "'>") {
				if !strings.Contains(got, c.want) || changes != 1 || show(l) != "iago@x" {
					t.Errorf("%s; %d changes, %s", got, changes, show(l))
				}
				return
			}
			if !strings.Contains(got, "type='result'") || changes != 2 || show(l) != c.want {
				t.Errorf("%s; %d changes, %s", got, changes, show(l))
			}
		})
	}
}

// TestMatching holds what XEP-0191 section 3.1 says of the four kinds of addresses.
func TestMatching(t *testing.T) {
	for item, c := range map[string]struct{ blocked, other string }{
		"user@domain.example/resource": {"user@domain.example/resource USER@domain.example/resource", "user@domain.example user@domain.example/other domain.example/resource"},
		"user@domain.example":          {"user@domain.example user@domain.example/resource", "domain.example user@sub.domain.example"},
		"domain.example/resource":      {"domain.example/resource user@domain.example/resource", "domain.example user@domain.example"},
		"domain.example":               {"domain.example user@domain.example user@domain.example/x domain.example/x", "sub.domain.example user@sub.domain.example"},
	} {
		l := blocking.New(juliet, nil, nil)
		loopback.Must(l.Routes()...).Ask(push("juliet@capulet.example", "<block xmlns='urn:xmpp:blocking'><item jid='"+item+"'/></block>"))
		for want, all := range map[bool]string{true: c.blocked, false: c.other} {
			for j := range strings.FieldsSeq(all) {
				if l.Blocked(jid.MustParse(j)) != want {
					t.Errorf("%s with %s on the list: not %v", j, item, want)
				}
			}
		}
	}
}

func xmpp(text string) (stanza.Stanza, error) {
	all, err := loopback.Read(text)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

type answers struct {
	stanza.Sender
	iq func(*stanza.IQ) (*stanza.IQ, error)
}

func (a answers) Request(_ context.Context, iq *stanza.IQ) (*stanza.IQ, error) { return a.iq(iq) }

func TestErrors(t *testing.T) {
	var fail error
	asked := 0
	l := blocking.New(juliet, answers{iq: func(iq *stanza.IQ) (*stanza.IQ, error) {
		asked++
		return iq.Result(nil), fail
	}}, nil)
	if err := l.Load(t.Context()); !errors.Is(err, blocking.ErrAnswer) {
		t.Errorf("got %v", err)
	}
	for name, err := range map[string]error{
		"nobody":       l.Block(t.Context()),
		"an empty one": l.Block(t.Context(), juliet, jid.JID{}),
		"unblock":      l.Unblock(t.Context()),
	} {
		if !errors.Is(err, blocking.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	fail = stanza.Forbidden
	for name, err := range map[string]error{
		"load": l.Load(t.Context()), "block": l.Block(t.Context(), juliet), "unblock all": l.UnblockAll(t.Context()),
	} {
		if !errors.Is(err, stanza.Forbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
	wire, err := xmpp("<message type='error' from='romeo@montague.example'><error type='cancel'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>" +
		"<blocked xmlns='urn:xmpp:blocking:errors'/></error></message>")
	if err != nil || !blocking.IsBlocked(wire.Failure()) {
		t.Errorf("example 10: %+v, %v", wire, err)
	}
	if blocking.IsBlocked(nil) || blocking.IsBlocked(stanza.NewError(stanza.NotAcceptable, "")) {
		t.Error("something else is an error of blocking")
	}
	if !slices.Equal(l.Items(), nil) {
		t.Errorf("items %v", l.Items())
	}
}

// What the server pushes is on the list.
func ExampleNew() {
	list := blocking.New(juliet, nil, func(_ context.Context, c blocking.Change) { fmt.Println("blocked:", c.Blocked) })
	server := loopback.Must(list.Routes()...) // in place of a client
	server.Ask(push("juliet@capulet.example", "<block xmlns='urn:xmpp:blocking'><item jid='montague.example'/></block>"))
	fmt.Println(list.Blocked(jid.MustParse("romeo@montague.example/orchard")))
	// Output:
	// blocked: [montague.example]
	// true
}
