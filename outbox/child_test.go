package outbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/outbox"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
)

// The child is a whole process of ours: it puts messages, sends what waits, and kills itself where it is told to. It is this test's
// binary, run again with its orders in the environment.

const ordersVar = "POSTERN_OUTBOX_CHILD"

// orders are what a child is to do.
type orders struct {
	Store          string // see openStore
	Addr           string // of the XMPP server
	Domain, Secret string // of the component
	Host           string // of the recipients, or To
	To             string // the recipient of all, where there is only one: then a conversation is told by the sender
	Run            string // begins all ids
	Transactions   int    // to put, of perTx messages each
	Die            string // where to end; empty: nowhere
	Nth            int    // the how manieth time it comes there
	Pause          bool   // in place of dying, stop until somebody says to go on
	Stay           bool   // until it is killed
	TTL            time.Duration
	Plant          string // a bug
	Verbose        bool
}

const (
	perTx         = 3
	conversations = 4
	childBatch    = 4
	culpritAt     = 13 // the message for which the link is lost, where that is ordered
)

// Exit codes of a child.
const (
	exitFailed   = 1
	exitUnharmed = 0 // it did all, and came nowhere where it was to die
)

func TestMain(m *testing.M) {
	if text := os.Getenv(ordersVar); text != "" {
		var o orders
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			panic(err)
		}
		if err := newChild(o).run(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(exitFailed)
		}
		os.Exit(exitUnharmed)
	}
	goleak.VerifyTestMain(wrapMain(m))
}

type child struct {
	orders
	came    atomic.Int64 // to the place
	writing sync.Mutex   // held while a lease is renewed
	lost    atomic.Bool  // a link was lost on purpose
	dials   atomic.Int64
	stop    context.CancelFunc
	c       *component.Component
}

func newChild(o orders) *child { return &child{orders: o} }

// at is called at each place.
func (c *child) at(place string) {
	if place != c.Die || int(c.came.Add(1)) != c.Nth {
		return
	}
	if c.Pause {
		// Not in the middle of a transaction, with which SQLite would keep all others out.
		c.writing.Lock()
		defer c.writing.Unlock()
		stopSelf()
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // nothing more happens
}

func (c *child) run() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ctx, c.stop = context.WithCancel(ctx)
	defer c.stop()
	store, err := openStore(ctx, c.Store)
	if err != nil {
		return err
	}
	defer store.Close()
	log := zap.NewNop()
	if c.Verbose {
		if log, err = zap.NewDevelopment(); err != nil {
			return err
		}
	}
	var use processStore = &renewing{store, c}
	if c.Plant == "no epoch" {
		use = &noEpoch{store, use}
	}
	owner, err := outbox.NewOwner(outbox.OwnerConfig{TTL: c.TTL, Poll: 20 * time.Millisecond}, use, log)
	if err != nil {
		return err
	}
	domain := jid.MustParse(c.Domain)
	box, err := outbox.New(outbox.Config{Domain: domain, Batch: childBatch, RetryMin: 10 * time.Millisecond}, use, owner, log)
	if err != nil {
		return err
	}
	c.c, err = component.New(component.Config{
		Domain: domain, Secret: component.Secret(c.Secret), Addr: c.Addr, Dial: c.dial, Fence: owner.Check,
		Backoff: component.Backoff{Min: time.Millisecond, Max: 50 * time.Millisecond},
	}, log)
	if err != nil {
		return err
	}
	owner.At(c.at)
	box.At(c.place)
	switch c.Plant {
	case "mark soon":
		box.PlantMarkSoon()
	case "fresh ids":
		box.PlantFreshIDs()
	case "send soon":
		box.PlantSendSoon(func(s stanza.Stanza) { _ = c.c.Confirm(ctx, s) })
	case "no epoch":
		owner.PlantUnfenced()
	}
	done := make(chan error, 1)
	go func() { done <- run(ctx, owner, box, c.c) }()
	if c.Plant == "send soon" { // or it would wait for the lease within a transaction
		if err := c.c.AwaitOnline(ctx); err != nil {
			return err
		}
	}
	if err := c.put(ctx, store, box); err != nil {
		return err
	}
	err = c.drained(ctx, store)
	c.stop()
	return errors.Join(err, <-done)
}

// drained returns when nothing waits any more, and the child is not to stay.
func (c *child) drained(ctx context.Context, store storage.Store) error {
	for {
		st, err := store.OutboxStats(ctx)
		if ctx.Err() != nil { // told to stop, at a place
			return nil
		}
		if err != nil || st.Waiting == 0 && !c.Stay {
			return err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// place is what the outbox calls.
func (c *child) place(at string) {
	if at == "before send" && c.Die == "drain" {
		c.stop() // the batch is sent all the same
	}
	if strings.HasPrefix(c.Die, "culprit: ") {
		at = "culprit: " + at
	}
	c.at(at)
}

// put commits transactions, and one in four is rolled back. What is committed is noted in the same transaction, so that the database can
// tell.
func (c *child) put(ctx context.Context, store storage.Store, box *outbox.Outbox) error {
	undone := errors.New("changed my mind")
	for i := range c.Transactions {
		undo := i%4 == 3
		err := store.InTx(ctx, func(ctx context.Context) error {
			c.at("before insert")
			for k := range perTx {
				n := i*perTx + k
				m := c.message(n)
				if _, err := box.Put(ctx, m); err != nil {
					return err
				}
			}
			c.at("inserted")
			if err := store.PutBlob(ctx, ledgerBucket(c.Run), fmt.Sprint(i), []byte("committed"), 1<<20); err != nil {
				return err
			}
			c.at("before commit")
			if undo {
				return undone
			}
			return nil
		})
		if undo && errors.Is(err, undone) {
			continue
		}
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		c.at("committed")
	}
	return nil
}

func ledgerBucket(run string) string { return "ledger " + run }

// message is the n-th message of a run.
func (c *orders) message(n int) *stanza.Message {
	id := fmt.Sprintf("%s-%d", c.Run, n)
	from, to := c.conversation(n)
	return &stanza.Message{Header: stanza.Header{ID: id, From: jid.MustParse(from), To: jid.MustParse(to)}, Type: stanza.MessageChat, Body: stanza.NewText(body(id))}
}

// conversation returns between whom the n-th message is.
func (c *orders) conversation(n int) (from, to string) {
	if c.To != "" {
		return fmt.Sprintf("c%d@%s", n%conversations, c.Domain), c.To
	}
	return c.Domain, fmt.Sprintf("c%d@%s", n%conversations, c.Host)
}

// dial opens a connection on which the child can die.
func (c *child) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c.dials.Add(1)
	if c.lost.Load() {
		c.at("reconnect: before the dial")
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &mine{Conn: conn, c: c}, nil
}

// mine is a connection with places in it.
type mine struct {
	net.Conn
	c         *child
	messages  atomic.Bool // some have been written
	handshake atomic.Bool // has been written
}

func (m *mine) Write(b []byte) (int, error) {
	messages := bytes.Contains(b, []byte("<message"))
	switch {
	case bytes.Contains(b, []byte("</stream:stream>")):
		m.c.at("before the stream is closed")
	case bytes.Contains(b, []byte("<handshake")):
		m.handshake.Store(true)
		if m.c.lost.Load() {
			m.c.at("reconnect: before the handshake")
		}
	case messages:
		culprit := fmt.Appendf(nil, "id='%s-%d'", m.c.Run, culpritAt)
		if strings.HasPrefix(m.c.Die, "culprit") && bytes.Contains(b, culprit) || strings.HasPrefix(m.c.Die, "reconnect") && !m.c.lost.Load() {
			m.c.lost.Store(true)
			_ = m.Close()
			return 0, net.ErrClosed
		}
		m.c.at("before the write")
		if m.c.Die == "half written" && int(m.c.came.Load())+1 == m.c.Nth {
			_, _ = m.Conn.Write(b[:len(b)/2])
		}
		m.c.at("half written")
		if m.c.lost.Load() {
			m.c.at("reconnect: before the write")
		}
	}
	n, err := m.Conn.Write(b)
	if messages {
		m.messages.Store(true)
		m.c.at("written")
		if m.c.lost.Load() {
			m.c.at("reconnect: written")
		}
	}
	return n, err
}

func (m *mine) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	if n > 0 && m.messages.Load() && bytes.Contains(b[:n], []byte("urn:xmpp:ping")) {
		m.c.at("barrier read")
	}
	return n, err
}

// processStore is what a child uses of a store.
type processStore interface {
	outbox.Store
	storage.Leases
}

// noEpoch is a store that does not ask who has the lease: a planted bug.
type noEpoch struct {
	storage.Store
	with storage.Leases
}

func (s *noEpoch) now(ctx context.Context, l storage.Lease) storage.Lease {
	if held, err := s.HeldLease(ctx, l.Name); err == nil {
		return held
	}
	return l
}

// ClaimOutbox implements storage.Outbox.
func (s *noEpoch) ClaimOutbox(ctx context.Context, l storage.Lease, limit int) ([]storage.OutboxRow, error) {
	return s.Store.ClaimOutbox(ctx, s.now(ctx, l), limit)
}

// FinishOutbox implements storage.Outbox.
func (s *noEpoch) FinishOutbox(ctx context.Context, l storage.Lease, seqs ...int64) error {
	return s.Store.FinishOutbox(ctx, s.now(ctx, l), seqs...)
}

// ReleaseOutbox implements storage.Outbox.
func (s *noEpoch) ReleaseOutbox(ctx context.Context, l storage.Lease, until time.Time, reason string, uncounted bool, seqs ...int64) error {
	return s.Store.ReleaseOutbox(ctx, s.now(ctx, l), until, reason, uncounted, seqs...)
}

// RenewLease implements storage.Leases.
func (s *noEpoch) RenewLease(ctx context.Context, l storage.Lease, ttl time.Duration) (storage.Lease, error) {
	if r, err := s.with.RenewLease(ctx, l, ttl); err == nil {
		return r, nil
	}
	return l, nil
}

// renewing is a store of which the child knows when a lease is being renewed.
type renewing struct {
	storage.Store
	c *child
}

// RenewLease implements storage.Leases.
func (s *renewing) RenewLease(ctx context.Context, l storage.Lease, ttl time.Duration) (storage.Lease, error) {
	s.c.writing.Lock()
	defer s.c.writing.Unlock()
	return s.Store.RenewLease(ctx, l, ttl)
}
