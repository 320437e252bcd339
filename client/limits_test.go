package client_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/xmltree"
)

func limits(maxBytes int) string {
	return fmt.Sprintf("<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>%d</max-bytes><idle-seconds>840</idle-seconds></limits>", maxBytes)
}

// sends sends messages of these sizes, and reports which of them were refused for their size.
func (s *served) sends(sizes ...int) (refused []bool) {
	s.t.Helper()
	for _, n := range sizes {
		err := s.Send(s.t.Context(), message(jid.MustParse("peer@b.test"), strings.Repeat("x", n)))
		if err != nil && !errors.Is(err, xmltree.ErrTooLarge) {
			s.t.Fatal(err)
		}
		refused = append(refused, err != nil)
	}
	if err := s.Barrier(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	return refused
}

// TestC13_LargestStanza sends nothing that the server has said it does not take (XEP-0478); the stream goes on.
func TestC13_LargestStanza(t *testing.T) {
	a := newAuthority(t)
	t.Run("SASL1", func(t *testing.T) {
		c := serve(t, fake(t, a, func(p *peer) {
			if p.secure(a.server(domain, time.Hour)) {
				p.open(plain + limits(10_000))
				p.next()
				p.write(success)
				p.open(bind + limits(20_000))
				p.bound(account + "/here")
				p.serve()
			}
		}), ignore).online()
		if got := fmt.Sprint(c.sends(15_000, 20_000, 15_000)); got != "[false true false]" || c.Features().MaxBytes != 20_000 {
			t.Errorf("refused %v, %+v", got, c.Features())
		}
	})
	t.Run("SASL2, whose features come later", func(t *testing.T) {
		c := serve(t, fake(t, a, func(p *peer) {
			p.secure(a.server(domain, time.Hour))
			p.open("<authentication xmlns='urn:xmpp:sasl:2'><mechanism>PLAIN</mechanism><inline><bind xmlns='urn:xmpp:bind:0'/></inline></authentication>" + limits(10_000))
			p.next()
			p.write("<success xmlns='urn:xmpp:sasl:2'><bound xmlns='urn:xmpp:bind:0'/><authorization-identifier>" + account + "/here</authorization-identifier></success>")
			p.next() // a message, while nothing else is known
			p.write("<stream:features>" + limits(20_000) + "</stream:features>")
			p.serve()
		}), ignore).online()
		if err := c.Send(t.Context(), message(jid.MustParse("peer@b.test"), strings.Repeat("x", 15_000))); err != nil {
			t.Errorf("the limit of who is not signed in holds on: %v", err)
		}
		if err := c.Barrier(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(c.sends(15_000, 20_000)); got != "[false true]" {
			t.Errorf("refused %v", got)
		}
	})
	t.Run("less than RFC 6120 allows", func(t *testing.T) {
		c := serve(t, fake(t, a, func(p *peer) {
			if p.secure(a.server(domain, time.Hour)) {
				p.open(plain)
				p.next()
				p.write(success)
				p.open(bind + limits(1))
				p.bound(account + "/here")
				p.serve()
			}
		}), ignore).online()
		if got := fmt.Sprint(c.sends(9_000, 10_000)); got != "[false true]" {
			t.Errorf("refused %v", got)
		}
	})
}
