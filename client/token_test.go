package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/internal/xmppserver"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/secret"
)

// Tokens and upgrades at a server that does them wrong.

// modern starts a server that has all of SASL2, and returns the configuration of an account.
func modern(t *testing.T) (*xmppserver.Server, client.Config) {
	t.Helper()
	s, err := xmppserver.New(xmppserver.Config{
		Domain: domain, SASL2: true, Binding: true, FAST: true, Upgrade: true, Listen: xmppserver.Listen{ClientTLS: "127.0.0.1:0"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddUser("me", "secret"); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, client.Config{
		JID: jid.MustParse(account), Credentials: sasl.Credentials{Password: sasl.NewSecret("secret")}, UserAgent: agent(), Memory: client.NewMemory(),
		Addr: s.ClientTLSAddr(), DirectTLS: true, TLS: s.ClientTLS(), Backoff: client.Backoff{Min: time.Millisecond, Max: 5 * time.Millisecond},
	}
}

// token returns the secret of the token that is remembered.
func token(t *testing.T, cfg client.Config) string {
	t.Helper()
	return recalled(t, cfg.Memory, cfg.JID).Token.Secret.Reveal()
}

// TestSEC54_NewestToken has each sign-in bring a new token, as Prosody does at times: the newest is the one to use.
func TestSEC54_NewestToken(t *testing.T) {
	s, cfg := modern(t)
	s.SetWrongs(xmppserver.Wrongs{RotateTokens: true})
	stopped(t, serve(t, cfg, ignore).online())
	seen := map[string]bool{}
	for range 4 {
		if seen[token(t, cfg)] {
			t.Error("an old token is kept")
		}
		seen[token(t, cfg)] = true
		stopped(t, serve(t, wrong(cfg), ignore).online())
	}
	if n, _ := s.Tokens("me"); n != 2 { // that in use, and the next
		t.Errorf("%d tokens", n)
	}
}

// TestSEC54_Count has every use of a token count, before it happens and whatever comes of it.
func TestSEC54_Count(t *testing.T) {
	s, cfg := modern(t)
	stopped(t, serve(t, cfg, ignore).online())
	for i := 1; i < 4; i++ {
		stopped(t, serve(t, wrong(cfg), ignore).online())
		if _, n := s.Tokens("me"); n != i || recalled(t, cfg.Memory, cfg.JID).Token.Count != i {
			t.Errorf("%d at the server after %d uses", n, i)
		}
	}
	memo := recalled(t, cfg.Memory, cfg.JID)
	memo.Token.Count = 1 // a memory that was set back: a replay to the server
	if err := cfg.Memory.Remember(t.Context(), cfg.JID, memo); err != nil {
		t.Fatal(err)
	}
	if err := serve(t, wrong(cfg), ignore).ended(); !errors.Is(err, sasl.NotAuthorized) {
		t.Errorf("replayed: %v", err)
	}
	if _, n := s.Tokens("me"); n != 3 {
		t.Errorf("%d uses", n)
	}
}

// TestSEC54_Unproven has a server take a token that it does not show to know. That is no refusal: nothing else is tried.
func TestSEC54_Unproven(t *testing.T) {
	s, cfg := modern(t)
	stopped(t, serve(t, cfg, ignore).online())
	s.SetWrongs(xmppserver.Wrongs{UnprovenTokens: true, RotateTokens: true})
	before := token(t, cfg)
	var ce *client.Error
	if err := serve(t, cfg, ignore).ended(); !errors.Is(err, sasl.ErrServerUnproven) || !errors.As(err, &ce) || !ce.Permanent {
		t.Errorf("got %v", err)
	}
	if token(t, cfg) != before {
		t.Error("the token of an unproven server is kept")
	}
}

// TestSEC54_Unverified sends no token, and asks for none, where nobody verified the server's certificate.
func TestSEC54_Unverified(t *testing.T) {
	_, cfg := modern(t)
	insecure := cfg
	insecure.TLS, insecure.Insecure = nil, true
	stopped(t, serve(t, insecure, ignore).online())
	if token(t, cfg) != "" {
		t.Error("a token came over an unverified connection")
	}
	stopped(t, serve(t, cfg, ignore).online())
	if token(t, cfg) == "" {
		t.Fatal("no token")
	}
	if err := serve(t, wrong(insecure), ignore).ended(); !errors.Is(err, sasl.NotAuthorized) {
		t.Errorf("the token was used: %v", err)
	}
}

// TestA7_TokensThatAreVoid has a server forget what it gives out: the password goes on working.
func TestA7_TokensThatAreVoid(t *testing.T) {
	for name, w := range map[string]xmppserver.Wrongs{"void": {VoidTokens: true}, "expired": {ExpiredTokens: true}} {
		t.Run(name, func(t *testing.T) {
			s, cfg := modern(t)
			s.SetWrongs(w)
			turns := countTurns(&cfg)
			stopped(t, serve(t, cfg, ignore).online())
			first := token(t, cfg)
			stopped(t, serve(t, cfg, ignore).online())
			if first == "" || token(t, cfg) == first {
				t.Errorf("tokens %q and %q", first, token(t, cfg))
			}
			want := map[string]int{"void": 3, "expired": 2}[name] // nobody tries one that has expired
			if n := turns.dialled(); n != want {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// TestA15_RefusedAfterAll has the server forget a token that goes with the stream header.
func TestA15_RefusedAfterAll(t *testing.T) {
	s, cfg := modern(t)
	turns := countTurns(&cfg)
	c := serve(t, cfg, ignore).online()
	_, n := c.await(0, client.PhaseOnline)
	s.ForgetTokens("me")
	turns.cut()
	c.await(n, client.PhaseOnline)
	if err := c.Barrier(t.Context()); err != nil {
		t.Error(err)
	}
	if got := turns.dialled(); got != 3 || c.State().Sessions != 2 {
		t.Errorf("%d connections, %d sessions", got, c.State().Sessions)
	}
}

// TestConfiguredToken signs in with a token from elsewhere, once: the server does not know it.
func TestConfiguredToken(t *testing.T) {
	_, cfg := modern(t)
	cfg.Credentials.Token, cfg.Credentials.TokenFor = sasl.NewSecret("elsewhere"), "HT-SHA-256-EXPR"
	turns := countTurns(&cfg)
	stopped(t, serve(t, cfg, ignore).online())
	if n := turns.dialled(); n != 2 || token(t, cfg) == "" {
		t.Errorf("%d connections, token %q", n, token(t, cfg))
	}
	stopped(t, serve(t, wrong(cfg), ignore).online()) // with what came of it
}

// broken is a memory with faults.
type broken struct {
	client.Memory
	recall, remember error
}

func (b *broken) Recall(ctx context.Context, account jid.JID) (client.Memo, error) {
	if b.recall != nil {
		return client.Memo{}, b.recall
	}
	return b.Memory.Recall(ctx, account)
}

func (b *broken) Remember(ctx context.Context, account jid.JID, m client.Memo) error {
	if b.remember != nil {
		return b.remember
	}
	return b.Memory.Remember(ctx, account, m)
}

// TestSEC43_MemoryThatFails signs nobody in while it cannot be known what must not be used, and uses no token that cannot be counted.
func TestSEC43_MemoryThatFails(t *testing.T) {
	s, cfg := modern(t)
	away := errors.New("the database is away")
	none := cfg
	none.Memory = &broken{recall: away}
	refused(t, none, away, client.StageSignIn, false)
	if got := s.Sessions("me"); len(got) != 0 {
		t.Errorf("sessions %v", got)
	}
	stopped(t, serve(t, cfg, ignore).online())
	full := cfg
	full.Memory = &broken{Memory: cfg.Memory, remember: away}
	stopped(t, serve(t, full, ignore).online())
	if _, n := s.Tokens("me"); n != 0 {
		t.Errorf("the token was used %d times", n)
	}
}

// sealed is a store of secrets.
type sealed map[storage.CredentialID]storage.Sealed

func (s sealed) Credential(_ context.Context, id storage.CredentialID) (storage.Sealed, error) {
	if b, ok := s[id]; ok {
		return b, nil
	}
	return storage.Sealed{}, storage.ErrNotFound
}

func (s sealed) PutCredential(_ context.Context, id storage.CredentialID, b storage.Sealed) error {
	s[id] = b
	return nil
}

func (s sealed) DeleteCredential(_ context.Context, id storage.CredentialID) error {
	delete(s, id)
	return nil
}

func (sealed) ResealCredentials(context.Context, string, int, func(storage.CredentialID, storage.Sealed) (storage.Sealed, error)) (int, error) {
	return 0, nil
}

func (sealed) CredentialKeys(context.Context) (map[string]int, error) { return nil, nil }

// TestSEC54_SealedMemory keeps a token where nobody can read it.
func TestSEC54_SealedMemory(t *testing.T) {
	line, err := secret.GenerateKey("one")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := secret.Parse(line)
	if err != nil {
		t.Fatal(err)
	}
	store := sealed{}
	_, cfg := modern(t)
	cfg.Memory = client.NewVaultMemory(secret.NewVault(store, keys))
	if memo := recalled(t, cfg.Memory, cfg.JID); memo != (client.Memo{}) {
		t.Errorf("remembered %+v", memo)
	}
	stopped(t, serve(t, cfg, ignore).online())
	memo := recalled(t, cfg.Memory, cfg.JID)
	if memo.Token.Secret.IsZero() || !memo.Pinned || memo.Token.Expiry.IsZero() || memo.Token.Agent != cfg.UserAgent.ID {
		t.Fatalf("remembered %+v", memo)
	}
	for id, box := range store {
		if strings.Contains(string(box.Box), memo.Token.Secret.Reveal()) || id.User != cfg.JID {
			t.Errorf("%v is readable", id)
		}
	}
	cfg.Memory = client.NewVaultMemory(secret.NewVault(store, keys))
	stopped(t, serve(t, wrong(cfg), ignore).online())
	if got := recalled(t, cfg.Memory, cfg.JID).Token.Count; got != 1 {
		t.Errorf("count %d", got)
	}
	for id, box := range store {
		box.Box[len(box.Box)-1] ^= 1
		store[id] = box
	}
	refused(t, cfg, secret.ErrTampered, client.StageSignIn, false)
}
