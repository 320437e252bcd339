package router_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// sink is a stream that encodes what is sent, gathers it as a real one does, and counts.
type sink struct {
	mu      sync.Mutex
	enc     *xmltree.Encoder
	buf     []byte
	cork    int
	sent    int
	writes  int
	batch   int
	batches chan struct{} // one for each batch of answers
}

func newSink(batch, window int) *sink {
	return &sink{enc: xmltree.NewEncoder(nil, stanza.NS), batch: batch, batches: make(chan struct{}, window)}
}

func (s *sink) Send(_ context.Context, st stanza.Stanza) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enc.Reset(s.buf)
	stanza.Encode(s.enc, st)
	if err := s.enc.Err(); err != nil {
		return err
	}
	s.buf = s.enc.Bytes()
	s.sent++
	if s.batch > 0 && s.sent%s.batch == 0 {
		s.batches <- struct{}{}
	}
	if s.cork == 0 || len(s.buf) > 32<<10 {
		s.write()
	}
	return nil
}

func (s *sink) write() {
	if len(s.buf) > 0 {
		s.writes++
		s.buf = s.buf[:0]
	}
}

func (s *sink) Request(context.Context, *stanza.IQ) (*stanza.IQ, error) {
	return nil, stanza.ServiceUnavailable
}

func (s *sink) Cork() {
	s.mu.Lock()
	s.cork++
	s.mu.Unlock()
}

func (s *sink) Uncork() {
	s.mu.Lock()
	if s.cork--; s.cork == 0 {
		s.write()
	}
	s.mu.Unlock()
}

func (s *sink) Flush() {
	s.mu.Lock()
	s.write()
	s.mu.Unlock()
}

// echoTo answers each message with itself.
func echoTo(out stanza.Sender) func(ctx context.Context, m *stanza.Message) error {
	return func(ctx context.Context, m *stanza.Message) error {
		return out.Send(ctx, &stanza.Message{Header: stanza.Header{ID: m.ID, From: m.To, To: m.From}, Type: m.Type, Body: m.Body})
	}
}

// traffic returns messages of many users to many addresses, in an order that mixes both.
func traffic(b *testing.B, users, addresses int) []stanza.Stanza {
	b.Helper()
	const n = 16384
	all := make([]stanza.Stanza, n)
	for i := range all {
		k := i * 7919
		all[i] = parse(b, fmt.Sprintf("<message from='user%d@example.org/phone' to='contact%d@gateway.example.org' id='m%d' type='chat'>"+
			"<body>It is a truth universally acknowledged, that a single man in possession of a good fortune must be</body></message>",
			k%users, k/users%addresses, i))
	}
	return all
}

const (
	benchBatch  = 64  // stanzas of one read
	benchWindow = 256 // stanzas outstanding
)

// drive hands batches to handle, at most a window ahead of the answers.
func drive(b *testing.B, all []stanza.Stanza, out *sink, batch, window int, handle func(batch []stanza.Stanza)) {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	ahead := 0
	for i := 0; i < b.N; i += batch {
		at := i % len(all)
		handle(all[at : at+batch])
		if ahead += batch; ahead >= window {
			<-out.batches
			ahead -= batch
		}
	}
	for ; ahead > 0; ahead -= batch {
		<-out.batches
	}
	b.ReportMetric(float64(out.writes)/float64(b.N), "writes/op")
}

// BenchmarkEchoLanes is a message through lane, worker and handler, and its answer into the buffer of the stream. Below it are
// the floors: without any order or fairness, and with a goroutine for each stanza.
func BenchmarkEchoLanes(b *testing.B) {
	for name, tt := range map[string]struct{ users, addresses, batch, window int }{
		"1000 users, 100 addresses": {1000, 100, benchBatch, benchWindow},
		"one user":                  {1, 1, benchBatch, benchWindow},
		"one at a time":             {1000, 100, 1, 1},
	} {
		b.Run(name, func(b *testing.B) {
			all := traffic(b, tt.users, tt.addresses)
			out := newSink(tt.batch, tt.window)
			r := newRouter(b, router.Config{LaneSize: 2 * benchWindow, Routes: []router.Route{router.HandleMessage(stanza.MessageChat, echoTo(out))}})
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			drive(b, all, out, tt.batch, tt.window, func(batch []stanza.Stanza) { r.HandleStanzas(ctx, out, batch) })
		})
	}
}

func BenchmarkEchoDirect(b *testing.B) {
	all := traffic(b, 1000, 100)
	out := newSink(benchBatch, benchWindow)
	h := echoTo(out)
	ctx := b.Context()
	drive(b, all, out, benchBatch, benchWindow, func(batch []stanza.Stanza) {
		out.Cork()
		for _, s := range batch {
			_ = h(ctx, s.(*stanza.Message))
		}
		out.Uncork()
	})
}

func BenchmarkEchoGoroutines(b *testing.B) {
	all := traffic(b, 1000, 100)
	out := newSink(benchBatch, benchWindow)
	h := echoTo(out)
	ctx := b.Context()
	drive(b, all, out, benchBatch, benchWindow, func(batch []stanza.Stanza) {
		for _, s := range batch {
			go func() { _ = h(ctx, s.(*stanza.Message)) }()
		}
	})
}
