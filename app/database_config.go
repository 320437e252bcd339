package app

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// DatabaseConfig is where the gateway keeps its state. A database belongs to one gateway.
type DatabaseConfig struct {
	URL            DSN           `yaml:"url" secret:"true" help:"postgres://USER:PASSWORD@HOST/NAME, sqlite:FILE, or memory to keep nothing; default: a SQLite file named for the gateway's domain, in the user's state folder."`
	URLFile        string        `yaml:"url_file" help:"A file that holds the URL, and nothing else." placeholder:"FILE"`
	Migrate        bool          `yaml:"migrate" help:"Bring the schema up to date at the start; otherwise wait until somebody has."`
	MigrateURL     DSN           `yaml:"migrate_url" secret:"true" help:"URL for migrations, where another user may change the schema, or to get past a pooler (Postgres)."`
	MigrateURLFile string        `yaml:"migrate_url_file" help:"A file that holds the URL for migrations, and nothing else." placeholder:"FILE"`
	Connections    int           `yaml:"connections" help:"Connections at most (Postgres)." placeholder:"N"`
	Timeout        time.Duration `yaml:"timeout" help:"How long the database may take over one thing." placeholder:"TIME"`
}

// LeaseConfig is by what one process of several serves.
type LeaseConfig struct {
	TTL time.Duration `yaml:"ttl" help:"How long after the last sign of life of the process that serves another takes over; also how long it serves while the database is away." placeholder:"TIME"`
}

// OutboxConfig is how what must not be lost is sent.
type OutboxConfig struct {
	Batch    int           `yaml:"batch" help:"Stanzas that are under way at once." placeholder:"N"`
	Rate     int           `yaml:"rate" help:"Stanzas per second at most; 0: as many as the server takes." placeholder:"N"`
	Tries    int           `yaml:"tries" help:"How often a stanza is tried that fails by its own fault, before it is a dead letter." placeholder:"N"`
	RetryMin time.Duration `yaml:"retry_min" help:"How long a stanza waits that the server refused for now; each further time four times as long." placeholder:"TIME"`
	RetryMax time.Duration `yaml:"retry_max" help:"The longest of these waits." placeholder:"TIME"`
	Remember time.Duration `yaml:"remember" help:"How long the ids of sent stanzas are known, so that none is stored twice." placeholder:"TIME"`
}

// DSN is the URL of a database. Its password does not show in logs.
type DSN string

// The forms of a DSN beside postgres://.
const (
	dsnMemory = DSN("memory")
	dsnSQLite = "sqlite:"
)

// String returns the URL without password.
func (d DSN) String() string {
	u, err := url.Parse(string(d))
	switch {
	case err != nil:
		return "[redacted]"
	case u.User == nil && u.RawQuery == "":
		return string(d)
	}
	q := u.Query()
	for key := range q {
		if strings.Contains(strings.ToLower(key), "pass") {
			q.Set(key, "redacted")
		}
	}
	u.RawQuery = q.Encode()
	return u.Redacted()
}

// GoString returns the same as String.
func (d DSN) GoString() string { return d.String() }

// MarshalText returns the same as String, so that no encoder writes the password.
func (d DSN) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// file returns the name of a SQLite file, if it is one.
func (d DSN) file() (string, bool) { return strings.CutPrefix(string(d), dsnSQLite) }

// postgres reports whether it is the URL of a Postgres.
func (d DSN) postgres() bool {
	return strings.HasPrefix(string(d), "postgres://") || strings.HasPrefix(string(d), "postgresql://")
}

// check says what is wrong with it. Its text stays out of the error: there may be a password in it.
func (d DSN) check() error {
	if d == dsnMemory {
		return nil
	}
	if name, ok := d.file(); ok {
		switch {
		case name == "":
			return fmt.Errorf("%s without a file", dsnSQLite)
		case strings.HasPrefix(name, "//"), strings.ContainsAny(name, "?\x00"):
			return fmt.Errorf("not a file; write it as %sgateway.db or %s/var/lib/gateway/gateway.db", dsnSQLite, dsnSQLite)
		}
		return nil
	}
	if !d.postgres() {
		return fmt.Errorf("neither postgres://USER:PASSWORD@HOST/NAME nor %sFILE nor %s", dsnSQLite, string(dsnMemory))
	}
	if u, err := url.Parse(string(d)); err != nil {
		return errors.New("not a URL; what is special in a password is written as %XX")
	} else if u.Path == "" || u.Path == "/" {
		return errors.New("the name of the database is missing, as in postgres://HOST/NAME")
	}
	return nil
}

func (v *validation) database() {
	d := &v.cfg.Database
	v.dsn("database.url", "database.url_file", &d.URL, d.URLFile)
	v.dsn("database.migrate_url", "database.migrate_url_file", &d.MigrateURL, d.MigrateURLFile)
	if d.URL == "" && !v.set.Refused("database.url") && !v.set.Refused("database.url_file") {
		v.stateFile()
	}
	if d.MigrateURL != "" && d.URL != "" && !(d.URL.postgres() && d.MigrateURL.postgres()) {
		v.set.Refuse("database.migrate_url", "only Postgres has a URL of its own for migrations")
	}
	v.atLeast(2, "database.connections") // a transaction, and the lease beside it
	v.positive("database.timeout")
}

// dsn settles where a URL comes from: the later layer wins.
func (v *validation) dsn(key, fileKey string, d *DSN, name string) {
	value, file := v.set.Field(key), v.set.Field(fileKey)
	switch {
	case *d != "" && name != "" && value.Layer == file.Layer:
		v.set.Refuse(fileKey, "%s is set as well (%s): which one counts?", key, value.Where())
		return
	case name != "" && file.Layer > value.Layer:
		secret, err := readSecret(name)
		if err != nil {
			v.set.Refuse(fileKey, "%v", err)
			return
		}
		*d, key = DSN(secret), fileKey
	case *d == "":
		return
	}
	if err := d.check(); err != nil {
		v.set.Refuse(key, "%v", err)
	}
}

// stateFile sets the database to a file in the folder for state that the user, or systemd, has.
func (v *validation) stateFile() {
	env := make(map[string]string)
	for _, e := range v.environ {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
	}
	dir, _, _ := strings.Cut(env["STATE_DIRECTORY"], ":") // systemd.exec(5)
	switch home := env["HOME"]; {
	case dir != "":
	case filepath.IsAbs(env["XDG_STATE_HOME"]):
		dir = filepath.Join(env["XDG_STATE_HOME"], v.program)
	case filepath.IsAbs(home) && home != "/": // containers give a user without a home that of nobody
		dir = filepath.Join(home, ".local", "state", v.program)
	default:
		v.set.Refuse("database.url", "not set, and there is no folder for a file (STATE_DIRECTORY, XDG_STATE_HOME and HOME are not set); give it as %s or %s",
			v.set.Field("database.url").Env(v.prefix), v.set.Field("database.url_file").Env(v.prefix))
		return
	}
	switch d := v.cfg.Component.Domain; {
	case !d.IsZero():
		v.cfg.Database.URL = DSN(dsnSQLite + filepath.Join(dir, d.Domain()+".db"))
	case v.stateOnly && !v.set.Refused("component.domain"):
		v.missing("component.domain") // it names the file; elsewhere it is missed anyway
	}
}

func (v *validation) lease() {
	if ttl := v.cfg.Lease.TTL; (ttl < time.Second || ttl > time.Hour) && !v.set.Refused("lease.ttl") {
		v.set.Refuse("lease.ttl", "%v is not between 1s and 1h", ttl)
	}
}

func (v *validation) outbox() {
	v.atLeast(1, "outbox.batch", "outbox.tries")
	v.atLeast(0, "outbox.rate")
	v.positive("outbox.retry_min", "outbox.retry_max", "outbox.remember")
	if o := v.cfg.Outbox; o.RetryMax < o.RetryMin {
		v.set.Refuse("outbox.retry_max", "%v is less than outbox.retry_min, %v", o.RetryMax, o.RetryMin)
	}
}
