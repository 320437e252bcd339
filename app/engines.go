package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/migrations"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/postgres"
	"github.com/postern-im/postern/storage/sqlite"
)

// connect makes the store that the URL says, without asking it anything.
func (d *database) connect() error {
	if d.inMemory() {
		d.cfg.Migrate = true // it is empty each time
		return d.connectSQLite(sqlite.Memory)
	}
	if name, ok := d.cfg.URL.file(); ok {
		return d.connectSQLite(name)
	}
	return d.connectPostgres()
}

// connectSQLite makes a store in a file, or in memory.
func (d *database) connectSQLite(name string) error {
	s, err := sqlite.New(name, sqlite.Options{KeepSchema: !d.cfg.Migrate, Migrating: d.migrating, Wait: d.cfg.Timeout})
	if err != nil {
		return err
	}
	d.Store, d.prepare = s, func(ctx context.Context) error {
		if name != sqlite.Memory && d.cfg.Migrate {
			if err := makeFolder(name); err != nil {
				return fmt.Errorf("%w: %w", storage.ErrUnavailable, err) // somebody may yet make it
			}
		}
		return s.Prepare(ctx)
	}
	return nil
}

// connectPostgres makes a store on a server.
func (d *database) connectPostgres() error {
	s, err := postgres.New(postgres.Config{
		DSN: string(d.cfg.URL), Timeout: d.cfg.Timeout, AcquireTimeout: d.cfg.Timeout, LockTimeout: d.cfg.Timeout, MaxConns: d.cfg.Connections,
	})
	if err != nil {
		return err
	}
	d.Store, d.prepare = s, func(ctx context.Context) error {
		if err := s.Prepare(ctx); err != nil {
			return err
		}
		if d.cfg.Migrate {
			if err := d.migrate(ctx); err != nil {
				return err
			}
		}
		return s.Ping(ctx)
	}
	return nil
}

// migrate brings the schema up to date. Whatever ended it may be tried again, unless the database is one for other programs.
func (d *database) migrate(ctx context.Context) error {
	t := d.cfg.target()
	t.LockWait = time.Minute
	err := migrations.Up(ctx, t, d.migrating)
	var newer *migrations.NewerError
	var dirty *migrations.DirtyError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &newer), errors.As(err, &dirty):
		return fmt.Errorf("%w: %w", storage.ErrSchema, err)
	}
	return fmt.Errorf("%w: %w", storage.ErrUnavailable, err)
}

// migrating logs what happens to the schema.
func (d *database) migrating(e migrations.Event) {
	d.log.Info("migration", zap.Stringer("event", e))
}
