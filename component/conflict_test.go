package component_test

import (
	"errors"
	"testing"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/internal/linktest"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmpptest"
)

// TestFLT02_ConflictOnline has another link of the same name push ours out: it stands by, until it is told to come back.
func TestFLT02_ConflictOnline(t *testing.T) {
	s := xmpptest.NewServer(t, xmpptest.ReplacingOldLinks())
	cfg := component.Config{
		Domain: jid.MustParse(s.Domain), Secret: component.Secret(s.Secret), Addr: s.Addr,
		Backoff: component.Backoff{Min: time.Millisecond, Max: 5 * time.Millisecond},
	}
	c := serve(t, cfg, newRecorder(nil)).online()
	linktest.Dial(t, s.Addr, s.Domain, s.Secret)
	st, n := c.await(0, "standing by", phase(component.PhaseStandby))
	if !errors.Is(st.Cause, stanza.StreamConflict) {
		t.Errorf("cause %v", st.Cause)
	}
	if open, ever := s.Component(s.Domain).Links(); open != 1 || ever != 2 {
		t.Errorf("%d links are open, %d have been", open, ever)
	}
	c.Resume()
	c.await(n, "online again", phase(component.PhaseOnline))
}

// TestFLT02_ConflictAtHandshake has the server hold on to an old link of ours: we try again until it lets go.
func TestFLT02_ConflictAtHandshake(t *testing.T) {
	s := xmpptest.NewServer(t)
	old := linktest.Dial(t, s.Addr, s.Domain, s.Secret)
	cfg := component.Config{
		Domain: jid.MustParse(s.Domain), Secret: component.Secret(s.Secret), Addr: s.Addr,
		Backoff: component.Backoff{Min: time.Millisecond, Max: 5 * time.Millisecond},
	}
	c := serve(t, cfg, newRecorder(nil))
	for n, i := 0, 0; i < 3; i++ {
		var st component.State
		st, n = c.await(n+1, "backing off", phase(component.PhaseBackoff))
		if !errors.Is(st.Cause, stanza.StreamConflict) {
			t.Errorf("cause %v", st.Cause)
		}
	}
	old.Close()
	c.online()
}
