package secret

import (
	"context"
	"fmt"

	"github.com/postern-im/postern/storage"
)

// resealBatch is how many secrets are resealed in one transaction.
const resealBatch = 100

// Vault keeps secrets sealed in storage. It is for many goroutines at once.
type Vault struct {
	store storage.Credentials
	keys  *Keyring
}

// NewVault returns a vault. Neither argument may be nil.
func NewVault(store storage.Credentials, keys *Keyring) *Vault {
	return &Vault{store: store, keys: keys}
}

// Put adds or replaces a secret. Errors are those of storage; a secret larger than MaxSize is storage.ErrInvalid.
func (v *Vault) Put(ctx context.Context, id storage.CredentialID, s Secret) error {
	sealed, err := v.keys.Seal(id, s)
	if err != nil {
		return err
	}
	return v.store.PutCredential(ctx, id, sealed)
}

// Get returns a secret; storage.ErrNotFound where there is none, an [OpenError] where it cannot be opened.
func (v *Vault) Get(ctx context.Context, id storage.CredentialID) (Secret, error) {
	sealed, err := v.store.Credential(ctx, id)
	if err != nil {
		return Secret{}, err
	}
	return v.keys.Open(id, sealed)
}

// Delete forgets a secret. It is no error if there is none.
func (v *Vault) Delete(ctx context.Context, id storage.CredentialID) error {
	return v.store.DeleteCredential(ctx, id)
}

// Check returns an error that wraps ErrNoKey if secrets are stored that need keys which the keyring lacks. It opens none.
func (v *Vault) Check(ctx context.Context) error {
	counts, err := v.store.CredentialKeys(ctx)
	if err != nil {
		return err
	}
	for id, n := range counts {
		if !v.keys.Has(id) {
			return fmt.Errorf("secret: %d secrets need key %q: %w", n, id, ErrNoKey)
		}
	}
	return nil
}

// Reseal seals all secrets anew that are not sealed with the current key, batch by batch, and returns how many they were. progress,
// unless nil, is told after each batch how many were done and how many are left. It may be ended and called again at any time, and
// secrets may be read and written meanwhile. The first secret that cannot be opened ends it; what it is in the way of is named by
// the [OpenError]: bring its key back, or delete it.
func (v *Vault) Reseal(ctx context.Context, progress func(done, left int)) (done int, err error) {
	for {
		n, err := v.store.ResealCredentials(ctx, v.keys.Current(), resealBatch,
			func(id storage.CredentialID, old storage.Sealed) (storage.Sealed, error) {
				s, err := v.keys.Open(id, old)
				if err != nil {
					return storage.Sealed{}, err
				}
				return v.keys.Seal(id, s)
			})
		done += n
		if err != nil || n == 0 {
			return done, err
		}
		if progress == nil {
			continue
		}
		counts, err := v.store.CredentialKeys(ctx)
		if err != nil {
			return done, err
		}
		left := 0
		for key, n := range counts {
			if key != v.keys.Current() {
				left += n
			}
		}
		progress(done, left)
	}
}
