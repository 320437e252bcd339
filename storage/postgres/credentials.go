package postgres

import (
	"context"
	"fmt"

	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/postgres/internal/queries"
)

// Credential implements storage.Credentials.
func (s *Store) Credential(ctx context.Context, id storage.CredentialID) (sealed storage.Sealed, err error) {
	if err := id.Check(); err != nil {
		return storage.Sealed{}, err
	}
	err = s.read(ctx, "credential", func(ctx context.Context, q querier) error {
		row, err := q.Credential(ctx, storage.Key(id.User), id.Name)
		sealed = storage.Sealed{Key: row.Key, Box: row.Box}
		return err
	})
	if err != nil {
		return storage.Sealed{}, err
	}
	return sealed, nil
}

// PutCredential implements storage.Credentials.
func (s *Store) PutCredential(ctx context.Context, id storage.CredentialID, sealed storage.Sealed) error {
	if err := id.Check(); err != nil {
		return err
	}
	if err := sealed.Check(); err != nil {
		return err
	}
	return s.write(ctx, "put credential", func(ctx context.Context, q querier) error {
		return q.PutCredential(ctx, queries.PutCredentialParams{
			Account: storage.Key(id.User), Name: id.Name, Written: id.User.BareString(), Key: sealed.Key, Box: blob(sealed.Box),
		})
	})
}

// DeleteCredential implements storage.Credentials.
func (s *Store) DeleteCredential(ctx context.Context, id storage.CredentialID) error {
	if err := id.Check(); err != nil {
		return err
	}
	return s.write(ctx, "delete credential", func(ctx context.Context, q querier) error {
		return q.DeleteCredential(ctx, storage.Key(id.User), id.Name)
	})
}

// ResealCredentials implements storage.Credentials. The rows are locked until all are resealed.
func (s *Store) ResealCredentials(
	ctx context.Context, key string, limit int, reseal func(storage.CredentialID, storage.Sealed) (storage.Sealed, error),
) (n int, err error) {
	if limit < 1 {
		return 0, fmt.Errorf("%w: a limit of %d credentials", storage.ErrInvalid, limit)
	}
	err = s.write(ctx, "reseal credentials", func(ctx context.Context, q querier) error {
		rows, err := q.CredentialsNotSealedWith(ctx, key, limited(limit))
		if err != nil {
			return err
		}
		updates := make([]queries.ResealCredentialParams, len(rows))
		for i, row := range rows { // before anything is written, so that a failure leaves nothing half done
			user, err := address(row.Written)
			if err != nil {
				return err
			}
			sealed, err := reseal(storage.CredentialID{User: user, Name: row.Name}, storage.Sealed{Key: row.Key, Box: row.Box})
			if err != nil {
				return err
			}
			if err := sealed.Check(); err != nil {
				return err
			}
			updates[i] = queries.ResealCredentialParams{Key: sealed.Key, Box: blob(sealed.Box), Account: row.Account, Name: row.Name}
		}
		for _, u := range updates {
			if err := q.ResealCredential(ctx, u); err != nil {
				return err
			}
		}
		n = len(rows)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// CredentialKeys implements storage.Credentials.
func (s *Store) CredentialKeys(ctx context.Context) (keys map[string]int, err error) {
	err = s.read(ctx, "keys of credentials", func(ctx context.Context, q querier) error {
		rows, err := q.CredentialKeys(ctx)
		keys = make(map[string]int, len(rows))
		for _, row := range rows {
			keys[row.Key] = int(row.Number)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return keys, nil
}
