//go:build integration

package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/postgres"
)

const benchBatch = 64

var benchStanza = []byte("<message to='juliet@example.org' from='romeo@gw.example.org' type='chat' id='0123456789abcdef'>" +
	"<body>But, soft! what light through yonder window breaks? It is the east, and Juliet is the sun.</body></message>")

// BenchmarkOutbox puts, claims and finishes messages in batches of 64, each call a transaction, in turn with a floor: as many rows of
// the same size into a table without an index, by a prepared statement, each a transaction of its own, and then all in one. The
// figures are per message; of the others that work on the same machine all have the same share.
func BenchmarkOutbox(b *testing.B) {
	dsn := shared.dsn(b)
	s, ctx := open(b, postgres.Config{DSN: dsn}), b.Context()
	exec1(b, dsn, "CREATE TABLE bare (id text, stanza bytea)")
	conn := connect(b, dsn)
	lease, err := s.AcquireLease(ctx, "outbox", "bench", time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	var took [3]time.Duration
	measure := func(what int, f func() error) {
		b.Helper()
		start := time.Now()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		took[what] += time.Since(start)
	}
	messages := make([]storage.OutboxMessage, benchBatch)
	for n := 0; b.Loop(); n++ {
		for i := range messages {
			messages[i] = storage.OutboxMessage{Conversation: fmt.Sprint("juliet@example.org ", i%8), ID: fmt.Sprint(n, "/", i), Stanza: benchStanza}
		}
		measure(0, func() error { return cycle(ctx, s, lease, messages) })
		measure(1, func() error { return bare(ctx, conn, messages) })
		measure(2, func() error {
			tx, err := conn.Begin(ctx)
			if err != nil {
				return err
			}
			if err := bare(ctx, tx, messages); err != nil {
				return err
			}
			return tx.Commit(ctx)
		})
	}
	per := func(what int) float64 { return float64(took[what].Nanoseconds()) / float64(b.N*benchBatch) }
	b.ReportMetric(per(0), "ns/message")
	b.ReportMetric(per(0)/per(1), "x-bare")
	b.ReportMetric(per(0)/per(2), "x-bare-in-one")
}

// cycle sends messages through the outbox.
func cycle(ctx context.Context, s *postgres.Store, lease storage.Lease, messages []storage.OutboxMessage) error {
	if _, err := s.PutOutbox(ctx, messages...); err != nil {
		return err
	}
	rows, err := s.ClaimOutbox(ctx, lease, benchBatch)
	if err != nil || len(rows) != benchBatch {
		return fmt.Errorf("%d rows, %w", len(rows), err)
	}
	seqs := make([]int64, len(rows))
	for i, r := range rows {
		seqs[i] = r.Seq
	}
	return s.FinishOutbox(ctx, lease, seqs...)
}

// bare inserts messages without more ado.
func bare(ctx context.Context, q postgres.Querier, messages []storage.OutboxMessage) error {
	for _, m := range messages {
		if _, err := q.Exec(ctx, "INSERT INTO bare (id, stanza) VALUES ($1, $2)", m.ID, m.Stanza); err != nil {
			return err
		}
	}
	return nil
}
