package sqlite_test

import (
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/postern-im/postern/storage"
)

const benchBatch = 64

var benchStanza = []byte("<message to='juliet@example.org' from='romeo@gw.example.org' type='chat' id='0123456789abcdef'>" +
	"<body>But, soft! what light through yonder window breaks? It is the east, and Juliet is the sun.</body></message>")

// BenchmarkOutbox puts, claims and finishes messages in batches of 64, each call a transaction on the disk. The figures are per message.
func BenchmarkOutbox(b *testing.B) {
	s, ctx := open(b, filepath.Join(b.TempDir(), "gateway.db")), b.Context()
	lease, err := s.AcquireLease(ctx, "outbox", "bench", time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	messages := make([]storage.OutboxMessage, benchBatch)
	for n := 0; b.Loop(); n++ {
		for i := range messages {
			messages[i] = storage.OutboxMessage{Conversation: fmt.Sprint("juliet@example.org ", i%8), ID: fmt.Sprint(n, "/", i), Stanza: benchStanza}
		}
		if _, err := s.PutOutbox(ctx, messages...); err != nil {
			b.Fatal(err)
		}
		rows, err := s.ClaimOutbox(ctx, lease, benchBatch)
		if err != nil || len(rows) != benchBatch {
			b.Fatalf("%d rows, %v", len(rows), err)
		}
		seqs := make([]int64, len(rows))
		for i, r := range rows {
			seqs[i] = r.Seq
		}
		if err := s.FinishOutbox(ctx, lease, seqs...); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchBatch), "ns/message")
}

// BenchmarkBareInsert is what the same number of transactions cost without us: rows of the same size go into a table without an index,
// 64 to a transaction.
func BenchmarkBareInsert(b *testing.B) {
	dsn := url.URL{Scheme: "file", Opaque: filepath.Join(b.TempDir(), "bare.db"), RawQuery: "_journal_mode=WAL&_synchronous=FULL"}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE TABLE bare (id TEXT, stanza BLOB)"); err != nil {
		b.Fatal(err)
	}
	for n := 0; b.Loop(); n++ {
		tx, err := db.Begin()
		if err != nil {
			b.Fatal(err)
		}
		for i := range benchBatch {
			if _, err := tx.Exec("INSERT INTO bare (id, stanza) VALUES (?, ?)", fmt.Sprint(n, "/", i), benchStanza); err != nil {
				b.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchBatch), "ns/message")
}

// BenchmarkFirstSeen is one small transaction on the disk.
func BenchmarkFirstSeen(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "gateway.db"))
	for n := 0; b.Loop(); n++ {
		if first, err := s.FirstSeen(b.Context(), "xmpp", "juliet@example.org", fmt.Sprint(n)); err != nil || !first {
			b.Fatal(first, err)
		}
	}
}
