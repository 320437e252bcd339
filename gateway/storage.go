package gateway

import (
	"github.com/postern-im/postern/outbox"
	"github.com/postern-im/postern/storage"
)

// Storing is a network that keeps state.
type Storing interface {
	// UseStorage hands over the gateway's database. It is called once, before Routes, and must not use it: the database may
	// be away until Serve is called, and again later. Then its calls return storage.ErrUnavailable.
	UseStorage(s storage.Store)
}

// Durable is a network that sends what must not be lost.
type Durable interface {
	// UseOutbox hands over what sends it. It is called once, before Routes.
	UseOutbox(o *outbox.Outbox)
}
