package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"iter"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
)

const subscriptionsPage = 250

// Subscription implements storage.Subscriptions.
func (s *Store) Subscription(ctx context.Context, own, user jid.JID) (state storage.SubscriptionState, err error) {
	err = s.read(ctx, "subscription", func(q Querier) error {
		err := found(q.QueryRowContext(ctx, "SELECT state FROM subscriptions WHERE own = ? AND account = ?", storage.Key(own), storage.Key(user)).
			Scan(&state))
		if err == storage.ErrNotFound { //nolint:errorlint // it is our own, as it is
			return nil
		}
		return err
	})
	return state, err
}

// SetSubscription implements storage.Subscriptions.
func (s *Store) SetSubscription(ctx context.Context, sub storage.Subscription) error {
	if err := sub.Check(); err != nil {
		return err
	}
	own, user := storage.Key(sub.Own), storage.Key(sub.User)
	return s.write(ctx, "set subscription", func(q *tx) error {
		if sub.State == 0 {
			_, err := q.ExecContext(ctx, "DELETE FROM subscriptions WHERE own = ? AND account = ?", own, user)
			return err
		}
		n, err := affected(q.ExecContext(ctx, `
			INSERT INTO subscriptions (own, account, own_written, written, state)
			SELECT ?1, ?2, ?3, ?4, ?5
			WHERE (SELECT count(*) FROM subscriptions WHERE account = ?2) < ?6
				OR EXISTS (SELECT 1 FROM subscriptions WHERE own = ?1 AND account = ?2)
			ON CONFLICT (own, account) DO UPDATE
			SET own_written = excluded.own_written, written = excluded.written, state = excluded.state`,
			own, user, sub.Own.BareString(), sub.User.BareString(), sub.State, storage.MaxSubscriptions))
		if err == nil && n == 0 {
			err = fmt.Errorf("%w: the user has %d subscriptions", storage.ErrFull, storage.MaxSubscriptions)
		}
		return err
	})
}

// EachSubscription implements storage.Subscriptions.
func (s *Store) EachSubscription(ctx context.Context, own jid.JID) iter.Seq2[storage.Subscription, error] {
	query := `SELECT own, account, own_written, written, state FROM subscriptions
		WHERE own = ?1 AND account > ?3 ORDER BY account LIMIT ?4`
	if own.IsZero() {
		query = `SELECT own, account, own_written, written, state FROM subscriptions
			WHERE (own, account) > (?2, ?3) ORDER BY own, account LIMIT ?4`
	}
	return each(ctx, s, "subscriptions", [2]string{}, func(q Querier, after [2]string) ([]keyed[[2]string, storage.Subscription], error) {
		return all(ctx, q, func(rows *sql.Rows, k *keyed[[2]string, storage.Subscription]) error {
			return rows.Scan(&k.key[0], &k.key[1], address{&k.value.Own}, address{&k.value.User}, &k.value.State)
		}, query, storage.Key(own), after[0], after[1], subscriptionsPage)
	})
}
