package delegation_test

import (
	"testing"

	"github.com/postern-im/postern/delegation"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// FuzzUnwrap: whatever is inside a wrapper, it is answered at most once, inside a result or by an error, to the server alone; and the
// handler sees only what is granted and to the server's own.
func FuzzUnwrap(f *testing.F) {
	const note, other = "<note xmlns='urn:test:note'/>", "<iq xmlns='jabber:client' from='a@localhost/b' id='2' type='get'>" + getNote + "</iq>"
	for _, ask := range [][8]string{
		{delegation.NS, "localhost", "set", alice, "alice@localhost", "get", note, ""},
		{delegation.NS1, "localhost", "set", alice, "", "set", note, ""},
		{delegation.NS, "localhost", "set", alice, "localhost", "get", note, other},
		{delegation.NS, "localhost", "get", alice, "", "get", "<x xmlns='urn:x'/>", "<message xmlns='jabber:client'/>"},
		{delegation.NS, "localhost", "set", alice, "", "result", "", "</forwarded><forwarded xmlns='urn:xmpp:forward:0'>"},
		{delegation.NS, "localhost", "set", alice, "", "error", note + note, "</forwarded><delegated namespace='urn:test:note'/><forwarded>"},
	} {
		f.Add(ask[0], ask[1], ask[2], ask[3], ask[4], ask[5], ask[6], ask[7])
	}
	f.Fuzz(func(t *testing.T, version, server, outerType, from, to, innerType, payload, beside string) {
		attr := func(name, v string) string {
			if v == "" {
				return ""
			}
			return " " + name + "='" + string(xmltree.AppendAttrValue(nil, v)) + "'"
		}
		el, err := xmltree.Parse([]byte("<iq xmlns='jabber:client' id='w' to='"+gw+"'"+attr("from", server)+attr("type", outerType)+"><delegation"+attr("xmlns", version)+
			"><forwarded xmlns='urn:xmpp:forward:0'><iq xmlns='jabber:client' id='1'"+attr("from", from)+attr("to", to)+attr("type", innerType)+">"+payload+"</iq>"+beside+
			"</forwarded></delegation></iq>"), xmltree.Limits{})
		if err != nil {
			return
		}
		s, err := stanza.Parse(el)
		if err != nil {
			return
		}
		n := newNotes()
		m, err := delegation.New(delegation.Config{
			JID: jid.MustParse(gw), Servers: []jid.JID{jid.MustParse("localhost")},
			Namespaces: []delegation.Namespace{delegation.Serve(nsNote, delegation.Anyone, n.routes()...)},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := router.New(router.Config{Routes: m.Routes(), Unwrap: []router.Unwrap{m.Unwrap}})
		if err != nil {
			t.Fatal(err)
		}
		out := new(sent)
		r.HandleStanzas(t.Context(), out, []stanza.Stanza{parse(t, advert("localhost", delegation.NS, nsNote)), s})
		if err := r.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		asked, _ := s.(*stanza.IQ)
		got := out.take()
		if len(got) > 1 || asked != nil && asked.IsRequest() != (len(got) == 1) {
			t.Fatalf("sent %q", got)
		}
		for _, req := range n.requests() {
			if req.Owner.Domain() != "localhost" || !req.Owner.IsBare() || asked.From.String() != "localhost" || req.ID != asked.ID {
				t.Errorf("handled %+v", req)
			}
		}
		for _, a := range got {
			el, err := xmltree.Parse([]byte(a), xmltree.Limits{})
			if err != nil {
				t.Fatalf("%v in %q", err, a)
			}
			if to, id := el.Attr("to"), el.Attr("id"); to != s.Head().From.String() || id != s.Head().ID {
				t.Errorf("answered %q", a)
			}
		}
	})
}
