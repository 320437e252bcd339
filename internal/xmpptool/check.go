package xmpptool

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/net/idna"

	"github.com/postern-im/postern/internal/cli"
	"github.com/postern-im/postern/internal/doctor"
	"github.com/postern-im/postern/jid"
)

// checkCommand is "xmpp check".
type checkCommand struct {
	Domain     jid.JID
	NoSignIn   bool
	WarnBefore time.Duration
	account
}

func (c *checkCommand) define() *cobra.Command {
	cmd := &cobra.Command{
		Use: "check", Short: "Examine the XMPP service of a domain, as a client sees it.",
		Long: `Asks DNS for the SRV records of both kinds and for addresses, connects to each, and looks at TLS, at the certificate and at what the
server offers for signing in. With an account of the domain it then signs in, and asks the server what it is. Each step has a verdict;
where one warns or fails, what to do about it stands below.

Exit codes: 0 nothing failed (there may be warnings), 1 something did, 2 wrong command line, 3 the server refuses to sign the account in.`,
		Example: `  xmpp check example.org
  xmpp check --jid me@example.org example.org
  xmpp check example.org --json | jq -r '.findings[] | select(.verdict == "fail") | .summary'`,
	}
	cli.Arguments(cmd, "domain", "Whose service to examine.", 1, 1, (&address{to: &c.Domain}).Set)
	flags := cmd.Flags()
	flags.BoolVar(&c.NoSignIn, "no-sign-in", false, "Look only at what everybody can see, also where an account is configured.")
	flags.DurationVar(&c.WarnBefore, "warn-before", 14*24*time.Hour, "Warn of a certificate that ends within this time; default 336h, two weeks.")
	c.flags(flags)
	return cmd
}

// Steps of an examination, in their order.
const (
	stepSRV     = "srv"
	stepAddress = "address"
	stepPort    = "port"
	stepTLS     = "tls"
	stepCert    = "cert"
	stepOffer   = "offer"
	stepSASL    = "sasl"
	stepSASL2   = "sasl2"
	stepBinding = "binding"
	stepAccount = "account"
	stepSession = "session"
	stepVersion = "version"
)

// report is what --json writes.
type report struct {
	Domain   string           `json:"domain"`
	Healthy  bool             `json:"healthy"`
	Findings []doctor.Finding `json:"findings"`
}

func (c *checkCommand) run(ctx context.Context, t *Tool) int {
	e, err := t.examine(c)
	if err == nil {
		err = e.run(ctx)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return t.fail(err, c.JSON)
	}
	healthy := e.found.Healthy()
	if c.JSON {
		t.write(report{Domain: c.Domain.String(), Healthy: healthy, Findings: e.found.Findings})
	}
	switch {
	case e.found.Refused:
		return ExitRefused
	case !healthy:
		return ExitFailure
	}
	return ExitOK
}

// examination is one call of check.
type examination struct {
	t     *Tool
	c     *checkCommand
	name  string // of the domain, in DNS and in certificates
	tls   *tls.Config
	found doctor.Report
	label string // what summaries begin with, where there are several servers
	open  bool   // at least one server has offered a way to sign in
}

func (t *Tool) examine(c *checkCommand) (*examination, error) {
	if !c.Domain.IsDomain() {
		return nil, usage(fmt.Errorf("%s is no domain", c.Domain), "Leave out what is before the @ and behind the slash.")
	}
	tlsc, err := c.check()
	if err != nil {
		return nil, err
	}
	name := strings.Trim(c.Domain.Domain(), "[]")
	if net.ParseIP(name) == nil {
		if name, err = idna.Lookup.ToASCII(name); err != nil {
			return nil, usage(fmt.Errorf("%s is no name of DNS: %w", c.Domain, err), "")
		}
	}
	return &examination{t: t, c: c, name: name, tls: tlsc}, nil
}

// add takes a finding. It is shown at once: an examination may take its time.
func (e *examination) add(step string, v doctor.Verdict, summary, remedy string) {
	f := doctor.Finding{Step: step, Verdict: v, Summary: e.label + summary, Remedy: remedy}
	e.found.Findings = append(e.found.Findings, f)
	if !e.c.JSON {
		_ = doctor.Print(e.t.Stdout, f) // no one to tell
	}
}

func (e *examination) run(ctx context.Context) error {
	servers := e.servers(ctx)
	for _, s := range servers {
		if ctx.Err() != nil {
			return nil
		}
		if len(servers) > 1 {
			e.label = s.addr() + ": "
		}
		e.server(ctx, s)
	}
	e.label = ""
	if !e.open {
		return nil
	}
	return e.signIn(ctx)
}

// server is where the domain's server may be.
type server struct {
	host, port string
	direct     bool // TLS from the first byte on
}

func (s server) addr() string { return net.JoinHostPort(s.host, s.port) }

// server examines one of them.
func (e *examination) server(ctx context.Context, s server) {
	for _, addr := range e.reachable(ctx, s) {
		v := visit{t: e.t, addr: addr, direct: s.direct, domain: e.c.Domain.Domain(), from: e.from(), timeout: e.c.Timeout}
		if e.offers(ctx, v) {
			return // what listens at the server's other addresses is the same server
		}
	}
}

// from is who we say we are before anybody has proved anything.
func (e *examination) from() string {
	if j := e.c.JID; j.Local() != "" && j.DomainJID().Equivalent(e.c.Domain) {
		return j.BareString()
	}
	return "check@" + e.c.Domain.Domain()
}

// reachable resolves a server's name and returns the addresses that take connections.
func (e *examination) reachable(ctx context.Context, s server) []string {
	const most = 8
	var ips []netip.Addr
	if ip, err := netip.ParseAddr(s.host); err == nil {
		ips = []netip.Addr{ip}
	} else {
		asking, cancel := context.WithTimeout(ctx, e.c.Timeout)
		ips, err = e.t.Resolver.LookupNetIP(asking, "ip", s.host)
		cancel()
		if err != nil || len(ips) == 0 {
			e.add(stepAddress, doctor.Fail, fmt.Sprintf("%s has no address: %s", clean(s.host), doctor.DNSReason(err)),
				"Give the name an A or AAAA record, or correct the SRV record that leads to it.")
			return nil
		}
		var texts []string
		for _, ip := range ips {
			texts = append(texts, ip.Unmap().String())
		}
		e.add(stepAddress, doctor.OK, fmt.Sprintf("%s is %s", clean(s.host), listed(texts)), "")
	}
	var up []string
	dead := make(map[string]error)
	var order []string
	for _, ip := range ips[:min(len(ips), most)] {
		addr := net.JoinHostPort(ip.Unmap().String(), s.port)
		dialling, cancel := context.WithTimeout(ctx, e.c.Timeout)
		conn, err := e.t.Dial(dialling, "tcp", addr)
		cancel()
		if err != nil {
			dead[addr] = err
			order = append(order, addr)
			continue
		}
		_ = conn.Close() // it was only to see that it opens
		up = append(up, addr)
	}
	if len(up) > 0 {
		e.add(stepPort, doctor.OK, listed(up)+" takes connections", "")
	}
	for _, addr := range order {
		verdict, remedy := doctor.Fail, "Start the server, have it listen there, and let the firewall pass it."
		if len(up) > 0 {
			verdict, remedy = doctor.Warn, "Clients go on to another address, after a while. Have the server listen there, or take the address out of DNS."
		}
		e.add(stepPort, verdict, fmt.Sprintf("%s takes no connections: %s", addr, dialReason(dead[addr])), remedy)
	}
	return up
}

// dialReason says why an address takes no connection.
func dialReason(err error) string {
	var op *net.OpError
	switch {
	case timedOut(err):
		return "no answer in time"
	case errors.As(err, &op):
		return clean(op.Err.Error())
	}
	return clean(err.Error())
}
