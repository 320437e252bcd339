package app

import (
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/postern-im/postern/outbox"
	"github.com/postern-im/postern/privilege"
)

// outboxModule is what sends what must not be lost, and the lease by which one process of several serves.
var outboxModule = fx.Module("outbox", fx.Provide(newOwner, newOutbox))

// leaseName names the right to serve.
const leaseName = "stream"

// newOwner returns who holds the lease. Its name is the same for all gateways, since they must not share a database.
func newOwner(c LeaseConfig, d *database, log *zap.Logger) (*outbox.Owner, error) {
	return outbox.NewOwner(outbox.OwnerConfig{Name: leaseName, TTL: c.TTL}, d, log.Named("lease"))
}

func newOutbox(cc ComponentConfig, oc OutboxConfig, d *database, owner *outbox.Owner, p *privilege.Manager, log *zap.Logger) (*outbox.Outbox, error) {
	var preparer outbox.Preparer
	if p != nil { // some server is known that could grant anything
		preparer = p
	}
	return outbox.New(outbox.Config{
		Preparer: preparer,
		Domain:   cc.Domain.JID, MaxStanza: cc.SendLimit, Batch: oc.Batch, Rate: oc.Rate, Tries: oc.Tries,
		RetryMin: oc.RetryMin, RetryMax: oc.RetryMax, Remember: oc.Remember,
	}, d, owner, log.Named("outbox"))
}
