package outbox_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/outbox"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/xmltree"
)

// rude is a payload that cannot be encoded.
type rude struct{}

func (rude) PayloadName() xml.Name      { return xml.Name{Space: "urn:rude", Local: "rude"} }
func (rude) EncodeXML(*xmltree.Encoder) { panic("oops") }

// TestFLT31_PutRefuses tries to put what a server would not take, beside something that it would.
func TestFLT31_PutRefuses(t *testing.T) {
	deep := stanza.Payload(nil)
	for range 40 {
		name := xml.Name{Space: "urn:deep", Local: "a"}
		enc := xmltree.NewEncoder(nil, "")
		enc.SetLimits(1<<20, 100)
		enc.Start(name)
		if deep != nil {
			enc.Element(deep.(xmltree.Element))
		}
		enc.End()
		el, err := xmltree.Parse(enc.Bytes(), xmltree.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		deep = el
	}
	to := jid.MustParse("a@b")
	for name, s := range map[string]stanza.Stanza{
		"an IQ":                 &stanza.IQ{Header: stanza.Header{To: to}, Type: stanza.IQGet, Payload: rude{}},
		"no address":            &stanza.Message{},
		"a foreign sender":      &stanza.Message{Header: stanza.Header{To: to, From: jid.MustParse("else.where")}},
		"an unknown type":       &stanza.Message{Header: stanza.Header{To: to}, Type: "loud"},
		"an unknown presence":   &stanza.Presence{Header: stanza.Header{To: to}, Type: "loud"},
		"an error without one":  &stanza.Message{Header: stanza.Header{To: to}, Type: stanza.MessageError},
		"too large":             &stanza.Message{Header: stanza.Header{To: to}, Body: stanza.NewText(strings.Repeat("x", 300<<10))},
		"too deep":              &stanza.Message{Header: stanza.Header{To: to}, Payloads: []stanza.Payload{deep}},
		"a payload that panics": &stanza.Message{Header: stanza.Header{To: to}, Payloads: []stanza.Payload{rude{}}},
		"an id without end":     message("a@b", strings.Repeat("x", 300)),
		"an id that is no text": message("a@b", "\x00"),
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			p := newProcess(t, m, nil, nil)
			if n, err := p.box.Put(t.Context(), message("a@b", "good"), s); !errors.Is(err, outbox.ErrInvalid) || n != 0 {
				t.Errorf("got %d %v", n, err)
			}
			if rows := m.snapshot().rows; len(rows) != 0 {
				t.Errorf("stored %v", rows)
			}
		})
	}
}

func TestPut_Fills(t *testing.T) {
	m := newMemory()
	p := newProcess(t, m, nil, nil)
	s := message("a@b/c", "")
	s.Body = stanza.NewText("one\x01two")
	if _, err := p.box.Put(t.Context(), s, &stanza.Presence{Header: stanza.Header{ID: "p", To: jid.MustParse("A@b/d"), From: jid.MustParse("x@gw.test/y")}}); err != nil {
		t.Fatal(err)
	}
	rows := m.snapshot().rows
	if s.ID == "" || rows[0].ID != s.ID || rows[0].Conversation != "gw.test a@b" || rows[1].Conversation != "x@gw.test a@b" {
		t.Errorf("%q: %+v", s.ID, rows)
	}
	if want := "<message xmlns='jabber:client' from='gw.test' to='a@b/c' id='" + s.ID + "' type='chat'><body>one\ufffdtwo</body></message>"; string(rows[0].Stanza) != want {
		t.Errorf("got  %s\nwant %s", rows[0].Stanza, want)
	}
	if _, err := p.box.PutIn(t.Context(), "", s); !errors.Is(err, outbox.ErrInvalid) {
		t.Errorf("a conversation without a name: %v", err)
	}
	long := jid.MustParse(strings.Repeat("x", 1000) + "@" + strings.Repeat("y.", 100) + "example")
	if c := outbox.Conversation(long, long); len(c) > storage.MaxConversation || c != outbox.Conversation(long, long) || c == outbox.Conversation(jid.MustParse(gw), long) {
		t.Errorf("the conversation of long addresses is %q", c)
	}
}

// TestOrder has many conversations sent, in more than one batch.
func TestOrder(t *testing.T) {
	bubble(t, func(c *outbox.Config, _ *outbox.OwnerConfig, _ *component.Config) { c.Batch = 7 }, func(t *testing.T, p *process, m *memory, s *server) {
		const conversations, each = 5, 20
		for i := range each {
			err := m.InTx(t.Context(), func(ctx context.Context) error {
				for c := range conversations {
					if _, err := p.box.Put(ctx, message(fmt.Sprintf("u%d@b", c), fmt.Sprintf("%d-%d", c, i))); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		err := m.InTx(t.Context(), func(ctx context.Context) error {
			_, err := p.box.Put(ctx, message("u0@b", "never"))
			return errors.Join(err, errors.New("rolled back"))
		})
		if err == nil {
			t.Error("committed")
		}
		after(time.Second)
		next := make(map[string]int)
		for _, d := range s.taken() {
			if want := fmt.Sprintf("%s-%d", d.to[1:2], next[d.to]); d.id != want || d.body != "body of "+want {
				t.Errorf("%+v in place of %s", d, want)
			}
			next[d.to]++
		}
		if st := p.box.Stats(); len(s.taken()) != conversations*each || st.Sent != conversations*each || st.Batches < conversations*each/7 || st.InFlight != 0 {
			t.Errorf("%d taken, stats %+v", len(s.taken()), st)
		}
		if left := m.snapshot().rows; len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	})
}

// TestWatch learns what became of stanzas.
func TestWatch(t *testing.T) {
	bubble(t, nil, func(t *testing.T, p *process, m *memory, s *server) {
		s.setReact(func(d delivery) (string, bool) {
			switch d.id {
			case "gone":
				return refusal(d, "cancel", "gone"), false
			case "warned":
				return refusal(d, "continue", "undefined-condition"), false
			}
			return "", false
		})
		for id, want := range map[string]error{"fine": nil, "warned": nil, "gone": stanza.Gone} {
			msg := message("a@b", id)
			w, other := p.box.Watch(msg), p.box.Watch(msg)
			other.Stop()
			if _, err := p.box.Put(t.Context(), msg); err != nil {
				t.Fatal(err)
			}
			err := w.Wait(t.Context())
			if !errors.Is(err, want) || errors.Is(err, outbox.ErrDead) != (want != nil) || want == nil && err != nil {
				t.Errorf("%s: %v", id, err)
			}
			w.Stop()
		}
		if dead := m.snapshot().dead; len(dead) != 1 || dead[0].ID != "gone" || !strings.Contains(dead[0].Reason, "gone") {
			t.Errorf("dead letters: %+v", dead)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := p.box.Watch(message("a@b", "never put")).Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

// TestRefusedForNow has the server refuse a stanza for now: it is tried again later and later, those behind it wait, and at last it
// is given up.
func TestRefusedForNow(t *testing.T) {
	bubble(t, nil, func(t *testing.T, p *process, m *memory, s *server) {
		var tries []time.Duration
		start := time.Now()
		s.setReact(func(d delivery) (string, bool) {
			if d.id == "full" {
				tries = append(tries, time.Since(start).Truncate(time.Second))
				return refusal(d, "wait", "resource-constraint"), false
			}
			return "", false
		})
		p.put("a@b", "full")
		after(time.Second)
		p.put("a@b", "behind")
		p.put("c@d", "beside")
		after(time.Minute)
		if !slices.Equal(tries, []time.Duration{0, 10 * time.Second, 50 * time.Second}) {
			t.Errorf("tried at %v", tries)
		}
		if got := ids(s.taken()); !slices.Equal(got, []string{"full", "beside", "full", "full", "behind"}) {
			t.Errorf("got %v", got)
		}
		st := p.box.Stats()
		if st.Refused != 3 || st.Retried != 2 || st.Dead != 1 || st.Sent != 2 || len(m.snapshot().dead) != 1 {
			t.Errorf("stats %+v", st)
		}
	})
}

// TestFLT01_Resend loses the link before the server has read a batch. It is sent again with the same ids, in order, and no attempt
// is counted.
func TestFLT01_Resend(t *testing.T) { resend(t) }

// TestFLT17_Resend is the same for what a process cannot know.
func TestFLT17_Resend(t *testing.T) { resend(t) }

func resend(t *testing.T) {
	t.Helper()
	bubble(t, nil, func(t *testing.T, p *process, m *memory, s *server) {
		after(time.Second)
		s.setReact(func(d delivery) (string, bool) { return "", d.link <= 5 })
		var all []stanza.Stanza
		for i := range 10 {
			all = append(all, message("a@b", fmt.Sprint(i)))
		}
		if _, err := p.box.Put(t.Context(), all...); err != nil {
			t.Fatal(err)
		}
		after(time.Millisecond)
		s.setDown(true)
		after(time.Minute)
		claims := m.snapshot()
		for _, r := range claims.rows {
			if r.claimed != 0 || r.Attempts != 0 {
				t.Errorf("while the link is down: %+v", r)
			}
		}
		calls := m.called()
		after(time.Hour)
		if n := m.called() - calls; n > 3*900 { // the lease alone
			t.Errorf("%d calls of the database in an hour without link", n)
		}
		s.setReact(nil)
		s.setDown(false)
		after(time.Minute)
		if got := ids(s.taken()); !slices.Equal(got, []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}) {
			t.Errorf("got %v", got)
		}
	})
}

// TestFLT22_SameIDOnce puts a message three times, before and after it was sent: it is sent once.
func TestFLT22_SameIDOnce(t *testing.T) {
	bubble(t, func(c *outbox.Config, o *outbox.OwnerConfig, _ *component.Config) {
		c.Remember, o.TTL = time.Hour, time.Hour
	}, func(t *testing.T, p *process, m *memory, s *server) {
		put := func() (n int) {
			for range 3 {
				k, err := p.box.Put(t.Context(), message("a@b", "same"))
				if err != nil {
					t.Error(err)
				}
				n += k
			}
			return n
		}
		if n := put(); n != 1 {
			t.Errorf("%d are new", n)
		}
		after(time.Second)
		if n := put(); n != 0 || len(s.taken()) != 1 {
			t.Errorf("%d are new after the first was sent; sent %v", n, s.taken())
		}
		// Another conversation has ids of its own, also where both are sent at once.
		if n, err := p.box.PutIn(t.Context(), "other", message("a@b", "same"), message("a@b", "different")); n != 2 || err != nil {
			t.Errorf("%d %v", n, err)
		}
		m.putRows(storage.OutboxMessage{Conversation: "third", ID: "same", Stanza: []byte("<message xmlns='jabber:client' from='gw.test' to='a@b'/>")})
		after(3 * time.Hour)
		if got := ids(s.taken()); !slices.Equal(got, []string{"same", "same", "different", "same"}) {
			t.Errorf("sent %v", got)
		}
		if st := m.snapshot(); len(st.seen) != 0 || len(st.dead) != 0 {
			t.Errorf("sent %v, remembered %v, dead %v", s.taken(), st.seen, st.dead)
		}
	})
}

// TestDatabaseAway takes the database away, with a batch under way and without.
func TestDatabaseAway(t *testing.T) {
	change := func(_ *outbox.Config, o *outbox.OwnerConfig, _ *component.Config) { o.TTL = time.Hour }
	bubble(t, change, func(t *testing.T, p *process, m *memory, s *server) {
		after(time.Second)
		s.setReact(func(delivery) (string, bool) {
			m.breaks(storage.ErrUnavailable)
			return "", false
		})
		p.put("a@b", "1")
		after(time.Minute)
		if st := p.box.Stats(); st.Failing.IsZero() || st.Failures < 30 || st.Failures > 40 || st.Sent != 0 {
			t.Errorf("stats %+v", st)
		}
		s.setReact(nil)
		m.breaks(nil)
		after(2 * time.Second)
		p.put("a@b", "2")
		after(10 * time.Millisecond)
		if st := p.box.Stats(); !st.Failing.IsZero() || st.Sent != 2 || len(s.taken()) != 2 {
			t.Errorf("stats %+v, sent %v", st, s.taken())
		}
	})
}

// TestUncertain commits without our knowledge, at each transaction in turn: what was claimed is not forgotten.
func TestUncertain(t *testing.T) {
	for k := range 6 {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			bubble(t, func(c *outbox.Config, o *outbox.OwnerConfig, _ *component.Config) { c.Batch, o.TTL = 2, time.Hour }, func(t *testing.T, p *process, m *memory, s *server) {
				after(time.Second)
				n := 0
				p.at(func(place string) {
					if place == "before claim" {
						if n++; n == k+1 {
							m.uncertain()
						}
					}
				})
				// In one transaction, or the uncertain one could be that of a Put that comes between.
				if _, err := p.box.Put(t.Context(), message("a@b", "1"), message("a@b", "2"), message("a@b", "3"), message("c@d", "4"), message("c@d", "5")); err != nil {
					t.Fatal(err)
				}
				after(time.Minute)
				seen := make(map[string]bool)
				for _, d := range s.taken() {
					seen[d.id] = true
				}
				if st := m.snapshot(); len(st.rows) != 0 || len(seen) != 5 {
					t.Errorf("left %v, sent %v", st.rows, s.taken())
				}
			})
		})
	}
}

// TestRate sends no more than so many in a second.
func TestRate(t *testing.T) {
	bubble(t, func(c *outbox.Config, _ *outbox.OwnerConfig, _ *component.Config) { c.Batch, c.Rate = 10, 20 }, func(t *testing.T, p *process, m *memory, s *server) {
		start := time.Now()
		var all []stanza.Stanza
		for i := range 100 {
			all = append(all, message("a@b", fmt.Sprint(i)))
		}
		if _, err := p.box.Put(t.Context(), all...); err != nil {
			t.Fatal(err)
		}
		after(time.Minute)
		got := s.taken()
		if took := got[len(got)-1].at.Sub(start); len(got) != 100 || took < 4*time.Second || took > 5*time.Second {
			t.Errorf("%d in %v", len(got), took)
		}
	})
}

// TestFLT24_EndsInOrder ends the process while a batch is under way, which the server reads within a second: it is not sent again.
func TestFLT24_EndsInOrder(t *testing.T) {
	bubble(t, nil, func(t *testing.T, p *process, m *memory, s *server) {
		s.setReact(func(delivery) (string, bool) {
			<-time.After(time.Second)
			return "", false
		})
		p.put("a@b", "1")
		after(time.Millisecond)
		p.put("a@b", "2")
		p.stop()
		err := <-p.done
		if err != nil {
			t.Error(err)
		}
		if st := m.snapshot(); len(st.rows) != 1 || st.rows[0].ID != "2" || st.rows[0].claimed != 0 || !st.ends.IsZero() {
			t.Errorf("left %+v; lease until %v", st.rows, st.ends)
		}
		p.done <- nil
	})
}

func TestNew_Refuses(t *testing.T) {
	for name, c := range map[string]outbox.Config{
		"no domain":        {},
		"an account":       {Domain: jid.MustParse("a@b")},
		"a negative batch": {Domain: jid.MustParse(gw), Batch: -1},
		"a negative rate":  {Domain: jid.MustParse(gw), Rate: -1},
	} {
		if _, err := outbox.New(c, newMemory(), nil, nil); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	for name, c := range map[string]outbox.OwnerConfig{
		"a name without end": {Name: strings.Repeat("x", 1000)},
		"a negative poll":    {Poll: -1},
		"no time at all":     {TTL: 1},
	} {
		if _, err := outbox.NewOwner(c, newMemory(), nil); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// TestLinger puts messages one by one, faster than the database stores what became of them: one transaction does for the end of one
// batch and the beginning of the next. A message that comes alone is not kept waiting.
func TestLinger(t *testing.T) {
	bubble(t, func(_ *outbox.Config, o *outbox.OwnerConfig, _ *component.Config) { o.TTL = time.Hour }, func(t *testing.T, p *process, m *memory, s *server) {
		var exchanges atomic.Int64
		p.at(func(place string) {
			if place == "settled" {
				exchanges.Add(1)
			}
		})
		after(time.Second)
		exchanges.Store(0)
		for i := range 100 {
			p.put("a@b", fmt.Sprint(i))
			after(2 * time.Millisecond)
		}
		after(time.Second)
		if len(s.taken()) != 100 || exchanges.Load() > 110 {
			t.Errorf("%d sent in %d transactions", len(s.taken()), exchanges.Load())
		}
		msg := message("a@b", "alone")
		w := p.box.Watch(msg)
		defer w.Stop()
		start := time.Now()
		if _, err := p.box.Put(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
		if err := w.Wait(t.Context()); err != nil || time.Since(start) > 5*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}
