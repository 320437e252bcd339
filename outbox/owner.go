package outbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/storage"
)

// OwnerConfig configures an [Owner]. Zero fields mean their defaults.
type OwnerConfig struct {
	Name string // of the lease; default "stream". One for each component
	// Holder says who holds the lease, for people; default the host's name, the process and a random part. It must differ from that
	// of every other process.
	Holder string
	// TTL is how long the lease is valid after the last renewal: a process that is killed is followed by another after this time.
	// Default 8 s. It is renewed after a third of it. A database that does not answer for so long ends the stream, since nobody knows
	// then who holds the lease.
	TTL time.Duration
	// Poll is how often a process that does not have the lease looks whether it is free; default 500 ms.
	Poll time.Duration
}

// OwnerState is what an [Owner] knows of the lease.
type OwnerState struct {
	Held    bool
	Lease   storage.Lease // ours; or that of another, as it was last seen, with For what was left of it
	Since   time.Time     // since when it is ours, or is not
	Renewed time.Time     // when it was last renewed, as far as it is ours
	Cause   error         // why it is not ours: a *storage.HeldError, ErrLost, or an error of the database

	Acquired, Lost uint64 // how often since the start
}

// Owner sees to it that of all processes with the same store and lease, one at a time does what only one may do.
type Owner struct {
	cfg    OwnerConfig
	leases storage.Leases
	log    *zap.Logger
	clock  clock

	mu     sync.Mutex
	tenure *tenure // nil while the lease is not ours
	state  OwnerState

	hooks hooks
}

// NewOwner returns an owner that has nothing yet. A nil log is silent.
func NewOwner(cfg OwnerConfig, leases storage.Leases, log *zap.Logger) (*Owner, error) {
	if cfg.Name == "" {
		cfg.Name = "stream"
	}
	if cfg.Holder == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "unknown host"
		}
		const room = storage.MaxLeaseName - 50
		cfg.Holder = fmt.Sprintf("%s process %d (%s)", host[:min(len(host), room)], os.Getpid(), rand.Text()[:8])
	}
	if cfg.TTL == 0 {
		cfg.TTL = 8 * time.Second
	}
	if cfg.Poll == 0 {
		cfg.Poll = 500 * time.Millisecond
	}
	if err := storage.CheckLease(cfg.Name, cfg.Holder, cfg.TTL); err != nil {
		return nil, fmt.Errorf("outbox: %w", err)
	}
	if cfg.Poll < 0 {
		return nil, fmt.Errorf("outbox: a poll every %v", cfg.Poll)
	}
	if log == nil {
		log = zap.NewNop()
	}
	return &Owner{cfg: cfg, leases: leases, log: log, clock: newClock(), state: OwnerState{Since: time.Now()}}, nil
}

// Run waits for the lease and calls f while it is held, again and again, until ctx ends or f returns by itself. f's context ends when
// the lease is lost, with that as its cause; f must then stop at once, and the first thing to stop is the stream. The lease is
// renewed until f returns, and then released, so that another process need not wait.
//
// It returns nil when ctx has ended, or what f returned.
func (o *Owner) Run(ctx context.Context, f func(ctx context.Context) error) error {
	for {
		t := o.acquire(ctx)
		if t == nil {
			return nil
		}
		err := o.serve(ctx, t, f)
		lost := t.check()
		o.end(ctx, t, lost)
		switch {
		case ctx.Err() != nil && (err == nil || errors.Is(err, storage.ErrLost)):
			return nil
		case lost == nil:
			return err
		}
		o.log.Error("the lease is lost: another process may act now", zap.String("lease", o.cfg.Name), zap.Error(lost))
		wait(ctx, o.cfg.Poll, nil)
	}
}

// serve calls f and renews the lease meanwhile.
func (o *Owner) serve(ctx context.Context, t *tenure, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	t.onLoss(cancel)
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx)) // f may outlast ctx, and has the lease as long
	defer t.stop()
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		o.renew(renewing, t)
	}()
	defer func() {
		stop()
		<-renewed
	}()
	return f(ctx)
}

// acquire waits for the lease. It returns nil when ctx ends.
func (o *Owner) acquire(ctx context.Context) *tenure {
	told := ""
	for ctx.Err() == nil {
		asked := o.clock()
		call, cancel := context.WithTimeout(ctx, o.cfg.TTL/2)
		l, err := o.leases.AcquireLease(call, o.cfg.Name, o.cfg.Holder, o.cfg.TTL)
		cancel()
		if err == nil {
			t := newTenure(o.clock, asked, l)
			o.mu.Lock()
			o.tenure = t
			now := time.Now()
			o.state = OwnerState{Held: true, Lease: l, Since: now, Renewed: now, Acquired: o.state.Acquired + 1, Lost: o.state.Lost}
			o.mu.Unlock()
			o.hooks.reach("lease acquired")
			o.log.Info("this process holds the lease", zap.String("lease", l.Name), zap.Int64("epoch", l.Epoch))
			return t
		}
		if ctx.Err() != nil {
			return nil
		}
		d := o.cfg.Poll
		var held *storage.HeldError
		if errors.As(err, &held) {
			if held.Lease.Holder == o.cfg.Holder { // we got it, or gave it back, and did not learn of it
				_ = o.leases.ReleaseLease(ctx, held.Lease)
			}
			// A little later than its end, by our clock.
			d = min(d, max(held.Lease.For+time.Millisecond, minPause/10))
		}
		o.mu.Lock()
		o.state.Cause = err
		if held != nil {
			o.state.Lease = held.Lease
		}
		o.mu.Unlock()
		if why := cause(err); why != told {
			told = why
			o.log.Info("waiting for the lease", zap.String("lease", o.cfg.Name), zap.Error(err))
		}
		wait(ctx, d, nil)
	}
	return nil
}

// cause names an error so that what is the same but for its duration is the same.
func cause(err error) string {
	var held *storage.HeldError
	if errors.As(err, &held) {
		return held.Lease.Holder
	}
	return err.Error()
}

// renew renews the lease until ctx ends or it is lost.
func (o *Owner) renew(ctx context.Context, t *tenure) {
	every := o.cfg.TTL / 3
	d := every
	for {
		wait(ctx, d, t.over())
		if ctx.Err() != nil || t.check() != nil {
			return
		}
		asked := o.clock()
		call, cancel := context.WithTimeout(ctx, every)
		l, err := o.leases.RenewLease(call, t.held(), o.cfg.TTL)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, storage.ErrLost): // guard: FLT-03
			t.lose(err)
			return
		case err != nil:
			o.log.Warn("the lease is not renewed", zap.String("lease", o.cfg.Name), zap.Error(err))
			d = every / 8
			continue
		}
		o.hooks.reach("lease renewed")
		t.renewed(asked, l)
		o.mu.Lock()
		o.state.Renewed = time.Now()
		o.mu.Unlock()
		d = every
	}
}

// end gives the lease back.
func (o *Owner) end(ctx context.Context, t *tenure, lost error) {
	o.mu.Lock()
	o.tenure = nil
	o.state.Held, o.state.Since, o.state.Cause = false, time.Now(), lost
	if lost != nil {
		o.state.Lost++
	}
	o.mu.Unlock()
	o.hooks.reach("before release")
	// Also where it was lost by a clock: as far as the store knows it is ours.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.cfg.TTL/2)
	defer cancel()
	if err := o.leases.ReleaseLease(ctx, t.held()); err != nil {
		o.log.Warn("the lease is not released: others wait until it runs out", zap.String("lease", o.cfg.Name), zap.Error(err))
	}
}

// Lease implements [Holder]: it returns the lease if it is held at this moment, by both clocks.
func (o *Owner) Lease() (storage.Lease, error) {
	o.mu.Lock()
	t := o.tenure
	o.mu.Unlock()
	if t == nil {
		return storage.Lease{}, fmt.Errorf("outbox: %w: %s is not held", storage.ErrLost, o.cfg.Name)
	}
	if err := t.check(); err != nil {
		return storage.Lease{}, err
	}
	return t.held(), nil
}

// Check returns nil if the lease is held at this moment: the fence of a component.
func (o *Owner) Check() error {
	_, err := o.Lease()
	return err
}

// Lost implements [Holder]: the stream is ended at once, without waiting for the next renewal.
func (o *Owner) Lost(l storage.Lease) {
	o.mu.Lock()
	t := o.tenure
	o.mu.Unlock()
	if t != nil && t.held().Epoch == l.Epoch {
		t.lose(storage.ErrLost)
	}
}

// State returns what is known of the lease.
func (o *Owner) State() OwnerState {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.state
}
