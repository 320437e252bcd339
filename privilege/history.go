package privilege

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
)

// recordAgain is how long a failed attempt to record grants waits for the next one, and recordFor how long one attempt may take.
const (
	recordAgain = time.Minute
	recordFor   = 30 * time.Second
)

// maxRecord is the largest advertisement that the history takes (storage.Grant).
const maxRecord = 64 << 10

// Serve records what the servers grant in Config.Grants, until ctx ends; without that it has nothing to do. No call waits for it, and
// it authorises nothing: the history is for reports. Of advertisements that follow each other faster than they can be
// recorded the last one counts.
func (m *Manager) Serve(ctx context.Context) error {
	if m.cfg.Grants == nil {
		<-ctx.Done()
		return nil
	}
	again := time.NewTimer(recordAgain)
	defer again.Stop()
	for {
		again.Stop()
		if !m.recordAll(ctx) {
			again.Reset(recordAgain)
		}
		select {
		case <-m.unrecorded:
		case <-again.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// remember leaves an advertisement to Serve.
func (m *Manager) remember(server jid.JID, ad advertisement) {
	if m.cfg.Grants == nil {
		return
	}
	data := []byte(ad.el.String())
	if len(data) > maxRecord {
		m.log.Warn("advertisement of privileges is too large for the history", zap.Stringer("server", server), zap.Int("bytes", len(data)))
		return
	}
	m.mu.Lock()
	m.records[server] = data
	m.mu.Unlock()
	select {
	case m.unrecorded <- struct{}{}:
	default:
	}
}

// recordAll records what waits, and reports whether it could.
func (m *Manager) recordAll(ctx context.Context) bool {
	m.mu.Lock()
	records := m.records
	m.records = make(map[jid.JID][]byte)
	m.mu.Unlock()
	all := true
	for server, data := range records {
		attempt, cancel := context.WithTimeout(ctx, recordFor)
		_, err := m.cfg.Grants.AddGrant(attempt, server, storage.GrantPrivilege, data)
		cancel()
		if err == nil {
			continue
		}
		all = false
		m.log.Warn("what a server grants is not recorded", zap.Stringer("server", server), zap.Error(err))
		m.mu.Lock()
		if _, newer := m.records[server]; !newer {
			m.records[server] = data
		}
		m.mu.Unlock()
	}
	return all
}
