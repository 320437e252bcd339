package app

import (
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
)

// Config is everything that an operator can set. A value comes from the file, then the environment, then the command line;
// docs/operate.md has the table.
//
// In the tags, yaml is the key in the file, of which the names of the environment variable and of the flag follow; help, placeholder
// and group are what --help says. What is secret has no flag.
type Config struct {
	Component ComponentConfig `yaml:"component" group:"Link to the server:"`
	Server    ServerConfig    `yaml:"server" group:"Link to the server:"`
	Grants    GrantsConfig    `yaml:"grants" group:"Grants of the server:"`
	Database  DatabaseConfig  `yaml:"database" group:"State:"`
	Secrets   SecretsConfig   `yaml:"secrets" group:"State:"`
	Lease     LeaseConfig     `yaml:"lease" group:"State:"`
	Outbox    OutboxConfig    `yaml:"outbox" group:"State:"`
	Router    RouterConfig    `yaml:"router" group:"Load:"`
	Admin     AdminConfig     `yaml:"admin" group:"Watching:"`
	Log       LogConfig       `yaml:"log" group:"Watching:"`
}

// ComponentConfig is the link to the server (XEP-0114).
type ComponentConfig struct {
	Domain         jid.Strict       `yaml:"domain" help:"The gateway's own domain, as the server knows it; the default database is named for it." placeholder:"DOMAIN"`
	Secret         component.Secret `yaml:"secret" secret:"true" help:"The secret shared with the server."`
	SecretFile     string           `yaml:"secret_file" help:"A file that holds the secret, and nothing else." placeholder:"FILE"`
	Address        string           `yaml:"address" help:"Where the server listens for components: host:port, or unix:/path." placeholder:"ADDR"`
	TLS            bool             `yaml:"tls" help:"Speak TLS from the first byte on (ejabberd; Prosody cannot)."`
	TLSCA          string           `yaml:"tls_ca" help:"PEM file of the authorities to trust in place of the system's." placeholder:"FILE"`
	TLSName        string           `yaml:"tls_name" help:"The name in the server's certificate, where it is not the host of the address." placeholder:"NAME"`
	ConnectTimeout time.Duration    `yaml:"connect_timeout" help:"From dialling to the end of the handshake." placeholder:"TIME"`
	RequestTimeout time.Duration    `yaml:"request_timeout" help:"How long to wait for the answer to a request of ours." placeholder:"TIME"`
	WriteTimeout   time.Duration    `yaml:"write_timeout" help:"How long the server may take nothing of what we send." placeholder:"TIME"`
	CloseTimeout   time.Duration    `yaml:"close_timeout" help:"How long the orderly end may take." placeholder:"TIME"`
	KeepAlive      time.Duration    `yaml:"keep_alive" help:"How long the server may be silent before it is asked for a sign of life, and then again." placeholder:"TIME"`
	BackoffMin     time.Duration    `yaml:"backoff_min" help:"The first wait before a new try." placeholder:"TIME"`
	BackoffMax     time.Duration    `yaml:"backoff_max" help:"The longest wait before a new try." placeholder:"TIME"`
	ReceiveLimit   int              `yaml:"receive_limit" help:"Bytes that a received stanza may have." placeholder:"BYTES"`
	SendLimit      int              `yaml:"send_limit" help:"Bytes that a stanza of ours may have; the server must allow as much." placeholder:"BYTES"`
	SendBuffer     int              `yaml:"send_buffer" help:"Bytes that may wait to be sent." placeholder:"BYTES"`
}

// ServerConfig is what is known of the server that we belong to.
type ServerConfig struct {
	Domains []string `yaml:"domains" help:"Domains that the server serves, and from which alone grants are taken; default: the parent of the gateway's domain." placeholder:"DOMAIN"`
}

// RouterConfig bounds how much is worked on at once.
type RouterConfig struct {
	MaxHandlers    int           `yaml:"max_handlers" help:"Stanzas that are handled at once." placeholder:"N"`
	MaxQueued      int           `yaml:"max_queued" help:"Stanzas that may wait or be handled; half of it for one sender." placeholder:"N"`
	MaxQueuedBytes int           `yaml:"max_queued_bytes" help:"Bytes that these may hold." placeholder:"BYTES"`
	LaneSize       int           `yaml:"lane_size" help:"Stanzas from one address to another that may wait." placeholder:"N"`
	SenderRate     int           `yaml:"sender_rate" help:"Stanzas per second of one sender that are handled in the long run; 0: all." placeholder:"N"`
	SenderBurst    int           `yaml:"sender_burst" help:"Stanzas of one sender that are handled at once all the same." placeholder:"N"`
	HandlerTimeout time.Duration `yaml:"handler_timeout" help:"How long a request may be worked on." placeholder:"TIME"`
}

// AdminConfig is the HTTP side: health, readiness, metrics.
type AdminConfig struct {
	Listen string `yaml:"listen" help:"Address of health, readiness and metrics; \"off\" for none." placeholder:"ADDR"`
	Public bool   `yaml:"public" help:"Allow an address that others than this machine can reach: there is no authentication."`
	Pprof  bool   `yaml:"pprof" help:"Serve Go's profiles under /debug/pprof/."`
}

// LogConfig is what is logged and how. Level and Wire can be changed while the gateway runs, by SIGHUP.
type LogConfig struct {
	Level  string `yaml:"level" help:"debug, info, warn or error." placeholder:"LEVEL"`
	Format string `yaml:"format" help:"json, or console for reading by eye." placeholder:"FORMAT"`
	Wire   string `yaml:"wire" help:"Log every stanza: off, redacted (no text), or full (all but credentials)." placeholder:"MODE"`
}

// Values of LogConfig.
const (
	FormatJSON    = "json"
	FormatConsole = "console"

	WireOff      = "off"
	WireRedacted = "redacted"
	WireFull     = "full"
)

// level returns the level as zap has it; info for what is no level, which load refuses.
func (c LogConfig) level() zapcore.Level {
	level, err := zapcore.ParseLevel(c.Level)
	if err != nil {
		return zapcore.InfoLevel
	}
	return level
}

// adminOff is the value of AdminConfig.Listen that opens nothing.
const adminOff = "off"

// Defaults returns the configuration that holds where nothing else is said. It lacks domain and secret. Without the URL of a
// database nothing is kept; the program's own default is a file.
func Defaults() Config {
	return Config{
		Component: ComponentConfig{
			Address:        component.DefaultAddr,
			ConnectTimeout: 15 * time.Second,
			RequestTimeout: 30 * time.Second,
			WriteTimeout:   30 * time.Second,
			CloseTimeout:   8 * time.Second,
			KeepAlive:      12 * time.Second,
			BackoffMin:     500 * time.Millisecond,
			BackoffMax:     30 * time.Second,
			ReceiveLimit:   1 << 20,
			SendLimit:      256 << 10,
			SendBuffer:     1 << 20,
		},
		Grants:   GrantsConfig{Roster: none, Message: none, Presence: none},
		Database: DatabaseConfig{Migrate: true, Connections: 10, Timeout: 5 * time.Second},
		Lease:    LeaseConfig{TTL: 8 * time.Second},
		Outbox: OutboxConfig{
			Batch: 64, Tries: 3, RetryMin: 10 * time.Second, RetryMax: 10 * time.Minute, Remember: 7 * 24 * time.Hour,
		},
		Router: RouterConfig{
			MaxHandlers:    router.DefaultMaxHandlers,
			MaxQueued:      router.DefaultMaxQueued,
			MaxQueuedBytes: router.DefaultMaxQueuedBytes,
			LaneSize:       router.DefaultLaneSize,
			SenderRate:     200,
			SenderBurst:    2000,
			HandlerTimeout: router.DefaultHandlerTimeout,
		},
		Admin: AdminConfig{Listen: "127.0.0.1:9180"},
		Log:   LogConfig{Level: "info", Format: FormatJSON, Wire: WireOff},
	}
}
