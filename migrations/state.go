package migrations

import (
	"fmt"
	"time"
)

// State is how far a database and this program are.
type State struct {
	Version int // the database's; 0 when it is empty
	Known   int // this program's newest
	// Compatible is the oldest schema whose programs can use the database. It is Version where nothing else was recorded.
	Compatible int
	// Dirty is that another tool has left a migration half done. This package never does.
	Dirty   bool
	Applied []Applied   // what this package has applied, in order
	Pending []Migration // what is missing, in order
}

// Applied is a migration that the database has.
type Applied struct {
	Version int
	At      time.Time // by the clock of the database
}

// Err returns nil if this program can use the database, else an [OutdatedError], a [NewerError] or a [DirtyError].
func (s State) Err() error {
	switch {
	case s.Dirty:
		return &DirtyError{Version: s.Version}
	case s.Version < s.Known:
		return &OutdatedError{Version: s.Version, Known: s.Known}
	case s.Version > s.Known && s.Compatible > s.Known: // guard: FLT-30
		return &NewerError{Version: s.Version, Known: s.Known, Compatible: s.Compatible}
	}
	return nil
}

// OutdatedError is that the database must be migrated before this program can use it.
type OutdatedError struct{ Version, Known int }

// Error tells both versions and the remedy.
func (e *OutdatedError) Error() string {
	return fmt.Sprintf("migrations: the database has schema %d and this program needs %d: migrate it first", e.Version, e.Known)
}

// NewerError is that the database is newer than this program, and not of use to it.
type NewerError struct{ Version, Known, Compatible int }

// Error tells the versions and the remedy.
func (e *NewerError) Error() string {
	return fmt.Sprintf("migrations: the database has schema %d, which needs a program that knows schema %d or newer, and this one knows %d: "+
		"run the newer program, or let it take the migrations back", e.Version, e.Compatible, e.Known)
}

// DirtyError is that a tool other than this package began a migration and did not finish it.
type DirtyError struct{ Version int }

// Error tells where it stands and the remedy.
func (e *DirtyError) Error() string {
	return fmt.Sprintf("migrations: another tool has left schema %d marked as dirty: see whether that migration happened, then set the version "+
		"with that tool", e.Version)
}

// LockedError is that somebody else held the lock until the deadline.
type LockedError struct {
	Holder string        // who, as far as the database tells
	Waited time.Duration // for how long it was waited
}

// Error tells who it is.
func (e *LockedError) Error() string {
	return fmt.Sprintf("migrations: gave up after %v: the database is locked by %s", e.Waited.Round(time.Millisecond), e.Holder)
}
