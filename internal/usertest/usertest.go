// Package usertest signs users in for the behaviour tests of what a user has beside the stream: the same test at the in-process
// server, in the manners of two servers, and at real ones.
package usertest

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmpptest"
)

// patience is how long a test waits for what must come. It is no measure of anything.
const patience = 30 * time.Second

// Server is where users sign in.
type Server struct {
	Host string // their domain
	Addr string // with STARTTLS
	TLS  *tls.Config
	// Add adds an account.
	Add func(t testing.TB, user, password string)
	// InProcess is the server in this process, nil where it is a real one.
	InProcess *xmpptest.Server
}

// InProcess runs f as subtests with the in-process server, once in the manners of each real one.
func InProcess(t *testing.T, f func(t *testing.T, s Server)) {
	t.Helper()
	for kind, like := range map[string]xmpptest.Option{"like prosody": xmpptest.LikeProsody(), "like ejabberd": xmpptest.LikeEjabberd()} {
		t.Run(kind, func(t *testing.T) { f(t, New(t, like)) })
	}
}

// New starts an in-process server.
func New(t testing.TB, opts ...xmpptest.Option) Server {
	t.Helper()
	s := xmpptest.NewServer(t, append(opts, xmpptest.WithArchive(), xmpptest.WithRegistration(), xmpptest.WithPEP())...)
	add := func(_ testing.TB, user, password string) { s.AddUser(user, password) }
	return Server{Host: s.Host, Addr: s.Client, TLS: s.TLSConfig(), Add: add, InProcess: s}
}

// Account is a new account of a server. Its name has been nobody's before, so that nothing of an earlier test is in it.
type Account struct {
	Server Server
	JID    jid.JID // bare
}

// Account adds an account.
func (s Server) Account(t testing.TB, name string) Account {
	t.Helper()
	name += "-" + strings.ToLower(rand.Text()[:10])
	s.Add(t, name, "secret")
	return Account{Server: s, JID: jid.MustParse(name + "@" + s.Host)}
}

// Session is a client that is online.
type Session struct {
	*client.Client
	t    testing.TB
	stop context.CancelFunc
	done chan error
}

// SignIn starts a session that is available to others and hands what arrives to routes. It ends with the test.
func (a Account) SignIn(t testing.TB, routes ...router.Route) *Session {
	t.Helper()
	return a.Serve(t, func(*client.Client) stanza.Handler { return Router(t, routes...) })
}

// Router returns a router for these routes.
func Router(t testing.TB, routes ...router.Route) *router.Router {
	t.Helper()
	r, err := router.New(router.Config{Routes: routes, Log: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Serve is SignIn with a handler that is made for the client.
func (a Account) Serve(t testing.TB, handler func(c *client.Client) stanza.Handler) *Session {
	t.Helper()
	c, err := client.New(client.Config{
		JID: a.JID, Credentials: sasl.Credentials{Password: sasl.NewSecret("secret")}, Addr: a.Server.Addr, TLS: a.Server.TLS,
		Presence: &stanza.Presence{}, Backoff: client.Backoff{Min: 10 * time.Millisecond, Max: 100 * time.Millisecond},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Session{Client: c, t: t, stop: cancel, done: make(chan error, 1)}
	h := handler(c)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		s.done <- c.Serve(ctx, h)
	}()
	t.Cleanup(func() {
		cancel()
		<-finished
	})
	wait, end := context.WithTimeout(t.Context(), patience)
	defer end()
	if err := c.AwaitOnline(wait); err != nil {
		t.Fatalf("%v: %+v", err, c.State())
	}
	s.Sync() // the server knows of the presence
	return s
}

// Sync returns when the server has read all that was sent so far.
func (s *Session) Sync() {
	s.t.Helper()
	if err := s.Barrier(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// Out sends stanzas.
func (s *Session) Out(all ...stanza.Stanza) {
	s.t.Helper()
	for _, st := range all {
		if err := s.Send(s.t.Context(), st); err != nil {
			s.t.Fatal(err)
		}
	}
}

// End ends the session in order.
func (s *Session) End() {
	s.t.Helper()
	s.stop()
	select {
	case err := <-s.done:
		if err != nil {
			s.t.Fatal(err)
		}
	case <-time.After(patience):
		s.t.Fatal("the session does not end")
	}
}

// Chat returns a message.
func Chat(to jid.JID, body string, payloads ...stanza.Payload) *stanza.Message {
	return &stanza.Message{Header: stanza.Header{To: to}, Type: stanza.MessageChat, Body: stanza.NewText(body), Payloads: payloads}
}

// Inbox keeps things that happen until the test asks for them.
type Inbox[T any] chan T

// NewInbox returns an inbox with room for more than a test does.
func NewInbox[T any]() Inbox[T] { return make(Inbox[T], 10_000) }

// Next waits for the next thing.
func (in Inbox[T]) Next(t testing.TB) T {
	t.Helper()
	select {
	case v := <-in:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// Await waits for the first thing that fits and drops those before it.
func (in Inbox[T]) Await(t testing.TB, fits func(T) bool) T {
	t.Helper()
	for {
		if v := in.Next(t); fits(v) {
			return v
		}
	}
}

// None fails the test if anything is there.
func (in Inbox[T]) None(t testing.TB) {
	t.Helper()
	select {
	case v := <-in:
		t.Fatalf("there is %+v", v)
	default:
	}
}

// Bodies returns an inbox of messages with a body, and its routes.
func Bodies() (Inbox[*stanza.Message], []router.Route) {
	in := NewInbox[*stanza.Message]()
	take := func(_ context.Context, m *stanza.Message) error {
		if len(m.Body) > 0 {
			in <- m
		}
		return nil
	}
	return in, []router.Route{router.HandleAnyMessage(take)}
}
