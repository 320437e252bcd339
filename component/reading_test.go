package component_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmpptest"
)

// here is a handler that does its work inside HandleStanzas, on the goroutine that reads.
type here func(ctx context.Context, out stanza.Sender, s stanza.Stanza)

func (h here) HandleStanzas(ctx context.Context, out stanza.Sender, batch []stanza.Stanza) {
	for _, s := range batch {
		h(ctx, out, s)
	}
}

// lent runs a component with this handler.
func lent(t *testing.T, h here) (*running, *xmpptest.Component) {
	t.Helper()
	s := xmpptest.NewServer(t)
	c := serve(t, component.Config{Domain: jid.MustParse(s.Domain), Secret: component.Secret(s.Secret), Addr: s.Addr}, h).online()
	return c, s.Component(s.Domain)
}

// TestReadOn_Request has a handler wait, on the goroutine that reads, for an answer that must be read.
func TestReadOn_Request(t *testing.T) {
	result := make(chan error, 1)
	_, peer := lent(t, func(ctx context.Context, out stanza.Sender, s stanza.Stanza) {
		if _, ok := s.(*stanza.Message); ok {
			_, err := out.Request(ctx, &stanza.IQ{Header: stanza.Header{ID: "q", To: jid.MustParse("a@example.org")}, Type: stanza.IQGet, Payload: query{}})
			result <- err
		}
	})
	peer.Send("<message from='a@example.org' to='bot@gateway.localhost'/>")
	peer.Await(xmpptest.Kind(stanza.KindIQ, "get"))
	peer.Send("<iq type='result' id='q' from='a@example.org' to='gateway.localhost'/>")
	if err := <-result; err != nil {
		t.Error(err)
	}
}

// TestReadOn_Barrier does the same with a barrier.
func TestReadOn_Barrier(t *testing.T) {
	result := make(chan error, 1)
	var c *running
	ready := make(chan struct{})
	c, peer := lent(t, func(ctx context.Context, _ stanza.Sender, _ stanza.Stanza) {
		<-ready
		result <- c.Barrier(ctx)
	})
	close(ready)
	peer.Send("<message from='a@example.org' to='bot@gateway.localhost'/>")
	if err := <-result; err != nil {
		t.Error(err)
	}
}

// TestReadOn_TakesOver has a handler hold the goroutine that reads until the stanzas behind are handled, in order, by another one.
func TestReadOn_TakesOver(t *testing.T) {
	held, release, seen := make(chan struct{}), make(chan struct{}), make(chan string, 3)
	c, peer := lent(t, func(_ context.Context, _ stanza.Sender, s stanza.Stanza) {
		if id := s.Head().ID; id == "hold" {
			close(held)
			<-release
		} else {
			seen <- id
		}
	})
	peer.Send("<message id='hold' from='a@example.org' to='bot@gateway.localhost'/>")
	<-held
	peer.Send("<message id='1' from='a@example.org' to='bot@gateway.localhost'/><message id='2' from='a@example.org' to='bot@gateway.localhost'/>")
	c.ReadOn()
	c.ReadOn() // does nothing, or lets yet another one read; never two at a time
	for _, want := range []string{"1", "2"} {
		if got := <-seen; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	close(release)
	peer.Send("<message id='3' from='a@example.org' to='bot@gateway.localhost'/>")
	if got := <-seen; got != "3" {
		t.Errorf("got %s", got)
	}
	c.oneSession()
}

// ordered is a handler that takes stanzas before it works on them.
type ordered struct {
	take func(out stanza.Sender, id string)
	work func()
}

func (o ordered) HandleStanzas(context.Context, stanza.Sender, []stanza.Stanza) {
	panic("a Taker is not asked to take and to work at once")
}

func (o ordered) Take(_ context.Context, out stanza.Sender, batch []stanza.Stanza) bool {
	for _, s := range batch {
		o.take(out, s.Head().ID)
	}
	return true
}

func (o ordered) Work(context.Context, stanza.Sender) { o.work() }

// TestReadOn_Order has ReadOn called while a handler takes what one read brought: nobody reads on before it has, but afterwards, while it works.
func TestReadOn_Order(t *testing.T) {
	first, behind := make(chan struct{}), make(chan struct{})
	seen, release := make(chan string, 2), make(chan struct{})
	s := xmpptest.NewServer(t)
	c := serve(t, component.Config{Domain: jid.MustParse(s.Domain), Secret: component.Secret(s.Secret), Addr: s.Addr}, ordered{
		take: func(out stanza.Sender, id string) {
			if id == "1" {
				out.(stanza.Reader).ReadOn() // as a request does that somebody else makes just then
				close(first)
				<-behind
				for range 1000 { // whoever reads on had the time for it
					runtime.Gosched()
				}
			}
			seen <- id
		},
		work: func() { <-release },
	}).online()
	peer := s.Component(s.Domain)
	peer.Send("<message id='1' from='a@example.org' to='bot@gateway.localhost'/>")
	<-first
	peer.Send("<message id='2' from='a@example.org' to='bot@gateway.localhost'/>")
	close(behind)
	if got := <-seen; got != "1" {
		t.Errorf("%s was taken first", got)
	}
	for next := ""; next == ""; { // while the other one still works
		c.ReadOn()
		select {
		case next = <-seen:
		default:
			runtime.Gosched()
		}
	}
	close(release)
}

// TestReadOn_SessionEnds ends the session, and the component, while handlers hold the goroutines that read: nobody waits for them.
func TestReadOn_SessionEnds(t *testing.T) {
	held, release := make(chan struct{}), make(chan struct{})
	c, peer := lent(t, func(context.Context, stanza.Sender, stanza.Stanza) {
		held <- struct{}{}
		<-release
	})
	peer.Send("<message from='a@example.org' to='bot@gateway.localhost'/>")
	<-held
	c.ReadOn() // as a router does
	peer.Drop()
	_, n := c.await(0, "backing off", phase(component.PhaseBackoff))
	c.await(n, "online again", phase(component.PhaseOnline))
	peer.Send("<message from='a@example.org' to='bot@gateway.localhost'/>")
	<-held
	c.stop()
	c.ended()
	close(release)
}

// TestSEC32_HandlerEndsItsGoroutine has a handler end the goroutine that reads.
func TestSEC32_HandlerEndsItsGoroutine(t *testing.T) {
	exits, seen := make(chan struct{}), make(chan string, 1)
	c, peer := lent(t, func(_ context.Context, _ stanza.Sender, s stanza.Stanza) {
		if s.Head().ID == "exit" {
			close(exits)
			runtime.Goexit()
		}
		seen <- s.Head().ID
	})
	peer.Send("<message id='exit' from='a@example.org' to='bot@gateway.localhost'/>")
	<-exits // what came in the same read would be lost with the handler's loop
	peer.Send("<message id='next' from='a@example.org' to='bot@gateway.localhost'/>")
	if got := <-seen; got != "next" {
		t.Errorf("got %s", got)
	}
	c.oneSession()
}
