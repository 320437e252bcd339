package storage

import (
	"context"
	"fmt"

	"github.com/postern-im/postern/jid"
)

// Sealed is a secret as the database has it. Package storage/secret makes and opens it.
type Sealed struct {
	Key string // id of the key that it was sealed with; not secret
	Box []byte // nonce, ciphertext and authenticator
}

// String tells which key it needs, and nothing else.
func (s Sealed) String() string { return fmt.Sprintf("sealed(%s, %d bytes)", s.Key, len(s.Box)) }

// CredentialID names a secret: whose it is and what it is for.
type CredentialID struct {
	User jid.JID // bare
	Name string  // such as "irc.libera.chat password"; at most 255 bytes
}

// Credentials are the secrets of users on foreign networks (XEP-0100 section 8.2 warns of them). A store sees them sealed only.
type Credentials interface {
	// Credential returns a secret; ErrNotFound where there is none.
	Credential(ctx context.Context, id CredentialID) (Sealed, error)
	// PutCredential adds or replaces a secret.
	PutCredential(ctx context.Context, id CredentialID, s Sealed) error
	// DeleteCredential forgets a secret. It is no error if there is none.
	DeleteCredential(ctx context.Context, id CredentialID) error
	// ResealCredentials hands secrets that were not sealed with the given key to reseal, at most limit of them, and stores what it
	// returns in their place, all in one transaction. It returns how many there were: 0 when all are sealed with the key. A secret
	// that changes meanwhile is never overwritten with an older one. An error of reseal ends it and nothing is stored; a limit
	// less than 1 is ErrInvalid. reseal must not call the store.
	ResealCredentials(ctx context.Context, key string, limit int, reseal func(CredentialID, Sealed) (Sealed, error)) (int, error)
	// CredentialKeys returns how many secrets are sealed with which key.
	CredentialKeys(ctx context.Context) (map[string]int, error)
}
