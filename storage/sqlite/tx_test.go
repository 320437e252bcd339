package sqlite_test

import (
	"context"
	"testing"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/sqlite"
)

// After a read that failed a transaction is not committed, even if its function passes over the error (storage.Transactor).
func TestInTx_FailedRead(t *testing.T) {
	s, ctx, user := open(t, sqlite.Memory), t.Context(), jid.MustParse("juliet@example.com")
	if _, err := s.ReplaceRoster(ctx, user, []storage.RosterItem{{Contact: jid.MustParse("romeo@example.net"), Subscription: "both"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Querier(ctx).ExecContext(ctx, "UPDATE roster_items SET groups = 'broken'"); err != nil {
		t.Fatal(err)
	}
	err := s.InTx(ctx, func(ctx context.Context) error {
		if _, err := s.Roster(ctx, user); err == nil {
			t.Error("a broken roster was read")
		}
		return s.PutAccount(ctx, storage.Account{User: user})
	})
	if err == nil {
		t.Error("the transaction was committed")
	}
	if _, err := s.Account(ctx, user); err == nil {
		t.Error("its account is there")
	}
}
