package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/golang-migrate/migrate/v4/database"
)

// driver is what golang-migrate drives: one connection, on which its lock is our transaction. Lock begins it, the version that is
// then read is the one that counts, Unlock commits it. So a migration, its version and its record are one.
//
// golang-migrate's own drivers commit a migration and its version one after the other, and wait for their lock without end and
// without a context.
type driver struct {
	ctx      context.Context //nolint:containedctx // golang-migrate's interface has none
	conn     *sql.Conn
	dialect  dialect
	files    files
	wait     time.Duration
	progress func(Event)
	told     bool // of whom we wait for

	down    bool
	version int       // before the migration
	target  int       // of the migration that runs
	began   time.Time // when
	done    bool      // it ran, and its version is written
}

var _ database.Driver = (*driver)(nil)

// Open is for golang-migrate's registry, which we are not in.
func (d *driver) Open(string) (database.Driver, error) {
	return nil, errors.New("migrations: not opened by URL")
}

// Close leaves the connection to whoever opened it.
func (d *driver) Close() error { return nil }

// Drop is not for us.
func (d *driver) Drop() error { return errors.New("migrations: nothing is dropped but by a migration") }

// Lock begins a transaction that nobody else has, and waits for it no longer than it may.
func (d *driver) Lock() error {
	start := time.Now()
	for {
		locked, err := d.begin()
		if err != nil {
			return err
		}
		if locked {
			return nil
		}
		held := &LockedError{Holder: d.dialect.holder(d.ctx, d.conn), Waited: time.Since(start)}
		if held.Waited >= d.wait { // guard: FLT-27
			return held
		}
		if !d.told {
			d.told = true
			d.progress(Event{Waiting: held})
		}
		if err := d.pause(); err != nil {
			return err
		}
	}
}

// pause waits a moment, unless the context ends.
func (d *driver) pause() error {
	timer := time.NewTimer(100 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-d.ctx.Done():
		return context.Cause(d.ctx)
	}
}

// begin tries once to begin the transaction. It leaves none behind unless it returns true.
func (d *driver) begin() (locked bool, err error) {
	d.done = false
	if locked, err = d.dialect.begin(d.ctx, d.conn, d.wait); err != nil || !locked {
		d.rollback()
		return false, err
	}
	if err := d.ensureTables(); err != nil {
		d.rollback()
		return false, err
	}
	return true, nil
}

// Unlock commits what was done, or ends the transaction.
func (d *driver) Unlock() error {
	if !d.done { // guard: FLT-28
		d.rollback()
		return nil
	}
	if err := d.commit(); err != nil {
		d.rollback()
		return fmt.Errorf("migrations: %s: %w", d.files.find(d.moved()), err)
	}
	d.progress(Event{Migration: d.files.find(d.moved()), Down: d.down, Took: max(time.Since(d.began), 1)})
	return nil
}

// commit waits for those who still read what is to change, where the engine does not by itself.
func (d *driver) commit() error {
	for start := time.Now(); ; {
		_, err := d.conn.ExecContext(d.ctx, "COMMIT")
		if err == nil || !d.dialect.busy(err) || time.Since(start) >= d.wait {
			return err
		}
		if err := d.pause(); err != nil {
			return err
		}
	}
}

// rollback ends the transaction, if there is one. If it cannot, the connection is broken and with it the transaction.
func (d *driver) rollback() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.ctx), 5*time.Second)
	defer cancel()
	_, _ = d.conn.ExecContext(ctx, "ROLLBACK")
}

// Version returns the version, inside the transaction.
func (d *driver) Version() (int, bool, error) {
	version, dirty, err := d.readVersion(d.ctx)
	if err != nil {
		return 0, false, err
	}
	if dirty {
		return 0, false, &DirtyError{Version: version}
	}
	d.version = version
	if version == 0 {
		version = database.NilVersion
	}
	return version, false, nil
}

// SetVersion writes the version when the migration has run. That it is about to run is nobody's business: it is not there before
// it is whole.
func (d *driver) SetVersion(version int, dirty bool) error {
	d.target = max(version, 0)
	if dirty {
		d.began = time.Now()
		d.progress(Event{Migration: d.files.find(d.moved()), Down: d.down})
		return nil
	}
	if err := d.writeVersion(); err != nil {
		return fmt.Errorf("migrations: %s: %w", d.files.find(d.moved()), err)
	}
	d.done = true
	return nil
}

// moved is the version of the migration that is applied or taken back.
func (d *driver) moved() int {
	if d.down {
		return d.version
	}
	return d.target
}

// Run applies a file.
func (d *driver) Run(migration io.Reader) error {
	body, err := io.ReadAll(migration)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	if _, err := d.conn.ExecContext(d.ctx, string(body)); err != nil {
		if d.ctx.Err() != nil {
			err = errors.Join(context.Cause(d.ctx), err)
		}
		return fmt.Errorf("migrations: %s: nothing of it happened: %w", d.files.find(d.moved()), d.dialect.explain(err, body))
	}
	return nil
}
