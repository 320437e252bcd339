package client_test

import (
	"testing"
	"time"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/stanza"
)

func testTracked(t *testing.T, e env) {
	for name, one := range map[string]bool{"SASL2": false, "SASL1": true} {
		t.Run(name, func(t *testing.T) {
			bob := newInbox()
			b := serve(t, e.account("user2"), bob.handle).online()
			cfg := e.account("test")
			cfg.NoSASL2, cfg.StreamManagement.MaxStanzas = one, 10
			a := serve(t, cfg, ignore).online()
			var last *client.Receipt
			for range 100 { // ten times as many as may be under way
				r, err := a.SendTracked(t.Context(), message(b.JID(), "x"))
				if err != nil {
					t.Fatal(err)
				}
				if last != nil && r.Delivery() == client.DeliveryAcknowledged && last.Delivery() != client.DeliveryAcknowledged {
					t.Fatal("acknowledged out of turn")
				}
				last = r
			}
			if err := last.Wait(t.Context()); err != nil || last.Delivery() != client.DeliveryAcknowledged {
				t.Errorf("%v %v", last.Delivery(), err)
			}
			for range 100 {
				bob.message(t)
			}
			if n := a.Stats().Unacknowledged; n != 0 {
				t.Errorf("%d not acknowledged", n)
			}
		})
	}
}

// testResume cuts the connection with a request under way, messages to come and messages to go.
func testResume(t *testing.T, e env) {
	for name, one := range map[string]bool{"SASL2": false, "SASL1": true} {
		t.Run(name, func(t *testing.T) {
			alice, bob := newInbox(), newInbox()
			b := serve(t, e.account("user2"), bob.handle).online()
			cfg := e.account("test")
			cfg.NoSASL2, cfg.Presence = one, &stanza.Presence{}
			cfg.Backoff = client.Backoff{Min: time.Minute, Max: time.Minute} // until Resume
			cut := cutter(&cfg)
			a := serve(t, cfg, alice.handle).online()
			if err := a.Barrier(t.Context()); err != nil { // the server's consent has come
				t.Fatal(err)
			}
			own := a.JID()
			done := make(chan error, 1)
			go func() {
				_, err := a.Request(t.Context(), &stanza.IQ{Header: stanza.Header{To: b.JID()}, Type: stanza.IQGet, Payload: sum{1, 2}})
				done <- err
			}()
			question := bob.iq(t)
			_, n := a.await(0, client.PhaseOnline)
			for times := range 2 { // the second time the same session goes on once more
				cut()
				_, n = a.await(n, client.PhaseBackoff)
				if e.addr == e.web && e.noticed != nil {
					e.noticed(t, own, times+1)
				}
				if a.JID() != own {
					t.Errorf("%q while the session is lost", a.JID())
				}
				r, err := a.SendTracked(t.Context(), message(b.JID(), "one"))
				if err != nil || r.Delivery() != client.DeliveryQueued {
					t.Fatalf("while the session is lost: %v %v", r, err)
				}
				if err := b.Send(t.Context(), message(own, "two")); err != nil {
					t.Fatal(err)
				}
				if question != nil {
					if err := b.Send(t.Context(), question.Result(sum{3, 0})); err != nil {
						t.Fatal(err)
					}
				}
				a.Resume()
				var st client.State
				st, n = a.await(n, client.PhaseOnline)
				if !st.Resumed || st.JID != own {
					t.Fatalf("not the session that was lost: %+v", st)
				}
				if err := r.Wait(t.Context()); err != nil {
					t.Error(err)
				}
				if question != nil {
					if err := <-done; err != nil {
						t.Error(err)
					}
					question = nil
				}
				if m := bob.message(t); m.Body.String() != "one" || m.From != own {
					t.Errorf("got %+v", m)
				}
				if m := alice.message(t); m.Body.String() != "two" || m.From != b.JID() {
					t.Errorf("got %+v", m)
				}
			}
			if err := a.Barrier(t.Context()); err != nil {
				t.Error(err)
			}
			if s := a.Stats(); s.Resumed != 2 || s.Sessions != 3 {
				t.Errorf("%+v", s)
			}
			for len(alice.ch) > 0 {
				if m, ok := (<-alice.ch).(*stanza.Message); ok && m.Body.String() == "two" {
					t.Error("doubled")
				}
			}
		})
	}
}
