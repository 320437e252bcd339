package outbox

import (
	"time"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
)

// At has f called at each place where the outbox may be interrupted.
func (o *Outbox) At(f func(place string)) { o.hooks.at = f }

// At has f called at each place where the owner may be interrupted.
func (o *Owner) At(f func(place string)) { o.hooks.at = f }

// PlantMarkSoon makes stanzas count as taken before they are sent.
func (o *Outbox) PlantMarkSoon() { o.hooks.markSoon = true }

// PlantFreshIDs gives what is sent again another id.
func (o *Outbox) PlantFreshIDs() { o.hooks.freshIDs = true }

// PlantSendSoon has send called for what is put, before it is committed.
func (o *Outbox) PlantSendSoon(send func(stanza.Stanza)) { o.hooks.sendSoon = send }

// PlantUnfenced makes the owner believe that it has the lease as long as nobody tells it otherwise.
func (o *Owner) PlantUnfenced() { o.clock = func() instant { return instant{} } }

// SetClock has the owner read other clocks.
func (o *Owner) SetClock(c func() (mono time.Duration, wall time.Time)) {
	o.clock = func() instant {
		m, w := c()
		return instant{m, w}
	}
}

// EncodeRow returns a stanza as a row has it.
func (o *Outbox) EncodeRow(s stanza.Stanza) (storage.OutboxMessage, error) { return o.encode("", s) }
