package delegation

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
)

// keepAgain is how long a failed attempt to keep grants waits for the next one, and keepFor how long one attempt may take.
const (
	keepAgain = time.Minute
	keepFor   = 30 * time.Second
)

// Serve keeps what the servers grant in the store, until ctx ends; without a store it has nothing to do. No request waits for it, and
// it authorises nothing: what is kept is for reports.
func (m *Manager) Serve(ctx context.Context) error {
	if m.cfg.Store == nil {
		<-ctx.Done()
		return nil
	}
	again := time.NewTimer(keepAgain)
	defer again.Stop()
	for {
		again.Stop()
		if !m.keepAll(ctx) {
			again.Reset(keepAgain)
		}
		select {
		case <-m.unkept:
		case <-again.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (m *Manager) wakeKeeper() {
	select {
	case m.unkept <- struct{}{}:
	default:
	}
}

// keepAll keeps the grants of all servers that have new ones, and reports whether it could.
func (m *Manager) keepAll(ctx context.Context) bool {
	all := true
	for _, srv := range m.servers {
		m.mu.Lock()
		grants, kept, session := srv.list(), srv.kept || srv.session == nil, srv.session
		srv.kept = true
		m.mu.Unlock()
		if kept {
			continue
		}
		err := m.keep(ctx, srv, grants)
		switch {
		case errors.Is(err, storage.ErrInvalid): // as often as it is tried
			m.log.Warn("what a server delegates is too much for the history", zap.Stringer("server", srv.domain), zap.Error(err))
		case err != nil:
			m.log.Warn("what a server delegates is not kept", zap.Stringer("server", srv.domain), zap.Error(err))
			m.mu.Lock()
			if srv.session == session {
				srv.kept = false
			}
			m.mu.Unlock()
			all = false
		}
	}
	return all
}

// keep records one server's grants, as the one advertisement that would say all of it.
func (m *Manager) keep(ctx context.Context, srv *server, grants []Grant) error {
	ctx, cancel := context.WithTimeout(ctx, keepFor)
	defer cancel()
	d := delegation{delegated: grants}
	name := d.PayloadName()
	if len(grants) > 0 {
		name.Space = grants[0].Version
	}
	el, err := stanza.Element(stanza.As(name, d))
	if err != nil {
		return err
	}
	_, err = m.cfg.Store.AddGrant(ctx, srv.domain, storage.GrantDelegation, []byte(el.String()))
	return err
}
