//go:build integration

package privilege_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/servertest"
)

// servers grant their gateway everything. They are shared, so each test has users of its own.
var servers = servertest.Pool{Options: []servertest.Option{
	servertest.WithProsodyConfig(prosodyGrants("gateway.xmpp.test")),
	servertest.WithEjabberdConfig(ejabberdGrants),
}}

func TestMain(m *testing.M) { goleak.VerifyTestMain(servers.Wrap(m)) }

func prosodyGrants(domain string) string {
	return fmt.Sprintf(`
		VirtualHost "xmpp.test"
		privileged_entities = { [%q] = {
			roster = "both"; message = "outgoing"; presence = "roster";
			iq = { ["jabber:iq:private"] = "both"; ["jabber:iq:version"] = "get"; ["vcard-temp"] = "get" };
		} }
	`, domain)
}

const ejabberdGrants = `
acl:
  gateway:
    server: gateway.xmpp.test
access_rules:
  gateway_only:
    allow: gateway
append_host_config:
  xmpp.test:
    modules:
      mod_privilege:
        roster:
          both: gateway_only
        message:
          outgoing: gateway_only
        presence:
          roster: gateway_only
        iq:
          "jabber:iq:private":
            both: gateway_only
          "jabber:iq:version":
            get: gateway_only
          "vcard-temp":
            get: gateway_only
`

var accounts atomic.Int64

// register makes an account of the test's own.
func register(t *testing.T, s *servertest.Server) (user string) {
	t.Helper()
	user = "u" + strconv.FormatInt(accounts.Add(1), 10)
	s.Register(t, user, "secret")
	return user
}

// mailbox is a client of the peer.
type mailbox struct{ c *servertest.Client }

func (m mailbox) next(t *testing.T) (from, id, body string) {
	t.Helper()
	e := m.c.Await(t, "a message", func(e servertest.Event) bool {
		return e.Kind == "message" && e.Body != "" // Prosody tells clients what they are granted, too
	})
	return e.From, e.ID, e.Body
}

type stock struct{ c *servertest.Client }

func (s stock) jid() string       { return s.c.JID }
func (s stock) away(t *testing.T) { s.c.SendShow(t, "away") }
func (s stock) leave(t *testing.T) {
	s.c.SendPresence(t, "", "unavailable")
}

func TestRealServers(t *testing.T) {
	servers.Each(t, func(t *testing.T, s *servertest.Server) {
		runBehaviours(t, func(t *testing.T) env {
			user, peer := register(t, s), register(t, s)
			return env{
				kind: string(s.Kind), user: user + "@" + s.Host, peer: peer + "@" + s.Host,
				place:   place{addr: s.Gateway.Addr, domain: s.Gateway.Domain, secret: s.Gateway.Secret, host: s.Host},
				echoes:  s.Kind == servertest.KindEjabberd && older(s.Version, "25.03"),
				replays: s.Kind == servertest.KindProsody,
				listen:  func(t *testing.T) inbox { return mailbox{s.Client(t, peer)} },
				login:   func(t *testing.T) session { return stock{s.Client(t, user)} },
				// Not even a server that grants the same again is taken at the word of its last stream.
				ungrant: func(t *testing.T) { s.Stop(t) },
				grant:   func(t *testing.T) { s.Start(t) },
			}
		})
	})
}

// older reports whether a version is before another one.
func older(version, than string) bool {
	number := func(s string) (n []int) {
		for part := range strings.SplitSeq(s, ".") {
			i, _ := strconv.Atoi(part)
			n = append(n, i)
		}
		return n
	}
	return slices.Compare(number(version), number(than)) < 0
}
