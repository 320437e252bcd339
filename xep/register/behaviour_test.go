package register_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/form"
	"github.com/postern-im/postern/xep/register"
)

// env is a server that takes registrations, with a component.
type env struct {
	usertest.Server
	service func(t *testing.T) (domain jid.JID, secret, addr string)
}

func runBehaviours(t *testing.T, e env) {
	for name, f := range map[string]func(t *testing.T, e env){
		"an account from its beginning to its end":   testAccount,
		"what the server refuses":                    testRefusals,
		"a service behind the server takes register": testService,
	} {
		t.Run(name, func(t *testing.T) { f(t, e) })
	}
}

func (e env) config(account jid.JID, password string) client.Config {
	return client.Config{
		JID: account, Credentials: sasl.Credentials{Password: sasl.NewSecret(password)}, Addr: e.Addr, TLS: e.TLS,
		Backoff: client.Backoff{Min: 10 * time.Millisecond, Max: 100 * time.Millisecond},
	}
}

func (e env) newName() jid.JID {
	return jid.MustParse("new-" + strings.ToLower(rand.Text()) + "@" + e.Host)
}

// register registers an account.
func (e env) register(t *testing.T, account jid.JID, password string) error {
	t.Helper()
	return client.Register(t.Context(), e.config(account, ""), nil, func(ctx context.Context, out stanza.Sender) error {
		return register.New(ctx, out, jid.JID{}, map[string]string{register.Username: account.Local(), register.Password: password})
	})
}

// session is a client that signs in, whatever comes of that.
type session struct {
	*client.Client
	stop context.CancelFunc
	done chan error
}

func (e env) signIn(t *testing.T, account jid.JID, password string) *session {
	t.Helper()
	c, err := client.New(e.config(account, password), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &session{Client: c, stop: cancel, done: make(chan error, 1)}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		s.done <- c.Serve(ctx, usertest.Router(t))
	}()
	t.Cleanup(func() {
		cancel()
		<-finished
	})
	return s
}

func (s *session) online(t *testing.T) *session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.AwaitOnline(ctx); err != nil {
		t.Fatalf("%v: %+v", err, s.State())
	}
	return s
}

// end ends the session, or waits until it has ended by itself, which it is asked for once.
func (s *session) end(t *testing.T) error {
	t.Helper()
	s.stop()
	return s.ended(t)
}

func (s *session) ended(t *testing.T) error {
	t.Helper()
	select {
	case err := <-s.done:
		s.done <- err
		return err
	case <-time.After(time.Minute):
		t.Fatalf("it goes on: %+v", s.State())
		return nil
	}
}

// lost waits until the client of an account that is no more has given up: it came back and was refused, or it stands by since ejabberd
// ends the stream with a conflict.
func (s *session) lost(t *testing.T) {
	t.Helper()
	standby := make(chan error, 1)
	defer s.OnState(func(st client.State) {
		if st.Phase == client.PhaseStandby {
			select {
			case standby <- st.Cause:
			default:
			}
		}
	})()
	if st := s.State(); st.Phase == client.PhaseStandby {
		select {
		case standby <- st.Cause:
		default:
		}
	}
	select {
	case err := <-standby:
		if !errors.Is(err, stanza.StreamConflict) {
			t.Errorf("the removed account's client stands by: %v", err)
		}
	case err := <-s.done:
		s.done <- err
		if !errors.Is(err, sasl.NotAuthorized) {
			t.Errorf("the removed account's client: %v", err)
		}
	case <-time.After(time.Minute):
		t.Errorf("it goes on: %+v", s.State())
	}
}

// refused fails the test unless the server refuses a sign-in.
func (e env) refused(t *testing.T, account jid.JID, password string) {
	t.Helper()
	if err := e.signIn(t, account, password).ended(t); !errors.As(err, new(*client.SignInError)) || !errors.Is(err, sasl.NotAuthorized) {
		t.Errorf("sign-in with %q: %v", password, err)
	}
}

func testAccount(t *testing.T, e env) {
	account := e.newName()
	e.refused(t, account, "first")
	if err := e.register(t, account, "first"); err != nil {
		t.Fatal(err)
	}
	if err := e.register(t, account, "stolen"); !errors.Is(err, stanza.Conflict) {
		t.Errorf("a second time: %v", err)
	}
	e.refused(t, account, "stolen")
	c := e.signIn(t, account, "first").online(t)
	q, err := register.Ask(t.Context(), c, jid.JID{})
	if name, _ := q.Get(register.Username); err != nil || !q.Registered || name != account.Local() {
		t.Errorf("signed in: %+v %v", q, err)
	}
	if err := register.ChangePassword(t.Context(), c, jid.JID{}, "somebody-else", "second"); !errors.As(err, new(*stanza.Error)) {
		t.Errorf("somebody else's password: %v", err)
	}
	if err := register.ChangePassword(t.Context(), c, account.DomainJID(), account.Local(), "second"); err != nil {
		t.Fatal(err)
	}
	if err := c.end(t); err != nil {
		t.Error(err)
	}
	e.refused(t, account, "first")
	c = e.signIn(t, account, "second").online(t)
	if err := register.Remove(t.Context(), c, jid.JID{}); err != nil && !errors.Is(err, stanza.ErrStreamLost) {
		t.Fatal(err)
	}
	c.lost(t)
	e.refused(t, account, "second")
	if err := e.register(t, account, "third"); err != nil {
		t.Errorf("the name is not free again: %v", err)
	}
}

func testRefusals(t *testing.T, e env) {
	account := e.newName()
	visit := func(f func(ctx context.Context, out stanza.Sender) error) {
		t.Helper()
		if err := client.Register(t.Context(), e.config(account, ""), nil, f); err != nil {
			t.Error(err)
		}
	}
	visit(func(ctx context.Context, out stanza.Sender) error {
		q, err := register.Ask(ctx, out, jid.JID{})
		if err != nil {
			return err
		}
		if _, ok := q.Get(register.Username); !ok || q.Registered || q.Instructions == "" {
			t.Errorf("offered: %+v", q)
		}
		for name, answer := range map[string]register.Query{
			"no password": {Fields: []register.Field{{Name: register.Username, Value: account.Local()}, {Name: register.Password}}},
			"no name":     {Fields: []register.Field{{Name: register.Password, Value: "x"}}},
			"bad name":    {Fields: []register.Field{{Name: register.Username, Value: "a@b"}, {Name: register.Password, Value: "x"}}},
		} {
			var refused *stanza.Error
			if err := register.Submit(ctx, out, jid.JID{}, answer); !errors.As(err, &refused) || refused.Type == stanza.ErrorWait {
				t.Errorf("%s: %v", name, err)
			}
		}
		return nil
	})
	visit(func(ctx context.Context, out stanza.Sender) error { // nobody is there whose account it could be
		if err := register.Remove(ctx, out, jid.JID{}); err == nil {
			t.Error("somebody's account is removed")
		}
		if err := out.Send(ctx, usertest.Chat(account, "x")); !errors.Is(err, client.ErrInvalid) {
			t.Errorf("a message before the sign-in: %v", err)
		}
		return nil
	})
	e.refused(t, account, "x")
	// A service that takes no registrations.
	c := e.signIn(t, e.Server.Account(t, "alice").JID, "secret").online(t)
	silent := e.signIn(t, e.Server.Account(t, "bob").JID, "secret").online(t)
	if _, err := register.Ask(t.Context(), c, silent.JID()); !errors.Is(err, stanza.ServiceUnavailable) {
		t.Errorf("somebody who takes none: %v", err)
	}
}

// clerk is a service that takes registrations, and wants a code to end one.
type clerk struct {
	mu    sync.Mutex
	users map[jid.JID]map[string]string
}

func (k *clerk) form() *form.Form {
	return form.New(register.NS, form.TextSingle("nick", "Nickname", "").Require(), form.TextPrivate("code", "Code").Require(),
		form.Boolean("notify", "Notices?", true))
}

func (k *clerk) routes() []router.Route {
	return []router.Route{
		router.HandleIQ(stanza.IQGet, func(_ context.Context, iq *stanza.IQ, _ register.Query) (stanza.Payload, error) {
			k.mu.Lock()
			defer k.mu.Unlock()
			_, there := k.users[iq.From.Bare()]
			return register.Query{Registered: there, Instructions: "Who are you?", Fields: []register.Field{{Name: "nick"}}, Form: k.form()}, nil
		}),
		router.HandleIQ(stanza.IQSet, func(_ context.Context, iq *stanza.IQ, q register.Query) (stanza.Payload, error) {
			k.mu.Lock()
			defer k.mu.Unlock()
			who := iq.From.Bare()
			switch {
			case q.Remove && k.users[who] == nil:
				return nil, stanza.RegistrationRequired
			case q.Remove:
				delete(k.users, who)
				return nil, nil
			case q.Form == nil:
				return nil, stanza.BadRequest
			}
			s, err := k.form().Validate(*q.Form)
			if err != nil {
				return nil, err
			}
			if s.Text("nick") == "taken" {
				return nil, stanza.Conflict
			}
			k.users[who] = map[string]string{"nick": s.Text("nick"), "code": s.Text("code")}
			return nil, nil
		}),
	}
}

// testService registers at a component, as at a gateway.
func testService(t *testing.T, e env) {
	domain, secret, addr := e.service(t)
	k := &clerk{users: make(map[jid.JID]map[string]string)}
	comp, err := component.New(component.Config{Domain: domain, Secret: component.Secret(secret), Addr: addr}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- comp.Serve(ctx, usertest.Router(t, k.routes()...)) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	wait, end := context.WithTimeout(t.Context(), time.Minute)
	defer end()
	if err := comp.AwaitOnline(wait); err != nil {
		t.Fatal(err)
	}
	me := e.Server.Account(t, "alice").JID
	c := e.signIn(t, me, "secret").online(t)
	if err := register.Remove(t.Context(), c, domain); !errors.Is(err, stanza.RegistrationRequired) {
		t.Errorf("removed at first: %v", err)
	}
	q, err := register.Ask(t.Context(), c, domain)
	if err != nil || q.Registered || q.Form == nil || q.Form.FormType() != register.NS {
		t.Fatalf("offered %+v %v", q, err)
	}
	if err := register.New(t.Context(), c, domain, map[string]string{"nick": "taken", "code": "x"}); !errors.Is(err, stanza.Conflict) {
		t.Errorf("a name that is taken: %v", err)
	}
	if err := register.New(t.Context(), c, domain, map[string]string{"nick": "jules", "code": "R0m30"}); err != nil {
		t.Fatal(err)
	}
	k.mu.Lock()
	got := k.users[me]
	k.mu.Unlock()
	if got["nick"] != "jules" || got["code"] != "R0m30" {
		t.Errorf("registered %v", got)
	}
	if q, err := register.Ask(t.Context(), c, domain); err != nil || !q.Registered {
		t.Errorf("offered %+v %v", q, err)
	}
	if err := register.Remove(t.Context(), c, domain); err != nil {
		t.Error(err)
	}
	if q, err := register.Ask(t.Context(), c, domain); err != nil || q.Registered {
		t.Errorf("in the end %+v %v", q, err)
	}
}
