package postgres

import (
	"context"
	"iter"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/postgres/internal/queries"
)

const accountsPage = 50 // each may have 64 KiB

// Account implements storage.Accounts.
func (s *Store) Account(ctx context.Context, user jid.JID) (a storage.Account, err error) {
	err = s.read(ctx, "account", func(ctx context.Context, q querier) error {
		row, err := q.FindAccount(ctx, storage.Key(user))
		if err != nil {
			return err
		}
		a, err = account(row)
		return err
	})
	if err != nil {
		return storage.Account{}, err
	}
	return a, nil
}

func account(row queries.FindAccountRow) (storage.Account, error) {
	user, err := address(row.Written)
	return storage.Account{User: user, Name: row.Name, Data: row.Data, Created: instant(row.Created), Updated: instant(row.Updated)}, err
}

// PutAccount implements storage.Accounts.
func (s *Store) PutAccount(ctx context.Context, a storage.Account) error {
	if err := a.Check(); err != nil {
		return err
	}
	return s.write(ctx, "put account", func(ctx context.Context, q querier) error {
		return q.PutAccount(ctx, queries.PutAccountParams{
			Account: storage.Key(a.User), Written: a.User.BareString(), Name: a.Name, Data: blob(a.Data),
		})
	})
}

// DeleteAccount implements storage.Accounts.
func (s *Store) DeleteAccount(ctx context.Context, user jid.JID) (there bool, err error) {
	err = s.write(ctx, "delete account", func(ctx context.Context, q querier) error {
		n, err := q.DeleteAccount(ctx, storage.Key(user))
		if err != nil {
			return err
		}
		there = n > 0
		return q.DeleteCredentials(ctx, storage.Key(user))
	})
	return there && err == nil, err
}

// EachAccount implements storage.Accounts.
func (s *Store) EachAccount(ctx context.Context) iter.Seq2[storage.Account, error] {
	return each(ctx, s, "accounts", "", func(ctx context.Context, q querier, behind string) ([]queries.Account, error) {
		return q.AccountsBehind(ctx, behind, accountsPage)
	}, func(row queries.Account) (storage.Account, string, error) {
		a, err := account(queries.FindAccountRow{Written: row.Written, Name: row.Name, Data: row.Data, Created: row.Created, Updated: row.Updated})
		return a, row.Account, err
	})
}
