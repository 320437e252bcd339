//go:build integration

package sasl_test

import (
	"crypto/tls"
	"slices"
	"testing"

	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/servertest"
)

// offers is what the host with plain passwords has; the client's own types of channel binding are all of them but for tls-unique on
// TLS 1.3.
type offers struct {
	hashes, bindings, tokens []string
}

func offered(kind servertest.Kind, version uint16) offers {
	const exporter, unique, certificate = sasl.TLSExporter, sasl.TLSUnique, sasl.TLSServerEndPoint
	if kind == servertest.KindEjabberd {
		return offers{
			[]string{"SHA-1", "SHA-256", "SHA-512"}, map[uint16][]string{
				tls.VersionTLS12: {exporter, unique, certificate}, tls.VersionTLS13: {exporter, certificate},
			}[version], map[uint16][]string{ // it offers UNIQ on TLS 1.3 as well, where there is no such binding
				tls.VersionTLS12: {"EXPR", "UNIQ", "ENDP", "NONE"}, tls.VersionTLS13: {"EXPR", "ENDP", "NONE"},
			}[version],
		}
	}
	return offers{
		[]string{"SHA-1", "SHA-256"}, map[uint16][]string{
			tls.VersionTLS12: {unique, certificate}, tls.VersionTLS13: {exporter, certificate},
		}[version], map[uint16][]string{
			tls.VersionTLS12: {"UNIQ", "NONE"}, tls.VersionTLS13: {"EXPR", "NONE"},
		}[version],
	}
}

// TestRealMatrix signs in with each hash of SCRAM, bound by each type of channel binding and by none, by both protocols over both versions
// of TLS; and with a token for each mechanism of XEP-0484. What a server lacks it is seen not to offer.
func TestRealMatrix(t *testing.T) {
	servertest.Each(t, func(t *testing.T, s *servertest.Server) {
		cache := sasl.NewKeyCache(0)
		for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
			has := offered(s.Kind, version)
			for protocol, space := range map[sasl.Protocol]string{sasl.SASL1: "SASL1", sasl.SASL2: "SASL2"} {
				for _, hash := range []string{"SHA-1", "SHA-256", "SHA-512"} {
					for _, binding := range []string{"", sasl.TLSExporter, sasl.TLSUnique, sasl.TLSServerEndPoint} {
						t.Run("SCRAM-"+hash+" "+binding+" "+name+" "+space, func(t *testing.T) {
							there := slices.Contains(has.hashes, hash) && (binding == "" || slices.Contains(has.bindings, binding))
							matrixSCRAM(t, s, version, protocol, hash, binding, there, cache)
						})
					}
				}
			}
			for _, kind := range []string{"EXPR", "UNIQ", "ENDP", "NONE"} {
				t.Run("HT-SHA-256-"+kind+" "+name, func(t *testing.T) {
					matrixToken(t, s, version, "HT-SHA-256-"+kind, slices.Contains(has.tokens, kind), cache)
				})
			}
		}
	}, servertest.WithPlainHost())
}

func matrixUser() sasl.Credentials {
	return sasl.Credentials{Username: "test", Domain: servertest.PlainHost, Password: sasl.NewSecret("test")}
}

const agent = "<user-agent xmlns='" + nsSASL2 + "' id='d4565fa7-4d72-4749-b3d3-740edbf87770'/>"

func matrixSCRAM(t *testing.T, s *servertest.Server, version uint16, protocol sasl.Protocol, hash, binding string, there bool, cache *sasl.KeyCache) {
	t.Helper()
	c := connectTo(t, s, servertest.PlainHost, matrixUser().Username, version)
	offer := c.offer(protocol)
	policy := sasl.Policy{Cache: cache, IgnoreBinding: binding == ""}
	mechanism := "SCRAM-" + hash
	if binding != "" {
		mechanism += "-PLUS"
		c.channel.Bindings = slices.DeleteFunc(c.channel.Bindings, func(b sasl.Binding) bool { return b.Type != binding })
	}
	if !there {
		if slices.Contains(offer.Mechanisms, mechanism) && slices.Contains(offer.Bindings, binding) && len(c.channel.Bindings) > 0 {
			t.Errorf("there it is, after all: %v, %v", offer.Mechanisms, offer.Bindings)
		}
		return
	}
	policy.Mechanisms = []string{mechanism}
	choice := choose(t, offer, c.channel, matrixUser(), policy)
	if choice.Mechanism != mechanism || choice.Binding != binding {
		t.Errorf("%v", choice)
	}
	if _, err := c.signIn(protocol, choice, agent); err != nil {
		t.Error(err)
	}
}

func matrixToken(t *testing.T, s *servertest.Server, version uint16, mechanism string, there bool, cache *sasl.KeyCache) {
	t.Helper()
	connect := func() *connection { return connectTo(t, s, servertest.PlainHost, matrixUser().Username, version) }
	c := connect()
	offer := c.offer(sasl.SASL2)
	policy := sasl.Policy{Cache: cache, AllowUnboundToken: true}
	if !there {
		binding, _ := sasl.TokenBinding(mechanism)
		ours := slices.ContainsFunc(c.channel.Bindings, func(b sasl.Binding) bool { return b.Type == binding })
		if slices.Contains(offer.FAST, mechanism) && ours {
			t.Errorf("there it is, after all: %v", offer.FAST)
		}
		return
	}
	request := agent + "<request-token xmlns='" + nsFAST + "' mechanism='" + mechanism + "'/>"
	success, err := c.signIn(sasl.SASL2, choose(t, offer, c.channel, matrixUser(), policy), request)
	if err != nil {
		t.Fatal(err)
	}
	token, ok := success.Child(nsFAST, "token")
	if !ok {
		t.Fatalf("no token in %s", success)
	}
	owner := sasl.Credentials{Username: "test", Domain: servertest.PlainHost, Token: sasl.NewSecret(token.Attr("token")), TokenFor: mechanism}
	c = connect()
	choice := choose(t, c.offer(sasl.SASL2), c.channel, owner, policy)
	if _, err := c.signIn(sasl.SASL2, choice, agent+"<fast xmlns='"+nsFAST+"'/>"); err != nil || choice.Mechanism != mechanism {
		t.Errorf("%v: %v", choice, err)
	}
}
