package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"github.com/postern-im/postern/internal/cli"
	"github.com/postern-im/postern/migrations"
	"github.com/postern-im/postern/storage"
)

// migrating is what the commands have in common.
type migrating struct {
	stateful

	wait time.Duration
}

// flags adds the flags that the commands have in common.
func (c *migrating) flags(flags *pflag.FlagSet) {
	c.stateful.flags(flags)
	flags.DurationVar(&c.wait, "wait", time.Minute, "How long to wait for another program that migrates.")
}

// target returns the database that is meant.
func (c *migrating) target() (Config, migrations.Target, error) {
	cfg, err := c.load()
	t := cfg.Database.target()
	t.LockWait = c.wait
	return cfg, t, err
}

// target returns what is to be migrated.
func (c DatabaseConfig) target() migrations.Target {
	if name, ok := c.URL.file(); ok {
		return migrations.Target{Engine: migrations.SQLite, DSN: name}
	}
	dsn := c.URL
	if c.MigrateURL != "" {
		dsn = c.MigrateURL
	}
	return migrations.Target{Engine: migrations.Postgres, DSN: string(dsn)}
}

// tell says what happens.
func (c *migrating) tell(e migrations.Event) { c.p.say("%s\n", shown(e.String())) }

// migrateUp is "gateway migrate up".
type migrateUp struct{ migrating }

func (c *migrateUp) define() *cobra.Command {
	cmd := &cobra.Command{
		Use: "up", Short: "Bring the schema of the database up to date.",
		Long: `Applies what the database lacks, each migration in one transaction. Any number of programs may do it at once: one does it,
the others wait. The gateway does the same when it starts, unless database.migrate is false.

Exit codes: 0 the schema is up to date, 1 it is not, 2 wrong configuration.`,
		Example: c.p.expand(`  ${name} migrate up --config gateway.yaml
  ${prefix}_DATABASE_URL_FILE=/run/secrets/database ${name} migrate up`),
	}
	c.flags(cmd.Flags())
	return cmd
}

func (c *migrateUp) run(ctx context.Context) int {
	cfg, t, err := c.target()
	if err != nil {
		c.p.complain(err)
		return ExitConfig
	}
	if name, ok := cfg.Database.URL.file(); ok {
		if err := makeFile(name); err != nil {
			c.p.complain(err)
			return ExitFailure
		}
	}
	if err := migrations.Up(ctx, t, c.tell); err != nil {
		c.p.complain(err)
		return ExitFailure
	}
	return c.report(ctx, t)
}

// report says what the schema is now.
func (c *migrating) report(ctx context.Context, t migrations.Target) int {
	s, err := migrations.Status(ctx, t)
	if err != nil {
		c.p.complain(err)
		return ExitFailure
	}
	c.p.say("schema %d of %d\n", s.Version, s.Known)
	return ExitOK
}

// makeFile makes a SQLite file, and its folder, for their owner alone.
func makeFile(name string) error {
	if err := makeFolder(name); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return plain(err)
	}
	return f.Close()
}

// migrateDown is "gateway migrate down".
type migrateDown struct {
	migrating

	steps int
	force bool
}

func (c *migrateDown) define() *cobra.Command {
	cmd := &cobra.Command{
		Use: "down", Short: "Take migrations back, the newest first. What only they had room for is lost.",
		Long: `Takes migrations back, so that an older program can use the database. Use the newer program for it: it alone knows how. Make a
backup first, and stop the gateway.

Exit codes: 0 done, 1 not, 2 wrong configuration.`,
		Example: c.p.expand(`  ${name} migrate status --config gateway.yaml
  ${name} migrate down 1 --config gateway.yaml`),
	}
	cli.Arguments(cmd, "steps", "How many migrations to take back.", 1, 1, func(text string) (err error) {
		c.steps, err = strconv.Atoi(text)
		return err
	})
	c.flags(cmd.Flags())
	cmd.Flags().BoolVar(&c.force, "force", false, "Also while a gateway serves with this database.")
	return cmd
}

func (c *migrateDown) run(ctx context.Context) int {
	cfg, t, err := c.target()
	if err == nil && c.steps < 1 {
		err = fmt.Errorf("%d migrations cannot be taken back", c.steps)
	}
	if err != nil {
		c.p.complain(err)
		return ExitConfig
	}
	if err := c.check(ctx, cfg); err != nil {
		c.p.complain(err)
		return ExitFailure
	}
	if err := migrations.Down(ctx, t, c.steps, c.tell); err != nil {
		c.p.complain(err)
		return ExitFailure
	}
	return c.report(ctx, t)
}

// check refuses while a gateway serves with the database.
func (c *migrateDown) check(ctx context.Context, cfg Config) error {
	if err := missingFile(cfg.Database.URL); err != nil || c.force {
		return err
	}
	cfg.Database.Migrate = false
	d, err := newDatabase(cfg.Database, zap.NewNop())
	if err != nil {
		return err
	}
	defer d.close()
	ctx, cancel := context.WithTimeout(ctx, cfg.Database.Timeout)
	defer cancel()
	if err := d.prepare(ctx); err != nil {
		return nil //nolint:nilerr // no gateway of this version serves with it, and migrations say what is wrong
	}
	l, err := d.HeldLease(ctx, leaseName)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("a gateway serves with this database: %s; stop it first, or add --force", shown(l.Holder))
}

// migrateStatus is "gateway migrate status".
type migrateStatus struct{ migrating }

func (c *migrateStatus) define() *cobra.Command {
	cmd := &cobra.Command{
		Use: "status", Short: "Show which migrations the database has, and which it lacks.",
		Long: `Shows the migrations of the database and of this program. It changes nothing.

Exit codes: 0 this program can use the database as it is, 1 it cannot, 2 wrong configuration.`,
		Example: c.p.expand(`  ${name} migrate status --config gateway.yaml`),
	}
	c.flags(cmd.Flags())
	return cmd
}

func (c *migrateStatus) run(ctx context.Context) int {
	s, code := c.state(ctx)
	if code != ExitOK {
		return code
	}
	c.p.say("schema %d of %d\n", s.Version, s.Known)
	var rows [][]string
	for _, a := range s.Applied {
		rows = append(rows, []string{fmt.Sprint(a.Version), "applied", stamp(a.At)})
	}
	for _, m := range s.Pending {
		rows = append(rows, []string{fmt.Sprint(m.Version), "missing", m.Name})
	}
	c.p.table(rows)
	if err := s.Err(); err != nil {
		c.p.complain(err)
		return ExitFailure
	}
	return ExitOK
}

// state asks the database for its state.
func (c *migrating) state(ctx context.Context) (migrations.State, int) {
	cfg, t, err := c.target()
	if err != nil {
		c.p.complain(err)
		return migrations.State{}, ExitConfig
	}
	err = missingFile(cfg.Database.URL)
	var s migrations.State
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, cfg.Database.Timeout)
		defer cancel()
		s, err = migrations.Status(ctx, t)
	}
	if err != nil {
		c.p.complain(err)
		return s, ExitFailure
	}
	return s, ExitOK
}

// migrateVersion is "gateway migrate version".
type migrateVersion struct{ migrating }

func (c *migrateVersion) define() *cobra.Command {
	cmd := &cobra.Command{Use: "version", Short: "Print the number of the database's schema, for scripts."}
	c.flags(cmd.Flags())
	return cmd
}

func (c *migrateVersion) run(ctx context.Context) int {
	s, code := c.state(ctx)
	if code == ExitOK {
		c.p.say("%d\n", s.Version)
	}
	return code
}
