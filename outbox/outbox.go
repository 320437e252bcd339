package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/xmltree"
)

// Errors of an outbox.
var (
	// ErrInvalid is returned by Put for a stanza that could never be sent.
	ErrInvalid = errors.New("outbox: stanza that cannot be sent")
	// ErrDead is what [Watch.Wait] returns for a stanza that became a dead letter. It wraps the reason, such as the *stanza.Error
	// with which the server refused it.
	ErrDead = errors.New("outbox: given up")
	// ErrRunning is returned by Run while another Run is under way.
	ErrRunning = errors.New("outbox: already running")
)

// Store is where stanzas wait.
type Store interface {
	storage.Transactor
	storage.Outbox
}

// Stream is what an outbox sends through: a component.Component is one. Its errors wrap [stanza.ErrNotConnected] where nothing was
// sent, [stanza.ErrStreamLost] with the cause where nobody knows, and *stanza.Error where the server refused. Any other error but
// that of the context means that the stanza was not sent and never can be.
type Stream interface {
	// AwaitOnline waits until there is a session.
	AwaitOnline(ctx context.Context) error
	// ConfirmAll sends messages and presence, in order and in one session, and returns when the server has read them: an error or
	// nil for each.
	ConfirmAll(ctx context.Context, ss []stanza.Stanza) []error
	// Barrier returns nil when the server has read all that was sent before.
	Barrier(ctx context.Context) error
}

// Holder holds the lease without which nothing is sent: an [Owner].
type Holder interface {
	// Lease returns the lease if it is held at this moment, else an error that wraps [storage.ErrLost].
	Lease() (storage.Lease, error)
	// Lost says that the store knows better: the lease is over.
	Lost(l storage.Lease)
}

// Config configures an [Outbox]. Domain is required; other zero fields mean their defaults.
type Config struct {
	Domain jid.JID // the component's own: every stanza is from an address within it

	MaxStanza int // bytes of one stanza; default and most 256 KiB. It must not exceed what the stream sends
	MaxDepth  int // nested elements of one; default 32

	Batch int // stanzas that are under way at once; default 64
	// Rate is how many stanzas per second are sent at most; default 0: as many as the server takes. It sets the pace anyway, since a
	// batch is sent only when the one before it was taken.
	Rate int
	// Tries is how often a stanza is tried whose own fault it is, or may be, that it fails; default 3. Then it becomes a dead letter.
	// A refusal of a type other than wait is final at once.
	Tries int
	// RetryMin is how long a stanza waits that the server refused for now (an error of type wait); default 10 s. Each further time
	// it is four times as long, at most RetryMax, default 10 min. Those behind it in its conversation wait with it.
	RetryMin, RetryMax time.Duration
	// Preparer has the last word on what is sent; nil: all is sent as it was put.
	Preparer Preparer
	// Remember is how long the ids of stanzas that were sent are known, so that they are not stored twice; default 7 days.
	Remember time.Duration
}

func (c Config) check() (Config, error) {
	if c.Domain.IsZero() || !c.Domain.IsDomain() {
		return c, fmt.Errorf("outbox: %q is not a domain", c.Domain)
	}
	for _, f := range []struct {
		v   *int
		def int
	}{{&c.MaxStanza, storage.MaxStanza}, {&c.MaxDepth, xmltree.DefaultMaxDepth}, {&c.Batch, 64}, {&c.Tries, 3}} {
		if *f.v == 0 {
			*f.v = f.def
		}
	}
	for _, f := range []struct {
		v   *time.Duration
		def time.Duration
	}{{&c.RetryMin, 10 * time.Second}, {&c.RetryMax, 10 * time.Minute}, {&c.Remember, 7 * 24 * time.Hour}} {
		if *f.v == 0 {
			*f.v = f.def
		}
	}
	if min(c.MaxStanza, c.MaxDepth, c.Batch, c.Tries) < 1 || c.Rate < 0 || min(c.RetryMin, c.RetryMax, c.Remember) < 0 {
		return c, errors.New("outbox: a limit is negative")
	}
	c.MaxStanza = min(c.MaxStanza, storage.MaxStanza)
	return c, nil
}

// Outbox keeps stanzas until the server has taken them. It is safe for concurrent use.
type Outbox struct {
	cfg    Config
	store  Store
	holder Holder
	log    *zap.Logger

	running atomic.Bool
	watches watches
	mu      sync.Mutex
	stats   Stats

	hooks hooks
}

// New returns an outbox. A nil log is silent.
func New(cfg Config, store Store, holder Holder, log *zap.Logger) (*Outbox, error) {
	cfg, err := cfg.check()
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = zap.NewNop()
	}
	return &Outbox{cfg: cfg, store: store, holder: holder, log: log}, nil
}
