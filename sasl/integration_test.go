//go:build integration

package sasl_test

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/servertest"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

var servers servertest.Pool

func TestMain(m *testing.M) { goleak.VerifyTestMain(servers.Wrap(m)) }

// username is who signs in.
const username = "roman"

const (
	nsSASL  = "urn:ietf:params:xml:ns:xmpp-sasl"
	nsSASL2 = "urn:xmpp:sasl:2"
	nsCB    = "urn:xmpp:sasl-cb:0"
	nsFAST  = "urn:xmpp:fast:0"
)

// connection is a stream over direct TLS, up to the features.
type connection struct {
	t        *testing.T
	conn     *tls.Conn
	p        *xmltree.Parser
	features xmltree.Element
	channel  sasl.Channel
}

func connect(t *testing.T, s *servertest.Server, version uint16) *connection {
	t.Helper()
	return connectTo(t, s, s.Host, username, version)
}

// connectTo is connect for an account of any host of the server.
func connectTo(t *testing.T, s *servertest.Server, host, user string, version uint16) *connection {
	t.Helper()
	config := s.TLSConfig()
	config.ServerName = host
	config.MinVersion, config.MaxVersion = version, version
	conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", s.C2STLS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &connection{t: t, conn: conn.(*tls.Conn), p: xmltree.NewParser(xmltree.Config{ContentNS: stanza.NS, ContentAs: stanza.NS})}
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	state := c.conn.ConnectionState()
	c.channel = sasl.NewChannel(&state, true)
	c.write(string(xmlstream.Header{Content: stanza.NS, To: host, From: user + "@" + host, Version: "1.0"}.Append(nil)))
	if tok := c.next(); tok != xmltree.TokenOpen {
		t.Fatal("no stream header")
	}
	c.features = c.element()
	return c
}

func (c *connection) write(text string) {
	c.t.Helper()
	if _, err := c.conn.Write([]byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *connection) next() xmltree.Token {
	c.t.Helper()
	for {
		tok, err := c.p.Next()
		if err != nil {
			c.t.Fatal(err)
		}
		if tok != xmltree.TokenNone {
			return tok
		}
		if n, err := c.p.Fill(c.conn); n == 0 && err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *connection) element() xmltree.Element {
	c.t.Helper()
	if tok := c.next(); tok != xmltree.TokenElement {
		c.t.Fatal("the stream ends")
	}
	return c.p.Element().Clone()
}

// offer reads the features.
func (c *connection) offer(protocol sasl.Protocol) sasl.Offer {
	o := sasl.Offer{Protocol: protocol}
	list, ok := c.features.Child(nsSASL, "mechanisms")
	if protocol == sasl.SASL2 {
		list, ok = c.features.Child(nsSASL2, "authentication")
	}
	if !ok {
		c.t.Fatalf("no mechanisms in %s", c.features)
	}
	for m := range list.Children() {
		if m.Name().Local == "mechanism" {
			o.Mechanisms = append(o.Mechanisms, m.Text())
		}
	}
	if types, ok := c.features.Child(nsCB, "sasl-channel-binding"); ok {
		for b := range types.Children() {
			o.Bindings = append(o.Bindings, b.Attr("type"))
		}
	}
	if inline, ok := list.Child(nsSASL2, "inline"); ok {
		if fast, ok := inline.Child(nsFAST, "fast"); ok {
			for m := range fast.Children() {
				o.FAST = append(o.FAST, m.Text())
			}
		}
	}
	return o
}

// signIn carries an exchange out. extra goes into <authenticate/>.
func (c *connection) signIn(protocol sasl.Protocol, choice sasl.Choice, extra string) (xmltree.Element, error) {
	c.t.Helper()
	m, err := choice.New()
	if err != nil {
		c.t.Fatal(err)
	}
	initial, err := m.Start()
	if err != nil {
		c.t.Fatal(err)
	}
	text := base64.StdEncoding.EncodeToString(initial)
	space := nsSASL
	if protocol == sasl.SASL2 {
		space = nsSASL2
		c.write(fmt.Sprintf("<authenticate xmlns='%s' mechanism='%s'><initial-response>%s</initial-response>%s</authenticate>", space, m.Name(), text, extra))
	} else {
		c.write(fmt.Sprintf("<auth xmlns='%s' mechanism='%s'>%s</auth>", space, m.Name(), text))
	}
	for {
		el := c.element()
		content := el.Text()
		if protocol == sasl.SASL2 && el.Is(space, "success") {
			data, _ := el.Child(space, "additional-data")
			content = data.Text()
		}
		data, err := base64.StdEncoding.DecodeString(content)
		switch {
		case el.Is(space, "failure"):
			for condition := range el.Children() {
				return el, sasl.ParseCondition(condition.Name().Local)
			}
		case err != nil:
			c.t.Fatal(err)
		case el.Is(space, "challenge"):
			answer, err := m.Next(c.t.Context(), data)
			if err != nil {
				return el, err
			}
			c.write(fmt.Sprintf("<response xmlns='%s'>%s</response>", space, base64.StdEncoding.EncodeToString(answer)))
		case el.Is(space, "success"):
			return el, m.Done(data)
		default:
			c.t.Fatalf("%s", el)
		}
	}
}

func choose(t *testing.T, offer sasl.Offer, channel sasl.Channel, credentials sasl.Credentials, policy sasl.Policy) sasl.Choice {
	t.Helper()
	choice, err := sasl.Choose(offer, channel, credentials, policy)
	if err != nil {
		t.Fatal(err)
	}
	return choice
}

// TestRealSignIn signs in to each server with each type of channel binding that both ends have, by both protocols, over both
// versions of TLS. Each server confirms its offer, and each exchange but those with PLAIN ends with the server's proof.
func TestRealSignIn(t *testing.T) {
	servers.Each(t, func(t *testing.T, s *servertest.Server) {
		s.Register(t, username, "IXa")
		roman := sasl.Credentials{Username: username, Domain: s.Host, Password: sasl.NewSecret("\u2168\u00aa")}
		cache := sasl.NewKeyCache(0)
		policy := sasl.Policy{Cache: cache}
		for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
			for protocol, space := range map[sasl.Protocol]string{sasl.SASL1: "SASL1", sasl.SASL2: "SASL2"} {
				t.Run(name+" "+space, func(t *testing.T) {
					c := connect(t, s, version)
					tried := 0
					for _, b := range append(c.channel.Bindings, sasl.Binding{Type: "nothing in common"}) {
						c := connect(t, s, version)
						offer := c.offer(protocol)
						switch at := slices.IndexFunc(c.channel.Bindings, func(o sasl.Binding) bool { return o.Type == b.Type }); {
						case at < 0:
							c.channel.Bindings = nil // new rule 6 of XEP-0474
						case !slices.Contains(offer.Bindings, b.Type):
							continue
						default:
							c.channel.Bindings = c.channel.Bindings[at : at+1]
						}
						choice := choose(t, offer, c.channel, roman, policy)
						if at := c.channel.Bindings; len(at) == 1 && choice.Binding != at[0].Type || len(at) == 0 && !choice.NeedHash {
							t.Errorf("%v of %v", choice, offer)
						}
						if _, err := c.signIn(protocol, choice, agent); err != nil {
							t.Errorf("%v: %v", choice, err)
						}
						tried++
						t.Log(choice)
					}
					if tried < 3 || cache.Len() != 1 {
						t.Errorf("%d sign-ins, %v", tried, cache)
					}
				})
				t.Run(name+" "+space+" refused", func(t *testing.T) {
					c := connect(t, s, version)
					wrong := roman
					wrong.Password = sasl.NewSecret("ix")
					_, err := c.signIn(protocol, choose(t, c.offer(protocol), c.channel, wrong, policy), agent)
					if !errors.Is(err, sasl.NotAuthorized) {
						t.Errorf("wrong password: %v", err)
					}
					c = connect(t, s, version)
					offer := c.offer(protocol)
					offer.Mechanisms = append(offer.Mechanisms, "SCRAM-SHA3-512")
					if _, err = c.signIn(protocol, choose(t, offer, c.channel, roman, policy), agent); !errors.Is(err, sasl.ErrDowngrade) {
						t.Errorf("an offer that is not the server's: %v", err)
					}
				})
			}
		}
		t.Run("PLAIN", func(t *testing.T) {
			c := connect(t, s, tls.VersionTLS13)
			choice := choose(t, c.offer(sasl.SASL1), c.channel, roman, sasl.Policy{AllowPlain: true, Mechanisms: []string{"PLAIN"}})
			if _, err := c.signIn(sasl.SASL1, choice, ""); err != nil {
				t.Error(err)
			}
		})
		t.Run("token", func(t *testing.T) {
			c := connect(t, s, tls.VersionTLS13)
			offer := c.offer(sasl.SASL2)
			mechanism := sasl.ChooseToken(offer, c.channel, policy)
			request := agent + "<request-token xmlns='" + nsFAST + "' mechanism='" + mechanism + "'/>"
			success, err := c.signIn(sasl.SASL2, choose(t, offer, c.channel, roman, policy), request)
			if err != nil {
				t.Fatal(err)
			}
			token, ok := success.Child(nsFAST, "token")
			if !ok {
				t.Fatalf("no token for %q in %s", mechanism, success)
			}
			owner := sasl.Credentials{Username: username, Token: sasl.NewSecret(token.Attr("token")), TokenFor: mechanism}
			c = connect(t, s, tls.VersionTLS13)
			choice := choose(t, c.offer(sasl.SASL2), c.channel, owner, policy)
			if _, err := c.signIn(sasl.SASL2, choice, agent+"<fast xmlns='"+nsFAST+"'/>"); err != nil || !choice.IsToken() {
				t.Errorf("%v: %v", choice, err)
			}
			t.Log(choice)
			owner.Token = sasl.NewSecret("another")
			c = connect(t, s, tls.VersionTLS13)
			var refused sasl.Condition
			if _, err := c.signIn(sasl.SASL2, choose(t, c.offer(sasl.SASL2), c.channel, owner, policy), agent+"<fast xmlns='"+nsFAST+"'/>"); !errors.As(err, &refused) {
				t.Errorf("another token: %v", err)
			}
		})
	})
}
