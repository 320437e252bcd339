package app

import (
	"context"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"go.uber.org/fx"

	"github.com/postern-im/postern/gateway"
	"github.com/postern-im/postern/router"
)

// Option changes what Main makes of a network.
type Option func(*program)

// WithName sets the program's name, which it calls itself in --help, logs and service discovery; default "gateway".
func WithName(name string) Option { return func(p *program) { p.name = name } }

// WithVersion sets the program's version; default: what the Go tool chain recorded of the module.
func WithVersion(version string) Option { return func(p *program) { p.version = version } }

// WithURL sets the web page of the software, by which presence names it (XEP-0115); default: that of Postern.
func WithURL(url string) Option { return func(p *program) { p.url = url } }

// WithEnvPrefix sets what the names of environment variables begin with; default "POSTERN".
func WithEnvPrefix(prefix string) Option { return func(p *program) { p.prefix = prefix } }

// WithSettings adds a section to the configuration for the network's own settings: into is a pointer to a struct with yaml tags
// that holds the defaults. It is filled before the network is asked for its routes, from the section of that name in the file
// and from environment variables (POSTERN_IRC_SERVER for the key server of the section irc). A [Validator] is asked in the
// end.
func WithSettings(name string, into any) Option {
	return func(p *program) { p.sections = append(p.sections, section{name, into}) }
}

// WithMiddleware adds middleware around all handlers, the first outermost.
func WithMiddleware(mw ...router.Middleware) Option {
	return func(p *program) { p.middleware = append(p.middleware, mw...) }
}

// WithModule adds to the wiring, such as an fx.Module whose constructor returns a Contribution.
func WithModule(opts ...fx.Option) Option {
	return func(p *program) { p.modules = append(p.modules, opts...) }
}

// program is a call of Main.
type program struct {
	network    gateway.Network
	name       string
	version    string
	prefix     string
	url        string
	sections   []section
	middleware []router.Middleware
	modules    []fx.Option

	self           string // how the program was called
	args           []string
	environ        []string
	stdout, stderr io.Writer
	signals        chan os.Signal
	kill           func(code int) // ends the process at once
}

func newProgram(network gateway.Network, opts ...Option) *program {
	p := &program{
		network: network, name: "gateway", version: moduleVersion(), prefix: "POSTERN",
		self: os.Args[0], args: os.Args[1:], environ: os.Environ(), stdout: os.Stdout, stderr: os.Stderr,
		signals: make(chan os.Signal, 4), kill: os.Exit,
	}
	for _, o := range opts {
		o(p)
	}
	return p
}

// Main is the whole program: it reads the command line and the configuration, does what the command says with the network, and
// exits. docs/operate.md describes it for the one who runs it.
func Main(network gateway.Network, opts ...Option) {
	p := newProgram(network, opts...)
	// Without this the first line of log after a closed pipe would end the process.
	signal.Ignore(syscall.SIGPIPE) // guard: FLT-19
	signal.Notify(p.signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	os.Exit(p.run(context.Background()))
}

// moduleVersion returns the version of the main module, "(devel)" where it was built from a working tree.
func moduleVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
