package component_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
)

// TestM7_Durations has everything take its time: dialling 1 s, the handshake 2 s, the answers to two requests 3 s each. A request that
// ends without answer does not count.
func TestM7_Durations(t *testing.T) {
	server := func(p *pipe) {
		p.header()
		<-time.After(2 * time.Second)
		p.write("<handshake/>")
		for _, kind := range []string{"result", "error"} {
			iq := p.next()
			<-time.After(3 * time.Second)
			p.write("<iq type='" + kind + "' id='" + iq.Attr("id") + "' from='a@b' to='" + gw + "'/>")
		}
		p.serve()
	}
	bubble(t, []func(p *pipe){server}, func(t *testing.T, cfg component.Config) {
		cfg.KeepAlive = -1
		dial := cfg.Dial
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			<-time.After(time.Second)
			return dial(ctx, network, addr)
		}
		c := serveIn(t, cfg, handler(ignore))
		<-time.After(4 * time.Second)
		c.now(component.PhaseOnline)
		for range 3 {
			_, _ = c.Request(t.Context(), &stanza.IQ{Header: stanza.Header{To: jid.MustParse("a@b")}, Type: stanza.IQGet, Payload: query{}})
		}
		if s := c.Stats(); s.Connect != time.Second || s.Login != 2*time.Second || s.Answered != 2 || s.Waited != 6*time.Second {
			t.Errorf("%+v", s)
		}
		c.end()
	})
}
