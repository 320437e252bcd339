//go:build integration

package postgres_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/postgres"
)

// roomLimit is how large the server's files may become: larger than those of the write-ahead log, which are 16 MiB from the start, so
// that the table is what has no room, and no multiple of a page, so that the last page is written in part, as on a full disk.
const roomLimit = 17<<20 + 100

// limitFiles bounds the files that the store's connections may write on the server, or lifts the bound. It is the server's own user who
// does it, in a process that the statement starts.
func limitFiles(t *testing.T, dsn, limit string) {
	t.Helper()
	ctx := t.Context()
	conn := connect(t, dsn)
	rows, err := conn.Query(ctx, "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'")
	if err != nil {
		t.Fatal(err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil || len(pids) == 0 {
		t.Fatalf("connections %v, %v", pids, err)
	}
	if _, err := conn.Exec(ctx, "CREATE TEMP TABLE said (line text)"); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if _, err := conn.Exec(ctx, fmt.Sprintf("COPY said FROM PROGRAM 'prlimit --pid=%d --fsize=%s:unlimited'", pid, limit)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFLT18_DiskFullPostgres has a real server run out of room in the middle of writing, and get room again.
func TestFLT18_DiskFullPostgres(t *testing.T) {
	dsn := shared.dsn(t)
	s := open(t, postgres.Config{DSN: dsn, MaxConns: 2})
	account := func(i int) storage.Account {
		data := make([]byte, 60<<10)
		_, _ = rand.Read(data) // which does not compress
		return storage.Account{User: jid.MustParse(fmt.Sprintf("u%d@localhost", i)), Data: data}
	}
	// Two in a transaction, so that half of one would show.
	put := func(i int) error {
		return s.InTx(t.Context(), func(ctx context.Context) error {
			return errors.Join(s.PutAccount(ctx, account(2*i)), s.PutAccount(ctx, account(2*i+1)))
		})
	}
	if err := put(0); err != nil {
		t.Fatal(err)
	}
	limitFiles(t, dsn, strconv.Itoa(roomLimit))
	var err error
	acked := 1
	for ; acked < 500; acked++ {
		if err = put(acked); err != nil {
			break
		}
	}
	noRoom := func(err error) bool {
		switch {
		case err == nil || storage.Uncertain(err):
			return false
		case strings.Contains(err.Error(), "File too large"): // newer servers tell such a limit from a full disk
			return true
		}
		return errors.Is(err, storage.ErrUnavailable) && strings.Contains(err.Error(), "53100")
	}
	if !noRoom(err) || acked < 100 {
		t.Fatalf("after %d transactions: %v", acked, err)
	}
	t.Logf("no room after %d transactions: %v", acked, err)
	count := func() (n int) {
		t.Helper()
		for a, err := range s.EachAccount(t.Context()) {
			if err != nil {
				t.Fatalf("a read without room: %v", err)
			}
			if len(a.Data) != 60<<10 {
				t.Errorf("%v has %d bytes", a.User, len(a.Data))
			}
			n++
		}
		return n
	}
	if n := count(); n != 2*acked {
		t.Errorf("%d accounts, and %d were acknowledged", n, 2*acked)
	}
	if err := put(acked); !noRoom(err) {
		t.Errorf("once more without room: %v", err)
	}
	limitFiles(t, dsn, "unlimited")
	for range 10 {
		if err := put(acked); err != nil {
			t.Errorf("with room again: %v", err)
		}
		acked++
	}
	if n := count(); n != 2*acked {
		t.Errorf("%d accounts, and %d were acknowledged", n, 2*acked)
	}
}
