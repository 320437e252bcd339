package xmpptool

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/stanza"
)

// reach is how to get to a server.
type reach struct {
	Server    string
	DirectTLS bool
	CA        string // a file
	Timeout   time.Duration
	JSON      bool
}

// account is who signs in.
type account struct {
	JID          jid.JID
	PasswordFile string
	AllowPlain   bool
	reach
}

// passwordVar is the environment variable with the password. There is no flag for it: others can see a process's arguments.
const passwordVar = "XMPP_PASSWORD"

// check refuses what cannot work. tlsc is what the authorities come to.
func (r *reach) check() (tlsc *tls.Config, err error) {
	if r.Timeout <= 0 {
		return nil, usage(fmt.Errorf("a timeout of %v", r.Timeout), "Give a time such as --timeout 30s.")
	}
	if r.Server != "" {
		if _, port, err := net.SplitHostPort(r.Server); err != nil || port == "" {
			return nil, usage(fmt.Errorf("--server %q is not host:port", r.Server), "The usual port for clients is 5222, and 5223 with --direct-tls.")
		}
	} else if r.DirectTLS {
		return nil, usage(errors.New("--direct-tls without --server"), "DNS says where TLS is spoken from the first byte on; give --server to say it yourself.")
	}
	tlsc = &tls.Config{MinVersion: tls.VersionTLS12}
	if r.CA == "" {
		return tlsc, nil
	}
	pem, err := os.ReadFile(r.CA)
	if err != nil {
		return nil, usage(fmt.Errorf("--ca: %w", err), "")
	}
	tlsc.RootCAs = x509.NewCertPool()
	if !tlsc.RootCAs.AppendCertsFromPEM(pem) {
		return nil, usage(fmt.Errorf("--ca: %s holds no certificate", r.CA), "It must be PEM: blocks that begin with -----BEGIN CERTIFICATE-----.")
	}
	return tlsc, nil
}

// config is what a client needs to sign in.
func (t *Tool) config(a *account) (client.Config, error) {
	if a.JID.IsZero() {
		return client.Config{}, usage(errors.New("no account to sign in with"), "Give one with --jid or $XMPP_JID.")
	}
	if a.JID.Local() == "" {
		return client.Config{}, usage(fmt.Errorf("%s is a domain, not an account", a.JID), "Give user@domain with --jid or $XMPP_JID.")
	}
	tlsc, err := a.check()
	if err != nil {
		return client.Config{}, err
	}
	password, err := t.password(a)
	if err != nil {
		return client.Config{}, err
	}
	return client.Config{
		JID: a.JID, Credentials: sasl.Credentials{Password: password}, Policy: sasl.Policy{AllowPlain: a.AllowPlain},
		UserAgent: client.UserAgent{Software: name}, Addr: a.Server, DirectTLS: a.DirectTLS, TLS: tlsc,
		Resolver: t.Resolver, Dial: t.Dial, ConnectTimeout: a.Timeout, RequestTimeout: a.Timeout,
		// A tool that is killed leaves no session behind that the server keeps, and sends messages to.
		StreamManagement: client.StreamManagement{Off: true},
		// One try: who reads the error decides about another.
		Backoff: client.Backoff{Min: time.Hour, Max: time.Hour},
	}, nil
}

// errNoPassword means that there is no password and nobody to ask for one.
var errNoPassword = errors.New("no password")

// password looks for the account's password where it may be.
func (t *Tool) password(a *account) (sasl.Secret, error) {
	if a.PasswordFile != "" {
		return readPassword(a.PasswordFile)
	}
	if p := os.Getenv(passwordVar); p != "" {
		return sasl.NewSecret(p), nil
	}
	p, err := t.Ask(fmt.Sprintf("Password of %s: ", a.JID.Bare()))
	if err == nil && p == "" {
		err = errors.New("none was given")
	}
	if err != nil {
		return sasl.Secret{}, usage(fmt.Errorf("%w: %w", errNoPassword, err),
			"Give it in a file with --password-file, in $"+passwordVar+", or run "+name+" on a terminal, where it asks.")
	}
	return sasl.NewSecret(p), nil
}

// readPassword returns the first line of a file.
func readPassword(file string) (sasl.Secret, error) {
	const most = 4096
	f, err := os.Open(file)
	if err != nil {
		return sasl.Secret{}, usage(fmt.Errorf("--password-file: %w", err), "")
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(io.LimitReader(f, most))
	lines.Scan()
	if lines.Err() != nil || lines.Text() == "" {
		return sasl.Secret{}, usage(fmt.Errorf("--password-file: the first line of %s is no password", file), "Write the password, and nothing else, into its first line.")
	}
	return sasl.NewSecret(lines.Text()), nil
}

// session is a client that has signed in.
type session struct {
	*client.Client
	stop context.CancelFunc
	done chan struct{}
	lost chan struct{} // closed when the session has ended by itself
}

// open signs in, once. What arrives goes to h. The session goes on when ctx ends, so that it can be closed in order.
func open(ctx context.Context, cfg client.Config, h stanza.Handler) (*session, error) {
	c, err := client.New(cfg, nil)
	if err != nil {
		return nil, usage(err, "")
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &session{Client: c, stop: cancel, done: make(chan struct{}), lost: make(chan struct{})}
	settled := make(chan client.State, 1)
	was := false // settled before; states come one after the other
	c.OnState(func(st client.State) {
		switch {
		case st.Phase == client.PhaseConnecting || st.Phase == client.PhaseSignIn:
		case !was:
			was = true
			settled <- st
			if st.Phase != client.PhaseOnline {
				cancel()
			}
		case run.Err() == nil:
			close(s.lost)
			cancel() // no second session: what was under way belongs to the first
		}
	})
	go func() {
		defer close(s.done)
		_ = c.Serve(run, h) // what it returns is in the state as well
	}()
	select {
	case st := <-settled:
		if st.Phase == client.PhaseOnline {
			return s, nil
		}
		err = st.Cause
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.close()
	return nil, err
}

// close ends the session in order: the server has read what was sent, and what it sent is with the handler.
func (s *session) close() {
	s.stop()
	<-s.done
}
