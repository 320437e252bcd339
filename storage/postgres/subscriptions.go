package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/postgres/internal/queries"
)

const subscriptionsPage = 250

// Subscription implements storage.Subscriptions.
func (s *Store) Subscription(ctx context.Context, own, user jid.JID) (state storage.SubscriptionState, err error) {
	err = s.read(ctx, "subscription", func(ctx context.Context, q querier) error {
		row, err := q.Subscription(ctx, digest(storage.Key(own), storage.Key(user)))
		state = storage.SubscriptionState(row) //nolint:gosec // the table holds it to 15
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		return 0, nil
	}
	return state, err
}

// SetSubscription implements storage.Subscriptions.
func (s *Store) SetSubscription(ctx context.Context, sub storage.Subscription) error {
	if err := sub.Check(); err != nil {
		return err
	}
	own, user := storage.Key(sub.Own), storage.Key(sub.User)
	pair := digest(own, user)
	return s.write(ctx, "set subscription", func(ctx context.Context, q querier) error {
		if sub.State == 0 {
			return q.DeleteSubscription(ctx, pair)
		}
		n, err := q.UpdateSubscription(ctx, queries.UpdateSubscriptionParams{
			Digest: pair, OwnWritten: sub.Own.BareString(), Written: sub.User.BareString(), State: int16(sub.State),
		})
		if err != nil || n > 0 {
			return err
		}
		if err := q.Lock(ctx, "subscriptions of "+user); err != nil { // so that two do not count the same
			return err
		}
		if n, err = q.CountSubscriptions(ctx, user); err != nil {
			return err
		}
		if n >= storage.MaxSubscriptions {
			return fmt.Errorf("%w: the user has %d subscriptions", storage.ErrFull, n)
		}
		return q.PutSubscription(ctx, queries.PutSubscriptionParams{
			Digest: pair, Own: own, OwnWritten: sub.Own.BareString(), Account: user, Written: sub.User.BareString(), State: int16(sub.State),
		})
	})
}

// EachSubscription implements storage.Subscriptions.
func (s *Store) EachSubscription(ctx context.Context, own jid.JID) iter.Seq2[storage.Subscription, error] {
	page := func(ctx context.Context, q querier, behind []byte) ([]queries.SubscriptionsBehindRow, error) {
		return q.SubscriptionsBehind(ctx, behind, subscriptionsPage)
	}
	if !own.IsZero() {
		page = func(ctx context.Context, q querier, behind []byte) ([]queries.SubscriptionsBehindRow, error) {
			rows, err := q.SubscriptionsOfBehind(ctx, storage.Key(own), behind, subscriptionsPage)
			all := make([]queries.SubscriptionsBehindRow, len(rows))
			for i, row := range rows {
				all[i] = queries.SubscriptionsBehindRow(row)
			}
			return all, err
		}
	}
	return each(ctx, s, "subscriptions", []byte{}, page, func(row queries.SubscriptionsBehindRow) (storage.Subscription, []byte, error) {
		own, err := address(row.OwnWritten)
		user, errUser := address(row.Written)
		state := storage.SubscriptionState(row.State) //nolint:gosec // the table holds it to 15
		return storage.Subscription{Own: own, User: user, State: state}, row.Digest, errors.Join(err, errUser)
	})
}
