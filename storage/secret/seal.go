package secret

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/postern-im/postern/storage"
)

// A box is a version, the mark of the key, a nonce, the ciphertext and its authenticator.
const (
	version  = 1
	markSize = 16
	nonceAt  = 1 + markSize
	headSize = nonceAt + chacha20poly1305.NonceSizeX
)

// Errors of opening, wrapped with whose secret it is.
var (
	// ErrNoKey is that the keyring lacks the key that a secret was sealed with.
	ErrNoKey = errors.New("the keyring lacks the key")
	// ErrWrongKey is that the keyring's key is another one with the same id.
	ErrWrongKey = errors.New("the keyring has another key with this id")
	// ErrTampered is that the box was changed, or is another secret's.
	ErrTampered = errors.New("what is stored was changed, or belongs to another secret")
)

// OpenError is that a secret cannot be opened. It wraps ErrNoKey, ErrWrongKey or ErrTampered.
type OpenError struct {
	ID  storage.CredentialID
	Key string // the id of the key that is needed
	Err error
}

// Error tells whose secret it is, which key it needs, and what is wrong.
func (e *OpenError) Error() string {
	return fmt.Sprintf("secret: %q of %q, sealed with key %q: %v", e.ID.Name, e.ID.User, e.Key, e.Err)
}

// Unwrap returns what is wrong.
func (e *OpenError) Unwrap() error { return e.Err }

// Seal seals a secret with the current key, for this id alone.
func (k *Keyring) Seal(id storage.CredentialID, s Secret) (storage.Sealed, error) {
	if err := id.Check(); err != nil {
		return storage.Sealed{}, err
	}
	text := []byte(s.Reveal())
	if len(text) > MaxSize {
		return storage.Sealed{}, fmt.Errorf("%w: a secret of %d bytes, at most %d", storage.ErrInvalid, len(text), MaxSize)
	}
	current := k.keys[k.current]
	head := make([]byte, headSize, headSize+len(text)+chacha20poly1305.Overhead)
	head[0] = version
	copy(head[1:], current.mark[:])
	if _, err := rand.Read(head[nonceAt:]); err != nil {
		return storage.Sealed{}, fmt.Errorf("secret: %w", err)
	}
	return storage.Sealed{Key: k.current, Box: current.seal(head, text, bound(id, k.current, head))}, nil //nolint:gosec // the nonce in head is random, as it was made above
}

func (k *key) seal(head, text, bound []byte) []byte {
	return k.aead.Seal(head, head[nonceAt:], text, bound) // guard: SEC-77 replace: k.aead.Seal(head, head[nonceAt:], text, bound) => append(head, text...)
}

// Open opens what was sealed for this id. An error is an [OpenError].
func (k *Keyring) Open(id storage.CredentialID, sealed storage.Sealed) (Secret, error) {
	fail := func(err error) (Secret, error) {
		return Secret{}, &OpenError{ID: id, Key: sealed.Key, Err: err}
	}
	key := k.keys[sealed.Key]
	if key == nil {
		return fail(ErrNoKey)
	}
	if len(sealed.Box) < headSize+chacha20poly1305.Overhead || sealed.Box[0] != version {
		return fail(ErrTampered)
	}
	head := sealed.Box[:headSize]
	if [markSize]byte(head[1:nonceAt]) != key.mark {
		return fail(ErrWrongKey)
	}
	text, err := key.aead.Open(nil, head[nonceAt:], sealed.Box[headSize:], bound(id, sealed.Key, head))
	if err != nil {
		return fail(ErrTampered)
	}
	return New(string(text)), nil
}

// bound is what a box is bound to, beside the key: it opens nowhere else.
func bound(id storage.CredentialID, key string, head []byte) []byte {
	b := []byte("postern: credential\x00")
	b = append(b, head[:nonceAt]...)
	b = appendPart(b, key)
	b = appendPart(b, storage.Key(id.User)) // guard: SEC-77 (a box in another user's row)
	b = appendPart(b, id.Name)              // guard: SEC-77 (a box in another secret's row)
	return b
}

// appendPart adds a text with its size, so that no two lists of texts are one.
func appendPart(b []byte, part string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(part))), part...) //nolint:gosec // parts are a few KiB at most
}
