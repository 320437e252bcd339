package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/postern-im/postern/admin"
	"github.com/postern-im/postern/internal/logging"
	"github.com/postern-im/postern/migrations"
	"github.com/postern-im/postern/outbox"
	"github.com/postern-im/postern/storage"
)

// databaseModule is where state is kept.
var databaseModule = fx.Module("database", fx.Provide(provideDatabase, newDatabaseChecks))

// database is the store, whether it can be reached or not. It is made without asking the database, so that everything can be wired that
// will use it.
type database struct {
	storage.Store

	cfg     DatabaseConfig
	log     *zap.Logger
	prepare func(ctx context.Context) error // sees to the schema

	mu    sync.Mutex
	state databaseState
}

// databaseState is what was seen of the database when it was last looked at.
type databaseState struct {
	Usable bool
	Since  time.Time
	Cause  error // why it is not usable
	Outbox storage.OutboxStats

	Outages uint64 // how often it could no longer be used
}

// The pace of looking at the database.
const (
	databaseRetry = 500 * time.Millisecond // while it cannot be used
	databaseLook  = 5 * time.Second        // while it can
)

func newDatabase(cfg DatabaseConfig, log *zap.Logger) (*database, error) {
	if cfg.URL == "" {
		cfg.URL = dsnMemory
	}
	d := &database{cfg: cfg, log: log.Named("database"), state: databaseState{Since: time.Now()}}
	return d, d.connect()
}

// provideDatabase is newDatabase for the program: it is closed last of all, and also if nothing was ever started.
func provideDatabase(lc fx.Lifecycle, u *unstarted, cfg DatabaseConfig, log *zap.Logger) (*database, error) {
	d, err := newDatabase(cfg, log)
	if err != nil {
		return nil, err
	}
	lc.Append(fx.StopHook(d.close))
	u.close = d.close
	return d, nil
}

// unstarted closes the database of a program that could not be put together, and so will not be stopped.
type unstarted struct{ close func() }

// HandleError implements fx.ErrorHandler.
func (u *unstarted) HandleError(error) {
	if u.close != nil {
		u.close()
	}
}

// inMemory reports whether nothing is kept.
func (d *database) inMemory() bool { return d.cfg.URL == dsnMemory }

// open waits until the database can be used and check finds nothing wrong with what is in it. An error is that of ctx, or one that
// waiting does not mend.
func (d *database) open(ctx context.Context, check func(ctx context.Context) error) error {
	for {
		err := d.prepare(ctx)
		if err == nil {
			err = check(ctx)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		d.saw(err, storage.OutboxStats{})
		var outdated *migrations.OutdatedError // somebody else migrates
		if err == nil || !errors.Is(err, storage.ErrUnavailable) && !errors.As(err, &outdated) {
			return err
		}
		select {
		case <-time.After(databaseRetry):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// watch looks at the database until ctx ends.
func (d *database) watch(ctx context.Context) {
	pause := databaseLook
	for {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		look, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
		stats, err := d.look(look)
		cancel()
		if ctx.Err() != nil {
			return
		}
		d.saw(err, stats)
		if pause = databaseLook; err != nil {
			pause = databaseRetry
		}
	}
}

func (d *database) look(ctx context.Context) (storage.OutboxStats, error) {
	if err := d.Ping(ctx); err != nil {
		return storage.OutboxStats{}, err
	}
	return d.OutboxStats(ctx)
}

// saw notes what was seen, and logs what has changed.
func (d *database) saw(err error, stats storage.OutboxStats) {
	d.mu.Lock()
	before := d.state
	now := databaseState{Usable: err == nil, Since: before.Since, Cause: err, Outbox: stats, Outages: before.Outages}
	if now.Usable != before.Usable {
		now.Since = time.Now()
	}
	if before.Usable && !now.Usable {
		now.Outages++
	}
	if err != nil {
		now.Outbox = before.Outbox
	}
	d.state = now
	d.mu.Unlock()
	switch {
	case now.Usable && !before.Usable:
		d.log.Info("the database can be used", zap.Stringer("database", d.cfg.URL))
	case !now.Usable && (before.Usable || before.Cause == nil || before.Cause.Error() != err.Error()):
		d.log.Warn("the database cannot be used", zap.Stringer("database", d.cfg.URL), zap.Error(err))
	}
}

func (d *database) now() databaseState {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state
}

func (d *database) close() {
	if err := d.Close(); err != nil {
		d.log.Warn("the database was not closed in order", zap.Error(err))
	}
}

// DatabaseChecks are conditions of being ready.
type DatabaseChecks struct {
	fx.Out

	Checks []admin.Check `group:"ready,flatten"`
}

func newDatabaseChecks(d *database, owner *outbox.Owner) DatabaseChecks {
	return DatabaseChecks{Checks: []admin.Check{
		{Name: "database", Ready: func() (bool, string) { return databaseReady(d.now()) }},
		{Name: "lease", Ready: func() (bool, string) { return leaseReady(owner.State()) }},
	}}
}

// mostReason is how many bytes of a cause are shown.
const mostReason = 256

func databaseReady(s databaseState) (bool, string) {
	since := s.Since.UTC().Format(time.RFC3339)
	switch {
	case s.Usable:
		return true, "usable since " + since
	case s.Cause != nil:
		return false, fmt.Sprintf("away since %s: %s", since, logging.Clean(s.Cause.Error(), mostReason))
	}
	return false, "not asked yet"
}

func leaseReady(s outbox.OwnerState) (bool, string) {
	since := s.Since.UTC().Format(time.RFC3339)
	var held *storage.HeldError
	switch {
	case s.Held:
		return true, "held since " + since
	case errors.As(s.Cause, &held):
		return false, fmt.Sprintf("standby since %s: %s serves", since, logging.Clean(held.Lease.Holder, mostReason))
	case s.Cause != nil:
		return false, fmt.Sprintf("not held since %s: %s", since, logging.Clean(s.Cause.Error(), mostReason))
	}
	return false, "not held since " + since
}
