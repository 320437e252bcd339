//go:build integration

package delegation_test

import (
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/servertest"
	"github.com/postern-im/postern/xmltree"
	"github.com/postern-im/postern/xmpptest"
)

// servers delegate the namespace of notes, and Prosody also the items of accounts in service discovery.
var servers = servertest.Pool{Options: append(crowd(),
	servertest.WithProsodyConfig(`
VirtualHost "xmpp.test"
delegations = {
	["urn:test:note"] = { jid = "gateway.xmpp.test" };
	["urn:xmpp:delegation:2:bare:disco#items:*"] = { jid = "gateway.xmpp.test" };
}
`),
	servertest.WithEjabberdConfig(`
acl:
  gateway:
    server: gateway.xmpp.test
access_rules:
  gateway_only:
    allow: gateway
append_host_config:
  xmpp.test:
    modules:
      mod_delegation:
        namespaces:
          "urn:test:note":
            access: gateway_only
`))}

// crowd is many accounts.
func crowd() (options []servertest.Option) {
	for i := range 50 {
		options = append(options, servertest.WithAccount(fmt.Sprintf("crowd%02d", i), "p"))
	}
	return options
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(servers.Wrap(m)) }

// stock is an asker that nobody here wrote.
type stock struct{ *servertest.Client }

func (c stock) address() string { return c.JID }

func (c stock) ask(t *testing.T, typ, to, payload string) xmltree.Element {
	t.Helper()
	answer := c.IQ(t, typ, to, payload)
	el, err := xmltree.Parse([]byte("<r xmlns='jabber:client'>"+answer+"</r>"), xmltree.Limits{})
	if err != nil {
		t.Fatalf("%v in %s", err, answer)
	}
	for c := range el.Children() {
		return c
	}
	t.Fatalf("no answer in %q", answer)
	return el
}

// TestRealServers is what happens between real servers, their users and a component that handles a namespace for them.
func TestRealServers(t *testing.T) {
	servers.Each(t, func(t *testing.T, s *servertest.Server) {
		other := s.NewComponent(t)
		runBehaviours(t, env{
			prosody: s.Kind == servertest.KindProsody, host: s.Host,
			addr: s.Gateway.Addr, domain: s.Gateway.Domain, secret: s.Gateway.Secret,
			alice: stock{s.Client(t, "test")}, bob: stock{s.Client(t, "user2")},
			crowd: func(t *testing.T, n int) []*xmpptest.User {
				var users []*xmpptest.User
				for i := range n {
					name := fmt.Sprintf("crowd%02d", i)
					users = append(users, xmpptest.SignIn(t, s.C2STLS, s.TLSConfig(), name, "p"))
				}
				return users
			},
			stranger: component.Config{Addr: other.Addr, Domain: jid.MustParse(other.Domain), Secret: component.Secret(other.Secret)},
		})
	})
}
