package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/secret"
)

// Memo is what a client remembers of its account between two sign-ins.
type Memo struct {
	// Pinned says that the account has signed in with SCRAM or EXTERNAL: it is never to be signed in with less (XEP-0474 v0.5 section
	// "Business Rules").
	Pinned bool
	// Token is for the next sign-in (XEP-0484); the zero value is none.
	Token Token
}

// Token is what a server gave out for fast sign-in. It is worth as much as a password.
type Token struct {
	Secret    sasl.Secret
	Mechanism string    // the only one that it is good for
	Agent     string    // id of the user agent that it was issued to
	Expiry    time.Time // not used from then on
	Count     int       // how often it was used; only ever grows
}

// usable reports whether a user agent may use the token now.
func (t Token) usable(agent string) bool {
	return !t.Secret.IsZero() && t.Agent == agent && time.Now().Before(t.Expiry)
}

// Memory keeps what clients remember, for many accounts and goroutines. An account is served by one client at a time.
type Memory interface {
	// Recall returns what is remembered of an account, given bare; the zero Memo where nothing is.
	Recall(ctx context.Context, account jid.JID) (Memo, error)
	// Remember replaces it. After nil it outlasts whatever the implementation promises to outlast.
	Remember(ctx context.Context, account jid.JID, m Memo) error
}

// memory is for as long as the process lives.
type memory struct {
	mu    sync.Mutex
	memos map[jid.JID]Memo
}

// NewMemory returns a Memory that forgets everything with the process.
func NewMemory() Memory { return &memory{memos: make(map[jid.JID]Memo)} }

// Recall implements Memory.
func (k *memory) Recall(_ context.Context, account jid.JID) (Memo, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.memos[account.Bare()], nil
}

// Remember implements Memory.
func (k *memory) Remember(_ context.Context, account jid.JID, m Memo) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.memos[account.Bare()] = m
	return nil
}

// vaultName is what the secret of a client is called among those of its account.
const vaultName = "xmpp client"

// vaultMemory seals what is remembered.
type vaultMemory struct{ vault *secret.Vault }

// NewVaultMemory returns a Memory that outlasts the process: it is sealed in a database.
func NewVaultMemory(v *secret.Vault) Memory { return vaultMemory{v} }

// record is a Memo as it is sealed. Fields are only ever added.
type record struct {
	Pinned    bool      `json:"pinned"`
	Token     string    `json:"token,omitempty"`
	Mechanism string    `json:"mechanism,omitempty"`
	Agent     string    `json:"agent,omitempty"`
	Expiry    time.Time `json:"expiry,omitzero"`
	Count     int       `json:"count,omitempty"`
}

func vaultID(account jid.JID) storage.CredentialID {
	return storage.CredentialID{User: account.Bare(), Name: vaultName}
}

// Recall implements Memory.
func (k vaultMemory) Recall(ctx context.Context, account jid.JID) (Memo, error) {
	s, err := k.vault.Get(ctx, vaultID(account))
	if errors.Is(err, storage.ErrNotFound) {
		return Memo{}, nil
	}
	if err != nil {
		return Memo{}, err
	}
	var r record
	if err := json.Unmarshal([]byte(s.Reveal()), &r); err != nil {
		return Memo{}, errors.New("client: what is kept of the account cannot be read") // the cause would show a part of it
	}
	return Memo{Pinned: r.Pinned, Token: Token{
		Secret: sasl.NewSecret(r.Token), Mechanism: r.Mechanism, Agent: r.Agent, Expiry: r.Expiry, Count: r.Count,
	}}, nil
}

// Remember implements Memory.
func (k vaultMemory) Remember(ctx context.Context, account jid.JID, m Memo) error {
	b, err := json.Marshal(record{
		Pinned: m.Pinned, Token: m.Token.Secret.Reveal(), Mechanism: m.Token.Mechanism, Agent: m.Token.Agent,
		Expiry: m.Token.Expiry, Count: m.Token.Count,
	})
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	return k.vault.Put(ctx, vaultID(account), secret.New(string(b)))
}
