package postgres

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/postgres/internal/queries"
)

const usersPage = 250

// Roster implements storage.Rosters.
func (s *Store) Roster(ctx context.Context, user jid.JID) (r storage.Roster, err error) {
	err = s.read(ctx, "roster", func(ctx context.Context, q querier) error {
		rows, err := q.Roster(ctx, storage.Key(user))
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return storage.ErrNotFound
		}
		r = storage.Roster{Read: instant(rows[0].ReadAt)}
		if r.User, err = address(rows[0].UserWritten); err != nil {
			return err
		}
		for _, row := range rows {
			if row.Written == nil { // a roster without items
				break
			}
			contact, err := address(*row.Written)
			if err != nil {
				return err
			}
			r.Items = append(r.Items, storage.RosterItem{
				Contact: contact, Name: *row.Name, Subscription: *row.Subscription, Ask: *row.Ask, Groups: row.Groups,
			})
		}
		return nil
	})
	if err != nil {
		return storage.Roster{}, err
	}
	return r, nil
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
	key := storage.Key(user)
	err = s.write(ctx, "replace roster", func(ctx context.Context, q querier) error {
		if err := q.PutRoster(ctx, key, user.BareString()); err != nil { // and so locks it
			return err
		}
		before, err := q.RosterItems(ctx, key)
		if err != nil {
			return err
		}
		if changed = !slices.EqualFunc(before, sorted, sameItem); !changed {
			return nil
		}
		if err := q.DeleteRosterItems(ctx, key); err != nil {
			return err
		}
		rows := make([]queries.CopyRosterItemsParams, len(sorted))
		for i, item := range sorted {
			rows[i] = queries.CopyRosterItemsParams(rosterItem(key, item))
		}
		_, err = q.CopyRosterItems(ctx, rows)
		return err
	})
	return changed && err == nil, err
}

func sameItem(a queries.RosterItemsRow, b storage.RosterItem) bool {
	return a.Written == b.Contact.String() && a.Name == b.Name && a.Subscription == b.Subscription && a.Ask == b.Ask && slices.Equal(a.Groups, b.Groups)
}

func rosterItem(account string, i storage.RosterItem) queries.PutRosterItemParams {
	contact := storage.FullKey(i.Contact)
	return queries.PutRosterItemParams{
		Digest: digest(account, contact), Account: account, Contact: contact, Written: i.Contact.String(), Name: i.Name,
		Subscription: i.Subscription, Ask: i.Ask, Groups: append([]string{}, i.Groups...),
	}
}

// PutRosterItem implements storage.Rosters.
func (s *Store) PutRosterItem(ctx context.Context, user jid.JID, item storage.RosterItem) error {
	sorted, err := storage.SortedItems([]storage.RosterItem{item})
	if err != nil {
		return err
	}
	key := storage.Key(user)
	row := rosterItem(key, sorted[0])
	return s.write(ctx, "put roster item", func(ctx context.Context, q querier) error {
		if _, err := q.LockRoster(ctx, key); err != nil {
			return err
		}
		have, err := q.CountRosterItems(ctx, row.Digest, key)
		if err != nil {
			return err
		}
		if have.Items >= storage.MaxRosterItems && have.Known == 0 {
			return fmt.Errorf("%w: the roster has %d items", storage.ErrFull, have.Items)
		}
		return q.PutRosterItem(ctx, row)
	})
}

// DeleteRosterItem implements storage.Rosters.
func (s *Store) DeleteRosterItem(ctx context.Context, user, contact jid.JID) error {
	return s.write(ctx, "delete roster item", func(ctx context.Context, q querier) error {
		return q.DeleteRosterItem(ctx, digest(storage.Key(user), storage.FullKey(contact)))
	})
}

// DeleteRoster implements storage.Rosters.
func (s *Store) DeleteRoster(ctx context.Context, user jid.JID) error {
	return s.write(ctx, "delete roster", func(ctx context.Context, q querier) error {
		return q.DeleteRoster(ctx, storage.Key(user)) // the items go with it
	})
}

// EachRosterUser implements storage.Rosters.
func (s *Store) EachRosterUser(ctx context.Context) iter.Seq2[jid.JID, error] {
	return each(ctx, s, "rosters", "", func(ctx context.Context, q querier, behind string) ([]queries.RosterUsersBehindRow, error) {
		return q.RosterUsersBehind(ctx, behind, usersPage)
	}, func(row queries.RosterUsersBehindRow) (jid.JID, string, error) {
		user, err := address(row.Written)
		return user, row.Account, err
	})
}
