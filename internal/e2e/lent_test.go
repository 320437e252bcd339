package e2e

import (
	"context"
	"testing"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// TestSlowHandler has one handler wait for a stanza that only another handler can see, without a word to the stream: the router notices
// that the goroutine which reads is held up, and has another one read on.
func TestSlowHandler(t *testing.T) {
	second := make(chan struct{})
	_, _, link := start(t, router.Config{}, func(*component.Component) []router.Route {
		return []router.Route{router.HandleIQ(stanza.IQGet, func(ctx context.Context, iq *stanza.IQ, _ query) (stanza.Payload, error) {
			if iq.ID == "second" {
				close(second)
				return nil, nil
			}
			select {
			case <-second:
				return nil, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		})}
	})
	for i := range 5 {
		if i > 0 {
			second = make(chan struct{})
		}
		link.Send("<iq from='a@%s/r' to='bot@%s' id='first' type='get'><query xmlns='urn:example:query'/></iq>", stranger, gateway)
		link.Send("<iq from='b@%s/r' to='bot@%s' id='second' type='get'><query xmlns='urn:example:query'/></iq>", stranger, gateway)
		for range 2 {
			if el := link.Expect("iq", ""); el.Attr("type") != "result" {
				t.Fatalf("got %s", el)
			}
		}
	}
}
