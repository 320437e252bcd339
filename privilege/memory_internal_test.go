package privilege

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/storagetest"
)

// rostersAlone is a store that keeps nothing but rosters.
type rostersAlone struct {
	noOther
	storage.Rosters
}

type noOther struct {
	storage.Transactor
	storage.Accounts
	storage.Credentials
	storage.Subscriptions
	storage.Grants
	storage.Outbox
	storage.DeadLetters
	storage.Inbox
	storage.Delegated
	storage.Leases
	storage.Blobs
}

func (rostersAlone) Ping(context.Context) error { return nil }
func (rostersAlone) Close() error               { return nil }

// InTx undoes nothing: the suite's own use of it does not fail.
func (rostersAlone) InTx(ctx context.Context, f func(context.Context) error) error { return f(ctx) }

func TestMemoryIsAStore(t *testing.T) {
	storagetest.Rosters(t, storagetest.Engine{New: func(testing.TB) storage.Store {
		return rostersAlone{Rosters: newMemory(1000)}
	}})
}

func TestMemoryIsBounded(t *testing.T) {
	s := newMemory(10)
	user := func(i int) jid.JID { return jid.MustParse(fmt.Sprintf("u%d@localhost", i)) }
	for i := range 100 {
		if _, err := s.ReplaceRoster(t.Context(), user(i), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Roster(t.Context(), user(i)); err != nil {
			t.Fatalf("the newest is gone: %v", err)
		}
	}
	if len(s.rosters) != 10 {
		t.Errorf("%d rosters", len(s.rosters))
	}
	s = newMemory(1000)
	var items []storage.RosterItem
	for i := range 4000 {
		items = append(items, storage.RosterItem{Contact: user(i), Subscription: "to", Name: strings.Repeat("x", 4000)})
	}
	for i := range 5 {
		if _, err := s.ReplaceRoster(t.Context(), user(i), items); err != nil {
			t.Fatal(err)
		}
	}
	if s.size > maxMemory || len(s.rosters) != 3 {
		t.Errorf("%d rosters in %d bytes", len(s.rosters), s.size)
	}
	for i := range 5 {
		if err := s.DeleteRoster(t.Context(), user(i)); err != nil {
			t.Fatal(err)
		}
	}
	if s.size != 0 {
		t.Errorf("%d bytes of nothing", s.size)
	}
}

// TestSentAgain: a message that is sent again, as a queue does after a lost link, takes no more room than once.
func TestSentAgain(t *testing.T) {
	var s sent
	h := stanza.Header{ID: "inner", From: jid.MustParse("juliet@localhost"), To: jid.MustParse("romeo@localhost")}
	for range 3 {
		s.add("again", h)
		s.add("another", h)
	}
	if len(s.order) != 2 || s.size != 2*sentSize(h) {
		t.Errorf("%d are kept in %d bytes", len(s.order), s.size)
	}
	s.take("again")
	s.take("another")
	if s.size != 0 || len(s.byID) != 0 {
		t.Errorf("%d bytes for %d messages are left", s.size, len(s.byID))
	}
}
