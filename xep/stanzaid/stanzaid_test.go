package stanzaid_test

import (
	"fmt"
	"testing"

	"github.com/postern-im/postern/internal/loopback"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/stanzaid"
)

func message(ids string) *stanza.Message {
	all, err := loopback.Read("<message from='a@b' to='juliet@capulet.example'><body>hi</body>" + ids + "</message>")
	if err != nil {
		panic(err)
	}
	return all[0].(*stanza.Message)
}

func TestOf(t *testing.T) {
	account := jid.MustParse("juliet@capulet.example")
	const ours = "<stanza-id xmlns='urn:xmpp:sid:0' id='1' by='juliet@capulet.example'/>"
	for name, c := range map[string]struct{ ids, want string }{
		"ours":             {ours, "1"},
		"in capitals":      {"<stanza-id xmlns='urn:xmpp:sid:0' id='1' by='JULIET@capulet.example'/>", "1"},
		"beside a room's":  {"<stanza-id xmlns='urn:xmpp:sid:0' id='9' by='room@chat.example'/>" + ours, "1"},
		"beside broken":    {"<stanza-id xmlns='urn:xmpp:sid:0' id='9' by='@'/><stanza-id xmlns='urn:xmpp:sid:0' by='juliet@capulet.example'/>" + ours, "1"},
		"none":             {"", ""},
		"a room's":         {"<stanza-id xmlns='urn:xmpp:sid:0' id='9' by='room@chat.example'/>", ""},
		"of a client":      {"<stanza-id xmlns='urn:xmpp:sid:0' id='9' by='juliet@capulet.example/x'/>", ""},
		"by nobody":        {"<stanza-id xmlns='urn:xmpp:sid:0' id='9'/>", ""},
		"the sender's":     {"<origin-id xmlns='urn:xmpp:sid:0' id='9'/>", ""},
		"two":              {ours + "<stanza-id xmlns='urn:xmpp:sid:0' id='9' by='juliet@capulet.example'/>", ""},
		"deeper":           {"<x xmlns='urn:x'>" + ours + "</x>", ""},
		"another protocol": {"<stanza-id xmlns='urn:xmpp:sid:1' id='9' by='juliet@capulet.example'/>", ""},
	} {
		if got, ok := stanzaid.Of(message(c.ids), account); got != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q %v, want %q", name, got, ok, c.want)
		}
	}
}

func TestOrigin(t *testing.T) {
	if err := stanza.Check[stanzaid.Origin](); err != nil {
		t.Error(err)
	}
	if err := stanza.Check[stanzaid.ID](); err != nil {
		t.Error(err)
	}
	a, b := stanzaid.NewOrigin(), stanzaid.NewOrigin()
	if a == b || len(a.ID) < 20 {
		t.Errorf("ids %v and %v", a, b)
	}
	got, ok, err := stanza.Find[stanzaid.Origin](message("<origin-id xmlns='urn:xmpp:sid:0' id='de305d54'/>").Payloads)
	if !ok || err != nil || got.ID != "de305d54" {
		t.Errorf("example 1: %v %v %v", got, ok, err)
	}
}

// Only what the account's own server says of a message is its id.
func ExampleOf() {
	m := message("<stanza-id xmlns='urn:xmpp:sid:0' id='9' by='evil@evil.example'/><stanza-id xmlns='urn:xmpp:sid:0' id='28482' by='juliet@capulet.example'/>")
	fmt.Println(stanzaid.Of(m, jid.MustParse("juliet@capulet.example")))
	// Output:
	// 28482 true
}
