package component_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// TestSEC67_RefusalsAreCountedInTheLog has a stranger send stanzas over the limit: the log has a line for the first, one for each
// further minute with their number, and one for the rest when the session ends.
func TestSEC67_RefusalsAreCountedInTheLog(t *testing.T) {
	var send chan int // made inside the bubble
	server := func(p *pipe) {
		p.welcome("")
		go func() {
			for n := range send {
				p.write(strings.Repeat("<message from='stranger@b' to='"+gw+"'><body>"+strings.Repeat("x", 1<<10)+"</body></message>", n))
			}
		}()
		p.serve()
	}
	bubble(t, []func(p *pipe){server}, func(t *testing.T, cfg component.Config) {
		send = make(chan int)
		cfg.Limits = xmltree.Limits{Bytes: 1 << 10}
		core, logs := observer.New(zap.InfoLevel)
		c := serveLogged(t, cfg, handler(ignore), zap.New(core))
		c.now(component.PhaseOnline)
		lines := func() (times []int64) {
			for _, e := range logs.FilterMessage("stanza over a limit refused").All() {
				f := e.ContextMap()
				if f["from"] != "stranger@b" || f["limit"] != "bytes" || f["kind"] != stanza.KindMessage.String() {
					t.Errorf("fields %v", f)
				}
				times = append(times, f["times"].(int64)) //nolint:forcetypeassert // zap.Int
			}
			return times
		}
		want := []int64{1}
		check := func(when string) {
			t.Helper()
			c.now(component.PhaseOnline)
			if got := lines(); !slices.Equal(got, want) {
				t.Fatalf("%s: lines for %v stanzas, want %v", when, got, want)
			}
		}
		send <- 100
		check("at once")
		<-time.After(59 * time.Second)
		check("within the minute")
		<-time.After(2 * time.Second)
		want = append(want, 99)
		check("after a minute")
		send <- 5
		check("within the next minute")
		<-time.After(time.Minute)
		want = append(want, 5)
		check("after another minute")
		<-time.After(2 * time.Minute)
		check("after a calm minute")
		send <- 3
		want = append(want, 1)
		check("the first after the calm")
		close(send)
		c.end()
		if got := lines(); !slices.Equal(got, append(want, 2)) {
			t.Errorf("at the end: lines for %v stanzas, want %v", got, append(want, 2))
		}
		if got := c.Stats().TooLarge; got != 108 {
			t.Errorf("%d stanzas counted", got)
		}
	})
}
