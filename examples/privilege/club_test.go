package main

import (
	"strings"
	"testing"

	"github.com/postern-im/postern/gateway"
	"github.com/postern-im/postern/internal/programtest"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmpptest"
)

var (
	_ gateway.Network    = (*Club)(nil)
	_ gateway.Privileged = (*Club)(nil)
	_ gateway.Durable    = (*Club)(nil)
)

// open runs the club behind a server until the test ends, and returns when the server has said what it grants.
func open(t *testing.T, addr, domain, secret string) {
	t.Helper()
	p := programtest.Start(t, []string{
		"POSTERN_COMPONENT_ADDRESS=" + addr, "POSTERN_COMPONENT_DOMAIN=" + domain, "POSTERN_COMPONENT_SECRET=" + secret,
		"POSTERN_DATABASE_URL=memory", "POSTERN_ADMIN_LISTEN=off",
	}, "run")
	p.Await("the server says what it grants")
}

func TestClub(t *testing.T) {
	for name, like := range map[string]xmpptest.Option{"prosody": xmpptest.LikeProsody(), "ejabberd": xmpptest.LikeEjabberd()} {
		t.Run(name, func(t *testing.T) {
			s := xmpptest.NewServer(t, like, xmpptest.WithPrivileges(xmpptest.Privileges{Roster: "both", Message: "outgoing"}),
				xmpptest.WithUser("juliet", "j"), xmpptest.WithUser("romeo", "r"))
			open(t, s.Addr, s.Domain, s.Secret)
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
