package outbox_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/internal/xmppserver"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/outbox"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

const (
	benchBatch = 64
	benchRound = 32 // batches
)

// instant is a stream whose server takes everything at once.
type instant struct{}

func (instant) AwaitOnline(context.Context) error { return nil }
func (instant) Barrier(context.Context) error     { return nil }
func (instant) ConfirmAll(_ context.Context, ss []stanza.Stanza) []error {
	return make([]error, len(ss))
}

// bare is what a database is measured by: a transaction that inserts these rows into a table and does nothing else.
type bare func(round, batch int, stanza []byte) error

// floors are two of them: a table with the key by which a repeated put is harmless, and one without any.
type floors struct{ keyed, plain bare }

func floorsSQLite(b *testing.B) floors {
	b.Helper()
	dsn := url.URL{Scheme: "file", Opaque: filepath.Join(b.TempDir(), "bare"), RawQuery: "_journal_mode=WAL&_synchronous=FULL&_txlock=immediate"}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	into := func(table, key string) bare {
		if _, err := db.Exec("CREATE TABLE " + table + " (seq INTEGER PRIMARY KEY, conversation TEXT, id TEXT, stanza BLOB" + key + ")"); err != nil {
			b.Fatal(err)
		}
		return func(round, batch int, stanza []byte) error {
			tx, err := db.Begin()
			if err != nil {
				return err
			}
			for i := range benchBatch {
				if _, err := tx.Exec("INSERT INTO "+table+" (conversation, id, stanza) VALUES (?, ?, ?)", conversationOf(i), benchID(round, batch, i), stanza); err != nil {
					return err
				}
			}
			return tx.Commit()
		}
	}
	return floors{into("keyed", ", UNIQUE (conversation, id)"), into("plain", "")}
}

func conversationOf(i int) string        { return fmt.Sprintf("c%d@peer.localhost", i%8) }
func benchID(round, batch, i int) string { return fmt.Sprintf("%d-%d-%d", round, batch, i) }

// throughput has batches put and sent, in turn with the same rows inserted into a bare table. The figures are per message.
func throughput(b *testing.B, st store, floor floors, connect func(b *testing.B, owner *outbox.Owner) outbox.Stream) {
	b.Helper()
	owner, err := outbox.NewOwner(outbox.OwnerConfig{TTL: time.Minute}, st, nil)
	if err != nil {
		b.Fatal(err)
	}
	box, err := outbox.New(outbox.Config{Domain: jid.MustParse("gateway.localhost"), Batch: benchBatch}, st, owner, nil)
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- owner.Run(ctx, func(ctx context.Context) error { return box.Run(ctx, connect(b, owner)) })
	}()
	b.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	text := "But, soft! what light through yonder window breaks? It is the east, and Juliet is the sun."
	row, err := box.EncodeRow(&stanza.Message{
		Header: stanza.Header{ID: "0123456789", To: jid.MustParse(conversationOf(0))}, Type: stanza.MessageChat, Body: stanza.NewText(text),
	})
	if err != nil {
		b.Fatal(err)
	}
	var keyed, plain, ours time.Duration
	rounds := 0
	inserting := func(into bare) time.Duration {
		start := time.Now()
		for batch := range benchRound {
			if err := into(rounds, batch, row.Stanza); err != nil {
				b.Fatal(err)
			}
		}
		return time.Since(start)
	}
	for b.Loop() {
		keyed += inserting(floor.keyed)
		plain += inserting(floor.plain)
		start := time.Now()
		var last *outbox.Watch
		for batch := range benchRound {
			ss := make([]stanza.Stanza, benchBatch)
			for i := range ss {
				ss[i] = &stanza.Message{
					Header: stanza.Header{ID: benchID(rounds, batch, i), To: jid.MustParse(conversationOf(i))}, Type: stanza.MessageChat, Body: stanza.NewText(text),
				}
			}
			if batch == benchRound-1 {
				last = box.Watch(ss[benchBatch-1])
			}
			if _, err := box.Put(ctx, ss...); err != nil {
				b.Fatal(err)
			}
		}
		if err := last.Wait(ctx); err != nil {
			b.Fatal(err)
		}
		ours += time.Since(start)
		rounds++
	}
	n := float64(rounds * benchRound * benchBatch)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(plain.Nanoseconds())/n, "ns/plain-insert")
	b.ReportMetric(float64(keyed.Nanoseconds())/n, "ns/insert")
	b.ReportMetric(float64(ours.Nanoseconds())/n, "ns/message")
	b.ReportMetric(float64(ours)/float64(keyed), "x-insert")
	b.ReportMetric(float64(ours)/float64(plain), "x-plain-insert")
}

// linked is a component behind a server in this process, which delivers to nobody.
func linked(b *testing.B, owner *outbox.Owner) outbox.Stream {
	b.Helper()
	s, err := xmppserver.New(xmppserver.Config{
		Components: map[string]string{"gateway.localhost": "secret"}, Listen: xmppserver.Listen{Component: "127.0.0.1:0"},
		Trace: xmppserver.Trace{Undeliverable: func(jid.JID, xmltree.Element) bool { return true }},
	}, nil)
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	c, err := component.New(component.Config{Domain: jid.MustParse("gateway.localhost"), Secret: "secret", Addr: s.ComponentAddr(), Fence: owner.Check}, nil)
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Serve(ctx, handler{}) }()
	b.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	return c
}

func noLink(*testing.B, *outbox.Owner) outbox.Stream { return instant{} }

// links are between what and what the outbox is measured.
var links = map[string]func(*testing.B, *outbox.Owner) outbox.Stream{"storage alone": noLink, "with a link": linked}

// BenchmarkOutbox is the way of messages through the outbox, in batches of 64: put, claimed, sent, confirmed, finished; beside what it
// costs to insert them into a table.
func BenchmarkOutbox(b *testing.B) {
	for name, connect := range links {
		b.Run("sqlite, "+name, func(b *testing.B) {
			st, err := openSQLite(b.Context(), filepath.Join(b.TempDir(), "store"))
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = st.Close() })
			throughput(b, st, floorsSQLite(b), connect)
		})
	}
}
