package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-im/postern/internal/cli"
	"github.com/postern-im/postern/internal/democheck"
	"github.com/postern-im/postern/internal/xmppserver"
	"github.com/postern-im/postern/jid"
)

// demoCommand is "gateway demo".
type demoCommand struct {
	p *program

	config        string
	port, tlsPort int // -1: the usual one, or any
	adminPort     int
	caFile        string
	level, wire   string // of the log
	target        string // of --check
	targetTime    time.Duration
}

// The demo's server and accounts. Passwords are the names.
const (
	demoHost   = "localhost"
	demoDomain = "gateway.localhost"
)

var demoUsers = []string{"admin", "test", "user2"}

func (c *demoCommand) define() *cobra.Command {
	cmd := &cobra.Command{
		Use: "demo", Short: "Try it: a server, the gateway and its network in one process.",
		Long: `Runs an XMPP server, the gateway and the network behind it in one process, reachable from this machine alone, and says how
to log in. Nothing is kept when it ends.

--check drives a running demo: it logs in over TCP with TLS, looks around, pings, and writes to the gateway. It fails
unless what it writes comes back.`,
		Example: c.p.expand(`  ${name} demo
  ${name} demo --port 0 --log-level debug --log-wire full
  ${name} demo --check 'xmpp://test:test@127.0.0.1:5222/gateway.localhost?domain=localhost&ca=%2Ftmp%2Fca.pem'`),
	}
	flags := cmd.Flags()
	flags.StringVarP(&c.config, "config", "c", "", "YAML `FILE`, for the network's own settings.")
	flags.IntVar(&c.port, "port", -1, "`PORT` for clients; default 5222, or any that is free. 0: any.")
	flags.IntVar(&c.tlsPort, "tls-port", -1, "`PORT` for clients with direct TLS; default 5223, or any that is free. 0: any.")
	flags.IntVar(&c.adminPort, "admin-port", 0, "`PORT` of health and metrics. 0: any.")
	flags.StringVar(&c.caFile, "ca-file", "", "`FILE` to write the certificate of the demo's own authority to; default: a temporary one.")
	cli.Enum(flags, &c.level, "log-level", "warn", "`LEVEL` of the log: debug, info, warn or error.", "debug", "info", "warn", "error")
	cli.Enum(flags, &c.wire, "log-wire", WireOff, "`MODE` in which every stanza of the gateway is logged: off, redacted or full.", WireOff, WireRedacted, WireFull)
	flags.StringVar(&c.target, "check", "", "Do not start anything, but drive the demo that prints this `URL`, as a user would.")
	flags.DurationVar(&c.targetTime, "check-time", 30*time.Second, "How long --check may take.")
	return cmd
}

func (c *demoCommand) run(ctx context.Context) int {
	if c.target != "" {
		return c.check(ctx)
	}
	code, err := c.serve(ctx)
	if err != nil {
		c.p.complain(err)
	}
	return code
}

// check is the other side of the demo.
func (c *demoCommand) check(ctx context.Context) int {
	target, err := democheck.ParseTarget(c.target)
	if err != nil {
		c.p.complain(err)
		return ExitConfig
	}
	ctx, cancel := context.WithTimeout(ctx, c.targetTime)
	defer cancel()
	err = democheck.Check(ctx, target, func(what string) { c.say("ok    %s\n", what) })
	if err != nil {
		c.say("FAIL\n")
		c.p.complain(err)
		return ExitFailure
	}
	return ExitOK
}

func (c *demoCommand) say(format string, args ...any) {
	_, _ = fmt.Fprintf(c.p.stdout, format, args...) // no one to tell
}

// serve runs the server and the gateway.
func (c *demoCommand) serve(ctx context.Context) (code int, err error) {
	secret := rand.Text()
	srv, err := c.server(ctx, secret)
	if err != nil {
		return ExitFailure, err
	}
	defer func() { err = errors.Join(err, srv.Close()) }()
	ca, cleanUp, err := c.writeCA(srv.CA())
	if err != nil {
		return ExitFailure, err
	}
	defer cleanUp()
	cfg, warnings, err := c.load(srv.ComponentAddr(), secret)
	if err != nil {
		return ExitConfig, err
	}
	watch, cancel := context.WithCancel(ctx)
	told := make(chan struct{})
	go func() {
		defer close(told)
		if srv.Component(demoDomain).Wait(watch, true) == nil {
			c.banner(srv, ca)
		}
	}()
	code = c.p.serve(ctx, cfg, warnings, nil)
	cancel()
	<-told
	return code, nil
}

// server starts the server. Without a port given it takes the usual one, or any if that is in use.
func (c *demoCommand) server(ctx context.Context, secret string) (*xmppserver.Server, error) {
	const clients, clientsTLS = 5222, 5223
	port, tlsPort := c.port, c.tlsPort
	usual := port < 0 || tlsPort < 0
	if port < 0 {
		port = clients
	}
	if tlsPort < 0 {
		tlsPort = clientsTLS
	}
	srv, err := startServer(ctx, port, tlsPort, secret)
	if usual && errors.Is(err, syscall.EADDRINUSE) {
		return startServer(ctx, max(0, c.port), max(0, c.tlsPort), secret)
	}
	return srv, err
}

func startServer(ctx context.Context, port, tlsPort int, secret string) (*xmppserver.Server, error) {
	at := func(port int) string { return net.JoinHostPort("127.0.0.1", fmt.Sprint(port)) }
	srv, err := xmppserver.New(xmppserver.Config{
		Domain: demoHost, Components: map[string]string{demoDomain: secret},
		Listen: xmppserver.Listen{Component: at(0), Client: at(port), ClientTLS: at(tlsPort)},
	}, nil)
	if err != nil {
		return nil, err
	}
	for _, user := range demoUsers {
		if err := srv.AddUser(user, user); err != nil {
			return nil, err
		}
	}
	if err := srv.Start(ctx); err != nil {
		return nil, errors.Join(err, srv.Close())
	}
	return srv, nil
}

// writeCA writes the certificate to where the user wants it, or to a file that cleanUp removes.
func (c *demoCommand) writeCA(pem []byte) (name string, cleanUp func(), err error) {
	name, cleanUp = c.caFile, func() {}
	if name == "" {
		dir, err := os.MkdirTemp("", c.p.name+"-demo-")
		if err != nil {
			return "", nil, err
		}
		name, cleanUp = filepath.Join(dir, "ca.pem"), func() { _ = os.RemoveAll(dir) }
	}
	if name, err = filepath.Abs(name); err == nil {
		err = os.WriteFile(name, pem, 0o644) //nolint:gosec // a certificate is public, and a client of another user may read it
	}
	if err != nil {
		cleanUp()
	}
	return name, cleanUp, err
}

// load makes the gateway's configuration. What the environment says of a real server does not count here.
func (c *demoCommand) load(addr, secret string) (Config, []string, error) {
	var environ []string
	for _, e := range c.p.environ {
		ours := func(section string) bool { return strings.HasPrefix(e, c.p.prefix+"_"+section+"_") }
		if !slices.ContainsFunc([]string{"COMPONENT", "ADMIN", "LOG", "DATABASE", "SECRETS"}, ours) {
			environ = append(environ, e)
		}
	}
	return load(source{file: c.config, environ: environ, prefix: c.p.prefix, sections: c.p.sections, flags: map[string]string{
		"component-domain":          demoDomain,
		"component-secret":          secret,
		"component-address":         addr,
		"component-tls":             "false",
		"server-domains":            demoHost,
		"database-url":              string(dsnMemory),
		"database-url-file":         "",
		"database-migrate-url":      "",
		"database-migrate-url-file": "",
		"secrets-key-file":          "",
		"secrets-keys":              "",
		"admin-listen":              net.JoinHostPort("127.0.0.1", fmt.Sprint(c.adminPort)),
		"admin-public":              "false",
		"log-level":                 c.level,
		"log-format":                FormatConsole,
		"log-wire":                  c.wire,
	}})
}

// banner says how to log in. The line that begins with "url" is for programs.
func (c *demoCommand) banner(srv *xmppserver.Server, ca string) {
	_, port, _ := net.SplitHostPort(srv.ClientAddr()) // it is the server's own
	_, tlsPort, _ := net.SplitHostPort(srv.ClientTLSAddr())
	c.say(`
The gateway is %[1]s, behind an XMPP server in this process. Log in with any client:

  address   test@localhost      password   test       (or admin, user2: the password is the name)
  server    127.0.0.1           port       %[2]s       with STARTTLS, or %[3]s with direct TLS
  authority %[4]s

Most clients ask whether to trust the certificate; give them the authority to be sure. Then write to any address at
%[1]s, such as hello@%[1]s. Ctrl-C ends it all; nothing is kept.

From another terminal, this does the same by itself:

  %[5]s demo --check '%[6]s'

url %[6]s
`, demoDomain, port, tlsPort, ca, c.p.self, democheck.Target{
		Addr: srv.ClientAddr(), User: jid.MustParse("test@" + demoHost), Password: "test", Gateway: jid.MustParse(demoDomain), CA: ca,
	})
}
