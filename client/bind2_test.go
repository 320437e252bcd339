package client_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/internal/xmppserver"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

const nsCarbons = "urn:xmpp:carbons:2"

// testBeginning has sessions begin with copies, along with binding, where the server can do that, and as such that nobody uses.
func testBeginning(t *testing.T, e env) {
	for name, one := range map[string]bool{"along with binding": false, "after it": true} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			asked := false
			in := newInbox()
			cfg := e.account("test")
			cfg.NoSASL2, cfg.Carbons, cfg.Presence = one, true, &stanza.Presence{} // ejabberd copies for who is available
			cfg.WireLog = func(dir client.Direction, xml []byte) {
				mu.Lock()
				defer mu.Unlock()
				asked = asked || dir == client.Out && bytes.Contains(xml, []byte(nsCarbons))
			}
			serve(t, cfg, in.handle).online()
			cfg.Carbons, cfg.Inactive, cfg.WireLog = false, true, nil
			other := serve(t, cfg, ignore).online()
			b := serve(t, e.account("user2"), ignore).online()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for copied := false; !copied; { // after it: when the server has read the question
				if err := other.Send(ctx, message(b.JID(), "copied")); err != nil {
					t.Fatal(err)
				}
				select {
				case s := <-in.ch:
					m, ok := s.(*stanza.Message)
					copied = ok && slices.ContainsFunc(m.Payloads, func(p stanza.Payload) bool {
						return p.PayloadName().Space == nsCarbons && p.PayloadName().Local == "sent"
					})
				case <-time.After(100 * time.Millisecond):
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if asked != one {
				t.Errorf("asked after binding: %v", asked)
			}
		})
	}
}

// TestA15_Inline has all that can be had along with Bind 2 from a server that offers it, in one turn, and no part of it from one that does
// not offer that part.
func TestA15_Inline(t *testing.T) {
	for kind, policy := range map[string]xmppserver.Policy{"prosody": xmppserver.Prosody(), "ejabberd": xmppserver.Ejabberd()} {
		t.Run(kind, func(t *testing.T) {
			s, err := xmppserver.New(xmppserver.Config{
				Domain: "xmpp.test", Policy: policy, SASL2: true, FAST: true, StreamManagement: true,
				Listen: xmppserver.Listen{ClientTLS: "127.0.0.1:0"},
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.AddUser("test", "test"); err != nil {
				t.Fatal(err)
			}
			cfg := env{host: "xmpp.test", addr: s.ClientTLSAddr(), tls: s.ClientTLS()}.account("test")
			cfg.DirectTLS, cfg.UserAgent, cfg.Carbons, cfg.Inactive = true, agent(), true, true
			cfg.StreamManagement.Off = true // or the server may ask, and be answered, before the turns are looked at
			turns := countTurns(&cfg)
			c := serve(t, cfg, ignore)
			inactive := func() {
				t.Helper()
				for tries := 0; !s.Inactive("test", c.JID().Resource()); tries++ {
					if err := c.Barrier(t.Context()); err != nil || tries == 1000 {
						t.Fatalf("not inactive: %v", err)
					}
				}
			}
			_, n := c.await(0, client.PhaseOnline)
			turns.cut()
			_, n = c.await(n, client.PhaseOnline)
			if got := turns.online(1); policy.BindStates && got != 1 {
				t.Errorf("%d turns", got)
			}
			inactive()
			if err := c.SetActive(t.Context(), true); err != nil {
				t.Fatal(err)
			}
			if err := c.Barrier(t.Context()); err != nil || s.Inactive("test", c.JID().Resource()) {
				t.Errorf("still inactive: %v", err)
			}
			turns.cut() // a new session is what it was configured to be
			c.await(n, client.PhaseOnline)
			inactive()
		})
	}
}

// TestA15_OnlyWhatIsOffered looks at the element bind itself.
func TestA15_OnlyWhatIsOffered(t *testing.T) {
	const offer = "<authentication xmlns='urn:xmpp:sasl:2'><mechanism>PLAIN</mechanism><inline><bind xmlns='urn:xmpp:bind:0'>%s</bind></inline></authentication>"
	const sm, carbons, csi = "<feature var='urn:xmpp:sm:3'/>", "<feature var='urn:xmpp:carbons:2'/>", "<feature var='urn:xmpp:csi:0'/>"
	for name, c := range map[string]struct {
		inline string
		want   []string
	}{
		"nothing":         {"", nil},
		"an empty list":   {"<inline/>", nil},
		"one":             {"<inline>" + carbons + "</inline>", []string{"urn:xmpp:carbons:2 enable"}},
		"all":             {"<inline>" + csi + carbons + sm + "</inline>", []string{"urn:xmpp:sm:3 enable", "urn:xmpp:carbons:2 enable", "urn:xmpp:csi:0 inactive"}},
		"something else":  {"<inline><feature var='urn:xmpp:other:1'/></inline>", nil},
		"in another list": {carbons, nil},
	} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan xmltree.Element, 1)
			cfg := fake(t, newAuthority(t), func(p *peer) {
				if p.secure(p.a.server(domain, time.Hour)) {
					p.open(strings.Replace(offer, "%s", c.inline, 1))
					asked <- p.next()
				}
			})
			cfg.Carbons, cfg.Inactive = true, true
			serve(t, cfg, ignore)
			bind, _ := (<-asked).Child("urn:xmpp:bind:0", "bind")
			var got []string
			for el := range bind.Children() {
				got = append(got, el.Name().Space+" "+el.Name().Local)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q asked for", got)
			}
		})
	}
}
