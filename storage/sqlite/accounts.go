package sqlite

import (
	"context"
	"database/sql"
	"iter"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
)

const accountsPage = 100 // accounts; each may have 64 KiB

func scanAccount(scan func(...any) error, more ...any) (storage.Account, error) {
	var a storage.Account
	var created, updated int64
	err := scan(append([]any{address{&a.User}, &a.Name, &a.Data, &created, &updated}, more...)...)
	a.Created, a.Updated = instant(created), instant(updated)
	return a, err
}

// Account implements storage.Accounts.
func (s *Store) Account(ctx context.Context, user jid.JID) (a storage.Account, err error) {
	err = s.read(ctx, "account", func(q Querier) error {
		row := q.QueryRowContext(ctx, "SELECT written, name, data, created, updated FROM accounts WHERE account = ?", storage.Key(user))
		a, err = scanAccount(row.Scan)
		return found(err)
	})
	return a, err
}

// PutAccount implements storage.Accounts.
func (s *Store) PutAccount(ctx context.Context, a storage.Account) error {
	if err := a.Check(); err != nil {
		return err
	}
	return s.write(ctx, "put account", func(q *tx) error {
		at := now()
		_, err := q.ExecContext(ctx, `
			INSERT INTO accounts (account, written, name, data, created, updated) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (account) DO UPDATE
			SET written = excluded.written, name = excluded.name, data = excluded.data, updated = max(updated, excluded.updated)`,
			storage.Key(a.User), a.User.BareString(), a.Name, blob(a.Data), at, at)
		return err
	})
}

// DeleteAccount implements storage.Accounts.
func (s *Store) DeleteAccount(ctx context.Context, user jid.JID) (there bool, err error) {
	err = s.write(ctx, "delete account", func(q *tx) error {
		if _, err := q.ExecContext(ctx, "DELETE FROM credentials WHERE account = ?", storage.Key(user)); err != nil {
			return err
		}
		n, err := affected(q.ExecContext(ctx, "DELETE FROM accounts WHERE account = ?", storage.Key(user)))
		there = n > 0
		return err
	})
	return there && err == nil, err
}

// EachAccount implements storage.Accounts.
func (s *Store) EachAccount(ctx context.Context) iter.Seq2[storage.Account, error] {
	return each(ctx, s, "accounts", "", func(q Querier, after string) ([]keyed[string, storage.Account], error) {
		return all(ctx, q, func(rows *sql.Rows, k *keyed[string, storage.Account]) (err error) {
			k.value, err = scanAccount(rows.Scan, &k.key)
			return err
		}, "SELECT written, name, data, created, updated, account FROM accounts WHERE account > ? ORDER BY account LIMIT ?", after, accountsPage)
	})
}
