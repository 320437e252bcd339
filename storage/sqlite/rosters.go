package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"slices"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
)

const usersPage = 250

// Roster implements storage.Rosters.
func (s *Store) Roster(ctx context.Context, user jid.JID) (r storage.Roster, err error) {
	err = s.read(ctx, "roster", func(q Querier) error {
		var read int64
		r.Items, err = items(ctx, q, user, func(rows *sql.Rows, item ...any) error {
			return rows.Scan(append(item, address{&r.User}, &read)...)
		})
		if err == nil && r.User.IsZero() {
			err = storage.ErrNotFound
		}
		r.Read = instant(read)
		return err
	})
	if err != nil {
		return storage.Roster{}, err
	}
	return r, nil
}

// items reads the items of a user, in one look at the roster and them. scan is given where the item goes, and adds where the roster
// does.
func items(ctx context.Context, q Querier, user jid.JID, scan func(rows *sql.Rows, item ...any) error) ([]storage.RosterItem, error) {
	items, err := all(ctx, q, func(rows *sql.Rows, i *storage.RosterItem) error {
		var contact, name, subscription, groups sql.NullString
		var ask sql.NullBool
		if err := scan(rows, &contact, &name, &subscription, &ask, &groups); err != nil || !contact.Valid {
			return err
		}
		i.Name, i.Subscription, i.Ask = name.String, subscription.String, ask.Bool
		if err := (address{&i.Contact}).Scan(contact.String); err != nil {
			return err
		}
		return json.Unmarshal([]byte(groups.String), &i.Groups)
	}, `
		SELECT i.written, i.name, i.subscription, i.ask, i.groups, r.written, r.read_at
		FROM rosters r LEFT JOIN roster_items i USING (account) WHERE r.account = ? ORDER BY i.contact`, storage.Key(user))
	if len(items) == 1 && items[0].Contact.IsZero() { // a roster without items
		items = nil
	}
	return items, err
}

// ReplaceRoster implements storage.Rosters.
func (s *Store) ReplaceRoster(ctx context.Context, user jid.JID, given []storage.RosterItem) (changed bool, err error) {
	if user.IsZero() {
		return false, fmt.Errorf("%w: the user is empty", storage.ErrInvalid)
	}
	sorted, err := storage.SortedItems(given)
	if err != nil {
		return false, err
	}
	err = s.write(ctx, "replace roster", func(q *tx) error {
		var ignored any
		before, err := items(ctx, q, user, func(rows *sql.Rows, item ...any) error { return rows.Scan(append(item, &ignored, &ignored)...) })
		if err != nil {
			return err
		}
		if _, err := q.ExecContext(ctx, `
			INSERT INTO rosters (account, written, read_at) VALUES (?, ?, ?)
			ON CONFLICT (account) DO UPDATE SET written = excluded.written, read_at = excluded.read_at`,
			storage.Key(user), user.BareString(), now()); err != nil {
			return err
		}
		if changed = !slices.EqualFunc(before, sorted, sameItem); !changed {
			return nil
		}
		if _, err := q.ExecContext(ctx, "DELETE FROM roster_items WHERE account = ?", storage.Key(user)); err != nil {
			return err
		}
		for _, i := range sorted {
			if err := putItem(ctx, q, user, i); err != nil {
				return err
			}
		}
		return nil
	})
	return changed && err == nil, err
}

func sameItem(a, b storage.RosterItem) bool {
	return a.Contact == b.Contact && a.Name == b.Name && a.Subscription == b.Subscription && a.Ask == b.Ask && slices.Equal(a.Groups, b.Groups)
}

func putItem(ctx context.Context, q Querier, user jid.JID, i storage.RosterItem) error {
	groups, err := json.Marshal(append([]string{}, i.Groups...))
	if err != nil {
		return err
	}
	_, err = q.ExecContext(ctx, `
		INSERT INTO roster_items (account, contact, written, name, subscription, ask, groups) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (account, contact) DO UPDATE
		SET written = excluded.written, name = excluded.name, subscription = excluded.subscription, ask = excluded.ask, groups = excluded.groups`,
		storage.Key(user), storage.FullKey(i.Contact), i.Contact.String(), i.Name, i.Subscription, i.Ask, string(groups))
	return err
}

// PutRosterItem implements storage.Rosters.
func (s *Store) PutRosterItem(ctx context.Context, user jid.JID, item storage.RosterItem) error {
	sorted, err := storage.SortedItems([]storage.RosterItem{item})
	if err != nil {
		return err
	}
	return s.write(ctx, "put roster item", func(q *tx) error {
		var read, room bool
		err := q.QueryRowContext(ctx, `
			SELECT EXISTS (SELECT 1 FROM rosters WHERE account = ?1),
				EXISTS (SELECT 1 FROM roster_items WHERE account = ?1 AND contact = ?2)
				OR (SELECT count(*) FROM roster_items WHERE account = ?1) < ?3`,
			storage.Key(user), storage.FullKey(item.Contact), storage.MaxRosterItems).Scan(&read, &room)
		switch {
		case err != nil:
			return err
		case !read:
			return fmt.Errorf("%w: the roster was never read", storage.ErrNotFound)
		case !room:
			return fmt.Errorf("%w: the roster has %d items", storage.ErrFull, storage.MaxRosterItems)
		}
		return putItem(ctx, q, user, sorted[0])
	})
}

// DeleteRosterItem implements storage.Rosters.
func (s *Store) DeleteRosterItem(ctx context.Context, user, contact jid.JID) error {
	return s.write(ctx, "delete roster item", func(q *tx) error {
		_, err := q.ExecContext(ctx, "DELETE FROM roster_items WHERE account = ? AND contact = ?", storage.Key(user), storage.FullKey(contact))
		return err
	})
}

// DeleteRoster implements storage.Rosters.
func (s *Store) DeleteRoster(ctx context.Context, user jid.JID) error {
	return s.write(ctx, "delete roster", func(q *tx) error {
		_, err := q.ExecContext(ctx, "DELETE FROM rosters WHERE account = ?", storage.Key(user)) // the items go with it
		return err
	})
}

// EachRosterUser implements storage.Rosters.
func (s *Store) EachRosterUser(ctx context.Context) iter.Seq2[jid.JID, error] {
	return each(ctx, s, "rosters", "", func(q Querier, after string) ([]keyed[string, jid.JID], error) {
		return all(ctx, q, func(rows *sql.Rows, k *keyed[string, jid.JID]) error { return rows.Scan(address{&k.value}, &k.key) },
			"SELECT written, account FROM rosters WHERE account > ? ORDER BY account LIMIT ?", after, usersPage)
	})
}
