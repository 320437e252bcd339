package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/outbox"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/xmltree"
)

const gw = "gw.test"

// server is the far end of a component's connections in memory, for virtual time. It routes back barriers, and reacts to messages as
// the test wants.
type server struct {
	t     *testing.T
	mu    sync.Mutex
	down  bool // refuses connections
	conns map[net.Conn]bool
	links int
	got   []delivery
	react func(d delivery) (answer string, end bool)
	wg    sync.WaitGroup
}

type delivery struct {
	link         int
	id, to, body string
	at           time.Time
}

func newServer(t *testing.T) *server { return &server{t: t, conns: make(map[net.Conn]bool)} }

func (s *server) dial(context.Context, string, string) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return nil, errors.New("nobody listens")
	}
	ours, theirs := net.Pipe()
	s.links++
	link := s.links
	s.conns[theirs] = true
	s.wg.Go(func() {
		defer theirs.Close()
		s.serve(link, theirs)
		s.mu.Lock()
		delete(s.conns, theirs)
		s.mu.Unlock()
	})
	return ours, nil
}

// setDown refuses connections, and closes those that there are.
func (s *server) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
	for c := range s.conns {
		if down {
			_ = c.Close()
		}
	}
}

func (s *server) serve(link int, conn net.Conn) {
	p := xmltree.NewParser(xmltree.Config{ContentNS: component.NS, ContentAs: stanza.NS})
	out := make(chan string, 10_000) // the pipe holds nothing, and the component may be writing
	written := make(chan struct{})
	go func() {
		defer close(written)
		for text := range out {
			_, _ = io.WriteString(conn, text)
		}
	}()
	defer func() {
		close(out)
		<-written
	}()
	next := func() (xmltree.Element, bool) {
		for {
			switch tok, err := p.Next(); {
			case err != nil:
				s.t.Errorf("the component wrote %v", err)
				return xmltree.Element{}, false
			case tok == xmltree.TokenClose:
				return xmltree.Element{}, false
			case tok != xmltree.TokenNone:
				return p.Element().Clone(), true
			}
			if _, err := p.Fill(conn); err != nil {
				return xmltree.Element{}, false
			}
		}
	}
	if _, ok := next(); !ok {
		return
	}
	out <- string(xmlstream.Header{Content: component.NS, From: gw, ID: "x"}.Append(nil))
	if _, ok := next(); !ok {
		return
	}
	out <- "<handshake/>"
	for {
		el, ok := next()
		switch {
		case !ok:
			out <- xmlstream.Close
			return
		case el.Is(stanza.NS, "iq"):
			out <- el.String()
		default:
			body, _ := el.Child(stanza.NS, "body")
			d := delivery{link, el.Attr("id"), el.Attr("to"), body.Text(), time.Now()}
			s.mu.Lock()
			react := s.react
			s.mu.Unlock()
			var answer string
			var end bool
			if react != nil {
				answer, end = react(d)
			}
			if !end {
				s.mu.Lock()
				s.got = append(s.got, d)
				s.mu.Unlock()
			}
			if answer != "" {
				out <- answer
			}
			if end {
				return
			}
		}
	}
}

// taken returns what was read so far, without what ended a link.
func (s *server) taken() []delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]delivery(nil), s.got...)
}

func (s *server) setReact(f func(d delivery) (string, bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.react = f
}

const streamError = "<stream:error><%s xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"

func refusal(d delivery, typ, condition string) string {
	return fmt.Sprintf("<message type='error' id='%s' from='%s' to='%s'><error type='%s'><%s xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
		d.id, d.to, gw, typ, condition)
}

// process is what one process has: a component, an owner and an outbox.
type process struct {
	t     *testing.T
	c     *component.Component
	owner *outbox.Owner
	box   *outbox.Outbox
	stop  context.CancelFunc
	done  chan error
	start func()
	place atomic.Pointer[func(place string)] // see at
}

// at has f called at each place where the outbox may be interrupted.
func (p *process) at(f func(place string)) { p.place.Store(&f) }

// handler takes what reaches no one else.
type handler struct{}

func (handler) HandleStanzas(context.Context, stanza.Sender, []stanza.Stanza) {}

// store is what a process needs of one.
type store interface {
	outbox.Store
	storage.Leases
}

// newProcess returns a process that is not started. change may be nil.
func newProcess(t *testing.T, m store, dial func(context.Context, string, string) (net.Conn, error), change func(*outbox.Config, *outbox.OwnerConfig, *component.Config)) *process {
	t.Helper()
	cfg := outbox.Config{Domain: jid.MustParse(gw)}
	owning := outbox.OwnerConfig{}
	link := component.Config{Domain: cfg.Domain, Secret: "secret", Dial: dial}
	if change != nil {
		change(&cfg, &owning, &link)
	}
	log := zaptest.NewLogger(t)
	p := &process{t: t, done: make(chan error, 1)}
	var err error
	if p.owner, err = outbox.NewOwner(owning, m, log.Named("owner")); err != nil {
		t.Fatal(err)
	}
	if p.box, err = outbox.New(cfg, m, p.owner, log.Named("outbox")); err != nil {
		t.Fatal(err)
	}
	p.box.At(func(place string) {
		if f := p.place.Load(); f != nil {
			(*f)(place)
		}
	})
	if link.Fence == nil {
		link.Fence = p.owner.Check
	}
	if p.c, err = component.New(link, log.Named("component")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	p.start = func() { go func() { p.done <- run(ctx, p.owner, p.box, p.c) }() }
	return p
}

// end stops the process in order.
func (p *process) end() {
	p.t.Helper()
	p.stop()
	if err := <-p.done; err != nil {
		p.t.Errorf("the process ended with %v", err)
	}
}

// bubble runs f in virtual time with one process that has started.
func bubble(t *testing.T, change func(*outbox.Config, *outbox.OwnerConfig, *component.Config), f func(t *testing.T, p *process, m *memory, s *server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemory(), newServer(t)
		p := newProcess(t, m, s.dial, change)
		p.start()
		f(t, p, m, s)
		p.end()
		s.wg.Wait()
	})
}

func message(to, id string) *stanza.Message {
	return &stanza.Message{Header: stanza.Header{ID: id, To: jid.MustParse(to)}, Type: stanza.MessageChat, Body: stanza.NewText("body of " + id)}
}

// put puts messages with these ids, each in a transaction of its own.
func (p *process) put(to string, ids ...string) {
	p.t.Helper()
	for _, id := range ids {
		if n, err := p.box.Put(p.t.Context(), message(to, id)); err != nil || n != 1 {
			p.t.Errorf("Put %s: %d %v", id, n, err)
		}
	}
}

func ids(ds []delivery) (ids []string) {
	for _, d := range ds {
		ids = append(ids, d.id)
	}
	return ids
}

// after lets virtual time pass.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
