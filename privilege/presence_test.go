package privilege_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/privilege"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

func grantPresence(typ string) string {
	return "<privilege xmlns='urn:xmpp:privilege:2'><perm access='roster' type='get'/><perm access='presence' type='" + typ + "'/></privilege>"
}

func pres(from, attrs, content string) string {
	return fmt.Sprintf("<presence from='%s' to='gateway.localhost' %s>%s</presence>", from, attrs, content)
}

// TestK19_Presence sends presence that is, and that is not, what a server sends by its grant.
func TestK19_Presence(t *testing.T) {
	for name, c := range map[string]struct {
		grant, xml string
		want       string // what is told
		sessions   int    // of juliet
	}{
		"a user":                        {"managed_entity", pres("juliet@localhost/balcony", "", "<show>chat</show>"), "juliet@localhost/balcony managed ", 1},
		"a user who leaves":             {"managed_entity", pres("juliet@localhost/balcony", "type='unavailable'", ""), "juliet@localhost/balcony managed unavailable", 0},
		"a user, where all are granted": {"roster", pres("juliet@localhost/balcony", "", ""), "juliet@localhost/balcony managed ", 1},
		"a contact":                     {"roster", pres("romeo@montague.net/orchard", "", ""), "romeo@montague.net/orchard contact ", 0},
		"a contact, not granted":        {"managed_entity", pres("romeo@montague.net/orchard", "", ""), "", 0},
		"a user, not granted":           {"none", pres("juliet@localhost/balcony", "", ""), "", 0},
		"a bare address":                {"roster", pres("juliet@localhost", "", ""), "", 0},
		"the server's domain":           {"managed_entity", pres("localhost/x", "", ""), "", 0},
		"a subscription":                {"roster", pres("juliet@localhost/balcony", "type='subscribe'", ""), "", 0},
		"a probe":                       {"roster", pres("juliet@localhost/balcony", "type='probe'", ""), "", 0},
		"an error":                      {"roster", pres("juliet@localhost/balcony", "type='error'", ""), "", 0},
		"ourselves":                     {"roster", pres("x@gateway.localhost/y", "", ""), "", 0},
		"to a contact of ours":          {"roster", strings.Replace(pres("juliet@localhost/balcony", "", ""), "to='", "to='x@", 1), "", 0},
	} {
		for _, early := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, early %v", name, early), func(t *testing.T) {
				handled := 0
				s := newStream(t, offline{}, privilege.Config{}, router.HandleAnyPresence(func(context.Context, *stanza.Presence) error {
					handled++
					return nil
				}))
				var told []string
				s.m.OnPresence(func(_ context.Context, p privilege.PresenceChange) {
					who := map[bool]string{true: "managed", false: "contact"}[p.Managed]
					told = append(told, fmt.Sprintf("%s %s %s", p.From, who, p.Presence.Type))
				})
				if early {
					s.receive(t.Context(), c.xml)
					if len(told) != 0 || len(s.m.Sessions(jid.MustParse("juliet@localhost"))) != 0 {
						t.Errorf("told before anything was granted: %q", told)
					}
				}
				s.receive(t.Context(), advert("localhost", grantPresence(c.grant)))
				if !early {
					s.receive(t.Context(), c.xml)
				}
				want := c.want
				if early && strings.HasSuffix(want, "unavailable") {
					want = "" // nobody was told that she was there
				}
				if got := strings.Join(told, ", "); got != want {
					t.Errorf("told %q, want %q", got, want)
				}
				if n := len(s.m.Sessions(jid.MustParse("juliet@localhost"))); n != c.sessions {
					t.Errorf("%d sessions", n)
				}
				if want := map[bool]int{true: 0, false: 1}[name == "an error"]; handled != want { // which no handler gets unless it asks
					t.Errorf("the gateway's own handler ran %d times", handled)
				}
			})
		}
	}
}

func TestK19_Sessions(t *testing.T) {
	s := newStream(t, offline{}, privilege.Config{})
	juliet := jid.MustParse("Juliet@LOCALHOST/whatever")
	session, end := context.WithCancel(t.Context())
	s.receive(session, advert("localhost", grantPresence("roster")))
	s.receive(session, pres("juliet@localhost/b", "", "<show>dnd</show><status>"+strings.Repeat("é", 1000)+"</status><priority>-3</priority>"))
	s.receive(session, pres("juliet@localhost/a", "", ""))
	s.receive(session, pres("juliet@localhost/a", "", "<show>away</show>"))
	all := s.m.Sessions(juliet)
	if len(all) != 2 || all[0].JID.Resource() != "a" || all[0].Show != stanza.ShowAway || all[1].Show != stanza.ShowDND || all[1].Priority != -3 {
		t.Fatalf("sessions %+v", all)
	}
	if n := len(all[1].Status); n != 1024 || !strings.HasSuffix(all[1].Status, "é") {
		t.Errorf("a status of %d bytes", n)
	}
	// What was granted to be known is known no more.
	s.receive(session, advert("localhost", grantPresence("none")))
	if all := s.m.Sessions(juliet); len(all) != 0 {
		t.Errorf("sessions %+v", all)
	}
	s.receive(session, advert("localhost", grantPresence("managed_entity")))
	if all := s.m.Sessions(juliet); len(all) != 0 {
		t.Errorf("sessions %+v", all)
	}
	s.receive(session, pres("juliet@localhost/a", "", ""))
	end()
	if all := s.m.Sessions(juliet); len(all) != 0 {
		t.Errorf("when the stream has ended: %+v", all)
	}
	s.receive(session, pres("juliet@localhost/late", "", ""))
	next := t.Context()
	s.receive(next, advert("localhost", grantPresence("managed_entity")))
	s.receive(next, pres("juliet@localhost/new", "", ""))
	if all := s.m.Sessions(juliet); len(all) != 1 || all[0].JID.Resource() != "new" {
		t.Errorf("on the next stream: %+v", all)
	}
}

// TestPresenceIsBounded floods the gateway with the presence of strangers, before and after a server grants it.
func TestPresenceIsBounded(t *testing.T) {
	count := func(s *stream, users int, domain string) (n int) {
		for i := range users {
			n += len(s.m.Sessions(jid.MustParse(fmt.Sprintf("u%d@%s", i, domain))))
		}
		return n
	}
	flood := func(s *stream, users, each int, domain string) {
		var b strings.Builder
		for i := range users {
			for j := range each {
				b.WriteString(pres(fmt.Sprintf("u%d@%s/%d", i, domain, j), "", ""))
			}
		}
		s.receive(t.Context(), b.String())
	}
	for _, early := range []bool{false, true} {
		s := newStream(t, offline{}, privilege.Config{MaxSessions: 100})
		if !early {
			s.receive(t.Context(), advert("localhost", grantPresence("roster")))
		}
		flood(s, 300, 1, "evil.example")
		s.receive(t.Context(), advert("localhost", grantPresence("roster")))
		if n := count(s, 300, "evil.example"); n != 50 {
			t.Errorf("early %v: %d sessions of strangers", early, n)
		}
		flood(s, 300, 1, "localhost")
		if n := count(s, 300, "localhost"); n != 50 {
			t.Errorf("early %v: %d sessions of users", early, n)
		}
		if st := s.m.Stats(); st.SessionsLost != 500 {
			t.Errorf("early %v: %d lost", early, st.SessionsLost)
		}
	}
	s := newStream(t, offline{}, privilege.Config{})
	s.receive(t.Context(), advert("localhost", grantPresence("roster")))
	flood(s, 1, 200, "localhost")
	if n := count(s, 1, "localhost"); n != 100 {
		t.Errorf("%d sessions of one user", n)
	}
}
