package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/internal/linktest"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// BenchmarkBesideAFlood is how long a user waits for an answer whose handler takes 1 ms, while another user sends more than can be
// handled for her: to one address, or to a hundred.
func BenchmarkBesideAFlood(b *testing.B) {
	for _, bb := range []struct {
		name            string
		rate, addresses int // messages of the other user each millisecond
	}{{"alone", 0, 0}, {"5,000 a second to one", 5, 1}, {"5,000 a second to a hundred", 5, 100}, {"20,000 a second to a hundred", 20, 100}} {
		b.Run(bb.name, func(b *testing.B) {
			_, _, addr := serve(b, router.Config{}, func(c *component.Component) []router.Route {
				return []router.Route{router.HandleMessage(stanza.MessageChat, func(ctx context.Context, m *stanza.Message) error {
					select {
					case <-time.After(time.Millisecond):
					case <-ctx.Done():
					}
					return c.Send(ctx, &stanza.Message{Header: stanza.Header{ID: m.ID, From: m.To, To: m.From}, Type: m.Type, Body: m.Body})
				})}
			})
			stop, refused := make(chan struct{}), make(chan float64, 1)
			if bb.rate > 0 {
				go func() { refused <- flooding(linktest.Dial(b, addr, flooder, "strange"), bb.rate, bb.addresses, stop) }()
			}
			quiet := linktest.Dial(b, addr, stranger, "strange")
			var took []time.Duration
			for n := 0; b.Loop(); n++ {
				start := time.Now()
				quiet.Send("<message from='u@%s/r' to='bot@%s' id='%d' type='chat'><body>one</body></message>", stranger, gateway, n)
				if el := quiet.Expect("message", fmt.Sprint(n)); el.Attr("type") != "chat" {
					b.Fatalf("got %s", el)
				}
				took = append(took, time.Since(start))
			}
			close(stop)
			if bb.rate > 0 {
				b.ReportMetric(<-refused, "%refused")
			}
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2].Seconds()*1e3, "median-ms")
			b.ReportMetric(took[len(took)*99/100].Seconds()*1e3, "p99-ms")
		})
	}
}

// flooding sends messages, so many each millisecond, until it is told to stop and all are answered. It returns what part of them was
// refused, in percent.
func flooding(link *linktest.Link, rate, addresses int, stop <-chan struct{}) (percent float64) {
	sent, all := 0, make(chan int, 1)
	go func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for last := false; !last; {
			select {
			case <-stop:
				last = true
				all <- sent + rate // before the last of them leave, so that who reads learns of it in time
			case <-tick.C:
			}
			var batch strings.Builder
			for range rate {
				fmt.Fprintf(&batch, "<message from='f@%s/r' to='a%d@%s' id='%d' type='chat'><body>flood</body></message>", flooder, sent%addresses, gateway, sent)
				sent++
			}
			link.Send("%s", batch.String())
		}
	}()
	answered, refused, want := 0, 0, -1
	for answered != want {
		el, err := link.Read()
		if err != nil {
			return 100
		}
		answered++
		if el.Attr("type") == "error" {
			refused++
		}
		if want < 0 {
			select {
			case want = <-all:
			default:
			}
		}
	}
	return 100 * float64(refused) / float64(want)
}
