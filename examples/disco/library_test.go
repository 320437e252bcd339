package main

import (
	"context"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/app"
	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmpptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs the gateway behind a server until the test ends.
func serve(t *testing.T, l *Library, domain, secret, addr string) {
	t.Helper()
	cfg := app.Defaults()
	cfg.Component.Domain = jid.Strict{JID: jid.MustParse(domain)}
	cfg.Component.Secret = component.Secret(secret)
	cfg.Component.Address = addr
	cfg.Admin.Listen = "off"
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- app.Serve(ctx, app.Params{Config: cfg, Network: l, Name: "library", Version: "1"}) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestLibrary(t *testing.T) {
	s := xmpptest.NewServer(t)
	l := NewLibrary()
	serve(t, l, s.Domain, s.Secret, s.Addr)
	users := s.Component(s.Domain)
	users.Connected()
	reader, gw := "reader@"+s.Host, s.Domain
	l.Borrow(jid.MustParse(reader), "Hamlet")
	for _, tt := range []struct {
		name, from, to, what, node string
		want, not                  []string
	}{
		{name: "identities and features", to: gw, what: "info", want: []string{"'store'", "Library", "Bibliothek", "xml:lang='de'", "urn:example:library", "urn:xmpp:ping"}},
		{name: "items", to: gw, what: "items", want: []string{"'plays'", "'music'", "hypatia@" + gw, "alberto@" + gw}, not: []string{"Hamlet"}},
		{name: "a shelf", to: gw, what: "items", node: "plays", want: []string{"Hamlet", "Faust"}, not: []string{"Oud"}},
		{name: "what a shelf is", to: gw, what: "info", node: "plays", want: []string{"'hierarchy'", "'branch'"}},
		{name: "a book", to: gw, what: "info", node: "plays/Faust", want: []string{"'leaf'", "Goethe", "urn:example:library#book"}, not: []string{"Shakespeare"}},
		{name: "what belongs to a book", to: gw, what: "items", node: "plays/Faust", want: []string{"type='result'"}, not: []string{"<item "}},
		{name: "a librarian", to: "hypatia@" + gw, what: "info", want: []string{"'account'", "hypatia"}},
		{name: "nobody", to: "nobody@" + gw, what: "info", want: []string{"item-not-found"}},
		{name: "no such node", to: gw, what: "items", node: "films", want: []string{"item-not-found"}},
		{name: "one's own loans", to: gw, what: "items", node: loans, want: []string{"Hamlet"}},
		{name: "another's loans", from: "other@" + s.Host, to: gw, what: "items", node: loans, want: []string{"type='result'"}, not: []string{"Hamlet"}},
		{name: "what loans are", to: gw, what: "info", node: loans, want: []string{"Your loans"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.from == "" {
				tt.from = reader
			}
			node := ""
			if tt.node != "" {
				node = " node='" + tt.node + "'"
			}
			users.Send(`<iq id="1" type="get" from="` + tt.from + `/desk" to="` + tt.to + `"><query xmlns="http://jabber.org/protocol/disco#` + tt.what + `"` + node + `/></iq>`)
			got := users.Expect(xmpptest.Matching("an answer", func(stanza.Stanza) error { return nil })).String()
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("no %s in %s", want, got)
				}
			}
			for _, not := range tt.not {
				if strings.Contains(got, not) {
					t.Errorf("%s in %s", not, got)
				}
			}
		})
	}
}
