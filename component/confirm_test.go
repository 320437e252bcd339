package component_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
)

// TestConfirm_Answers has the server answer a message, before it returns the barrier behind it, in each way that tells something.
func TestConfirm_Answers(t *testing.T) {
	const refusal = "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
	for name, tc := range map[string]struct {
		answer string // to a message m to a@b
		want   error
	}{
		"nothing":                  {"", nil},
		"refused":                  {"<message type='error' id='m' from='a@b' to='gw.test'>" + refusal + "</message>", stanza.Gone},
		"refused without a reason": {"<message type='error' id='m' from='a@b' to='gw.test'/>", stanza.UndefinedCondition},
		"SEC-03 refused by another": {"<message type='error' id='m' from='c@d' to='gw.test'>" + refusal + "</message>" +
			"<presence type='error' id='m' from='a@b' to='gw.test'>" + refusal + "</presence>" +
			"<message id='m' from='a@b' to='gw.test'/>", nil},
		"refused by more than may be read": {
			"<message type='error' id='m' from='a@b' to='gw.test'><body>" + strings.Repeat("x", 2000) + "</body>" + refusal + "</message>",
			component.ErrTooLarge,
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := func(p *pipe) {
				p.welcome("")
				p.next()
				p.write(tc.answer)
				p.serve()
			}
			bubble(t, []func(p *pipe){server}, func(t *testing.T, cfg component.Config) {
				cfg.Limits.Bytes = 1000
				c := serveIn(t, cfg, handler(ignore))
				c.now(component.PhaseOnline)
				if err := c.Confirm(t.Context(), message(jid.MustParse("a@b"), "m", "")); !errors.Is(err, tc.want) || tc.want == nil && err != nil {
					t.Errorf("got %v", err)
				}
				if st := c.Stats(); st.Pending != 0 {
					t.Errorf("stats %+v", st)
				}
				c.end()
			})
		})
	}
}

// TestConfirm_SessionLost loses the session behind a message, before and after the barrier is accepted. Nobody knows whether the
// message arrived, also where the next session begins at once.
func TestConfirm_SessionLost(t *testing.T) {
	for name, buffer := range map[string]int{"before the barrier is accepted": 1, "after": 0} {
		t.Run(name, func(t *testing.T) {
			lost := func(p *pipe) {
				p.welcome("")
				<-time.After(time.Second) // nothing is read
			}
			bubble(t, []func(p *pipe){lost, hello}, func(t *testing.T, cfg component.Config) {
				cfg.SendBuffer = buffer
				c := serveIn(t, cfg, handler(ignore))
				c.now(component.PhaseOnline)
				if buffer > 0 { // it is being written, and what is confirmed fills the buffer
					if err := c.Send(t.Context(), message(jid.MustParse("a@b"), "", "")); err != nil {
						t.Error(err)
					}
				}
				err := c.Confirm(t.Context(), message(jid.MustParse("a@b"), "m", ""))
				if !errors.Is(err, component.ErrStreamLost) || errors.Is(err, component.ErrNotConnected) {
					t.Errorf("got %v", err)
				}
				c.end()
			})
		})
	}
}

// TestConfirm_OneIDForMany confirms a message with one id to several peers at once, of whom one refuses.
func TestConfirm_OneIDForMany(t *testing.T) {
	const peers = 5
	server := func(p *pipe) {
		p.welcome("")
		var barriers []string
		for seen := 0; seen < peers; { // all are under way before one is confirmed
			switch el := p.next(); {
			case el.Is(stanza.NS, "iq"):
				barriers = append(barriers, el.String())
			default:
				seen++
				if el.Attr("to") == "u3@b" {
					p.write("<message type='error' id='same' from='u3@b' to='gw.test'/>")
				}
			}
		}
		p.write(strings.Join(barriers, ""))
		p.serve()
	}
	bubble(t, []func(p *pipe){server}, func(t *testing.T, cfg component.Config) {
		c := serveIn(t, cfg, handler(ignore))
		c.now(component.PhaseOnline)
		errs := make([]error, peers)
		done := make(chan struct{}, peers)
		for i := range peers {
			go func() {
				errs[i] = c.Confirm(t.Context(), message(jid.MustParse(fmt.Sprintf("u%d@b", i)), "same", ""))
				done <- struct{}{}
			}()
		}
		for range peers {
			<-done
		}
		for i, err := range errs {
			if (i == 3) != errors.Is(err, stanza.UndefinedCondition) || i != 3 && err != nil {
				t.Errorf("peer %d: %v", i, err)
			}
		}
		c.end()
	})
}

// TestRequest_SameID refuses a request whose answer could be taken for that to another one.
func TestRequest_SameID(t *testing.T) {
	server := func(p *pipe) {
		p.welcome("")
		first := p.next()
		second := p.next()
		for _, el := range []string{second.Attr("to"), first.Attr("to")} { // in the other order
			p.write("<iq type='result' id='1' from='" + el + "' to='gw.test'/>")
		}
		p.serve()
	}
	bubble(t, []func(p *pipe){server}, func(t *testing.T, cfg component.Config) {
		c := serveIn(t, cfg, handler(ignore))
		c.now(component.PhaseOnline)
		ask := func(to string) error {
			res, err := c.Request(t.Context(), &stanza.IQ{Header: stanza.Header{ID: "1", To: jid.MustParse(to)}, Type: stanza.IQGet, Payload: query{}})
			if err == nil && res.From.String() != to {
				t.Errorf("%s got the answer of %s", to, res.From)
			}
			return err
		}
		errs := make(chan error, 2)
		go func() { errs <- ask("a@b") }()
		synctest.Wait()
		if err := ask("a@b"); !errors.Is(err, component.ErrInvalid) {
			t.Errorf("a second request to the same peer with the same id: %v", err)
		}
		go func() { errs <- ask("c@d") }()
		for range 2 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		c.end()
	})
}
