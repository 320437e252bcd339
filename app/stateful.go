package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"github.com/postern-im/postern/internal/logging"
)

// stateful is what commands have in common that work on the gateway's state, whether the gateway runs or not.
type stateful struct{ configured }

// flags adds flags for the file and for the settings that say where the state is, and for others whose keys begin with one of these.
func (c *stateful) flags(flags *pflag.FlagSet, keys ...string) {
	keys = append([]string{"component.domain", "database."}, keys...) // the domain names the file where there is no URL
	c.configured.flags(flags, "YAML `FILE` with the configuration, the same as that of run.", keys...)
}

// load reads what concerns state in the configuration.
func (c *stateful) load() (Config, error) {
	src := c.source()
	src.stateOnly = true
	cfg, warnings, err := load(src)
	for _, w := range warnings {
		c.p.complain(errors.New(w))
	}
	if err == nil && cfg.Database.URL == dsnMemory {
		err = fmt.Errorf("database.url is %s: nothing is kept", dsnMemory)
	}
	return cfg, err
}

// withDatabase calls f with a database that can be used, and returns the exit code. The schema is left as it is.
func (c *stateful) withDatabase(ctx context.Context, f func(ctx context.Context, d *database) error) int {
	cfg, err := c.load()
	if err != nil {
		c.p.complain(err)
		return ExitConfig
	}
	if err := missingFile(cfg.Database.URL); err != nil {
		c.p.complain(err)
		return ExitFailure
	}
	cfg.Database.Migrate = false
	d, err := newDatabase(cfg.Database, zap.NewNop())
	if err != nil {
		c.p.complain(err)
		return ExitFailure
	}
	defer d.close()
	look, cancel := context.WithTimeout(ctx, cfg.Database.Timeout)
	err = d.prepare(look)
	cancel()
	if err == nil {
		err = f(ctx, d)
	}
	if err != nil {
		c.p.complain(err)
		return ExitFailure
	}
	return ExitOK
}

// missingFile says that a SQLite file is not there, which opening it would make.
func missingFile(d DSN) error {
	name, ok := d.file()
	if !ok {
		return nil
	}
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no database %s; run, or migrate up, makes it", name)
	} else if err != nil {
		return plain(err)
	}
	return nil
}

// makeFolder makes the folder of a SQLite file, for its owner alone.
func makeFolder(name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return plain(err)
	}
	return nil
}

func (p *program) say(format string, args ...any) {
	_, _ = fmt.Fprintf(p.stdout, format, args...) // no one to tell
}

// table writes rows of cells in columns.
func (p *program) table(rows [][]string) {
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		_, _ = fmt.Fprintln(w, strings.Join(r, "\t")) // no one to tell
	}
	_ = w.Flush() // likewise
}

// stamp is how times are written; "-" where there is none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// shown makes text from others fit for a terminal.
func shown(text string) string {
	const most = 512
	return clean(text, most)
}

func clean(text string, most int) string { return logging.Clean(text, most) }
