package main

import (
	"context"
	"strings"
	"testing"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/gateway"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/privilege"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/ping"
	"github.com/postern-im/postern/xmpptest"
)

var (
	_ gateway.Network    = (*Club)(nil)
	_ gateway.Privileged = (*Club)(nil)
)

// open runs the club behind a server until the test ends.
func open(t *testing.T, addr, domain, secret, server string) {
	t.Helper()
	us := jid.MustParse(domain)
	c, err := component.New(component.Config{Addr: addr, Domain: us, Secret: component.Secret(secret)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := privilege.New(privilege.Config{JID: us, Servers: []jid.JID{jid.MustParse(server)}}, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.OnState(func(s component.State) { m.Stream(s.Phase == component.PhaseOnline) })
	club := new(Club)
	club.UseDomain(us)
	club.UsePrivilege(m)
	routes := append(m.Routes(), ping.Routes()...)
	r, err := router.New(router.Config{Routes: append(routes, club.Routes(c)...), Middleware: []router.Middleware{m.Middleware()}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Serve(ctx, r) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestClub(t *testing.T) {
	for name, like := range map[string]xmpptest.Option{"prosody": xmpptest.LikeProsody(), "ejabberd": xmpptest.LikeEjabberd()} {
		t.Run(name, func(t *testing.T) {
			s := xmpptest.NewServer(t, like, xmpptest.WithPrivileges(xmpptest.Privileges{Roster: "both", Message: "outgoing"}),
				xmpptest.WithUser("juliet", "j"), xmpptest.WithUser("romeo", "r"))
			open(t, s.Addr, s.Domain, s.Secret, s.Host)
			s.Component(s.Domain).Connected()
			juliet, romeo := s.User(t, "juliet", "j"), s.User(t, "romeo", "r")
			romeo.Send("<presence/>")
			romeo.Next()

			juliet.Send("<message to='" + s.Domain + "' type='chat' id='1'><body>let me in</body></message>")
			if got := juliet.Next().String(); !strings.Contains(got, "Say: invite") {
				t.Errorf("got %s", got)
			}
			juliet.Send("<message to='" + s.Domain + "' type='chat' id='2'><body>invite romeo@localhost/orchard</body></message>")
			got := romeo.Next()
			if got.Attr("from") != "juliet@localhost" || !strings.Contains(got.String(), "<body>Come to the club: "+s.Domain+"</body>") {
				t.Errorf("got %s", got)
			}
			roster := juliet.Ask("<iq type='get'><query xmlns='jabber:iq:roster'/></iq>").String()
			if !strings.Contains(roster, "<item jid='"+s.Domain+"' name='The club' subscription='none'/>") {
				t.Errorf("roster %s", roster)
			}

			// Of other servers' users we are not to be the hands.
			side := s.Component(s.Domain)
			side.Clear()
			side.Send("<message from='juliet@elsewhere.example/x' to='" + s.Domain + "' type='chat' id='3'><body>invite romeo@localhost</body></message>")
			refused := side.Expect(xmpptest.Kind(stanza.KindMessage, "error")).String()
			if !strings.Contains(refused, "<not-allowed ") || strings.Contains(refused, "privileged_entities") {
				t.Errorf("got %s", refused)
			}
		})
	}
}
