package main

import (
	"context"
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
func serve(t *testing.T, domain, secret, addr string) {
	t.Helper()
	cfg := app.Defaults()
	cfg.Component.Domain = jid.Strict{JID: jid.MustParse(domain)}
	cfg.Component.Secret = component.Secret(secret)
	cfg.Component.Address = addr
	cfg.Admin.Listen = "off"
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- app.Serve(ctx, app.Params{Config: cfg, Network: Echo{}, Name: "echo", Version: "1"}) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestEcho(t *testing.T) {
	s := xmpptest.NewServer(t)
	serve(t, s.Domain, s.Secret, s.Addr)
	users := s.Component(s.Domain)
	me, gw := "test@"+s.Host+"/desk", s.Domain
	for _, tt := range []struct{ name, send, want string }{
		{
			"chat",
			`<message from="` + me + `" to="anybody@` + gw + `" type="chat"><body>hello</body></message>`,
			`<message to="` + me + `" from="anybody@` + gw + `" type="chat"><body>hello</body></message>`,
		},
		{
			"two languages and a thread",
			`<message from="` + me + `" to="` + gw + `" type="normal"><subject>s</subject><body>hello</body><body xml:lang="de">hallo</body><thread>t</thread></message>`,
			`<message to="` + me + `" from="` + gw + `"><subject>s</subject><body>hello</body><body xml:lang="de">hallo</body><thread>t</thread></message>`,
		},
		{
			"a resource",
			`<message from="` + me + `" to="anybody@` + gw + `/there" type="chat"><body>&lt;&amp;</body></message>`,
			`<message to="` + me + `" from="anybody@` + gw + `/there" type="chat"><body>&lt;&amp;</body></message>`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			users.Send(tt.send)
			users.ExpectXML(tt.want)
		})
	}
	t.Run("silence", func(t *testing.T) {
		users.Send(`<message from="` + me + `" to="` + gw + `" type="chat"><composing xmlns="http://jabber.org/protocol/chatstates"/></message>`)
		users.ExpectNone()
		users.Send(`<message from="` + me + `" to="` + gw + `" type="error"><body>hello</body><error type="cancel"><gone xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>`)
		users.ExpectNone()
		users.Send(`<message from="` + me + `" to="` + gw + `" type="headline"><body>news</body></message>`)
		users.ExpectNone()
	})
	t.Run("identity", func(t *testing.T) {
		users.Send(`<iq id="1" type="get" from="` + me + `" to="` + gw + `"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>`)
		users.Expect(xmpptest.Kind(stanza.KindIQ, "result"))
	})
}
