// Package democheck drives a gateway as a user does, through a server that it need not trust beyond one authority: it is what
// "gateway demo --check" does, and no more of a client than that takes.
package democheck

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"

	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/ping"
)

// Target is what is checked: a user's account, and the gateway that she talks to.
type Target struct {
	Addr     string  // of the server: host:port, with STARTTLS
	User     jid.JID // bare
	Password string
	Gateway  jid.JID
	CA       string // file with the certificate of the server's authority, in PEM
}

// String returns the target as a URL, which ParseTarget reads:
// xmpp://test:PASSWORD@127.0.0.1:5222/gateway.localhost?domain=localhost&ca=%2Ftmp%2Fca.pem.
func (t Target) String() string {
	u := url.URL{
		Scheme: "xmpp", User: url.UserPassword(t.User.Local(), t.Password), Host: t.Addr, Path: "/" + t.Gateway.String(),
		RawQuery: "domain=" + url.QueryEscape(t.User.Domain()) + "&ca=" + url.QueryEscape(t.CA),
	}
	return u.String()
}

// ParseTarget reads what String writes.
func ParseTarget(s string) (Target, error) {
	u, err := url.Parse(s)
	if err != nil {
		return Target{}, fmt.Errorf("democheck: %w", err)
	}
	password, ok := u.User.Password()
	if u.Scheme != "xmpp" || !ok || u.Port() == "" || len(u.Path) < 2 {
		return Target{}, errors.New("democheck: not an address as the demo prints it: xmpp://USER:PASSWORD@HOST:PORT/GATEWAY?domain=DOMAIN&ca=FILE")
	}
	t := Target{Addr: u.Host, Password: password, CA: u.Query().Get("ca")}
	if t.User, err = jid.New(u.User.Username(), u.Query().Get("domain"), ""); err != nil {
		return Target{}, fmt.Errorf("democheck: user: %w", err)
	}
	if t.Gateway, err = jid.Parse(u.Path[1:]); err != nil {
		return Target{}, fmt.Errorf("democheck: gateway: %w", err)
	}
	return t, nil
}

// Check logs in and goes through all that the demo promises. step is told of each thing that works. The first that does not is
// the error.
func Check(ctx context.Context, t Target, step func(what string)) (err error) {
	pem, err := os.ReadFile(t.CA)
	if err != nil {
		return fmt.Errorf("democheck: the authority's certificate: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("democheck: %s holds no certificate", t.CA)
	}
	c, err := login(ctx, t, roots)
	if err != nil {
		return fmt.Errorf("democheck: log in as %s: %w", t.User, err)
	}
	defer func() { err = errors.Join(err, c.close()) }()
	step(fmt.Sprintf("logged in as %s, with TLS and %s", c.jid, c.mechanism))
	for _, s := range []struct {
		what string
		do   func(*client, Target) error
	}{
		{fmt.Sprintf("%s lists %s among its services", t.User.Domain(), t.Gateway), listed},
		{fmt.Sprintf("%s says what it is", t.Gateway), described},
		{fmt.Sprintf("%s answers pings", t.Gateway), pinged},
		{fmt.Sprintf("%s echoes messages", t.Gateway), echoed},
	} {
		if err := s.do(c, t); err != nil {
			return fmt.Errorf("democheck: not so: %s: %w", s.what, err)
		}
		step(s.what)
	}
	return nil
}

func listed(c *client, t Target) error {
	var items disco.Items
	if err := c.ask(t.User.DomainJID(), disco.Items{}, &items); err != nil {
		return err
	}
	if !slices.ContainsFunc(items.Items, func(i disco.Item) bool { return i.JID == t.Gateway }) {
		return errors.New("it is not in the list")
	}
	return nil
}

func described(c *client, t Target) error {
	var info disco.Info
	if err := c.ask(t.Gateway, disco.Info{}, &info); err != nil {
		return err
	}
	if len(info.Identities) == 0 || !info.Has(disco.NSItems) || !info.Has(ping.NS) {
		return fmt.Errorf("identities %v, features %v", info.Identities, info.Features)
	}
	return nil
}

func pinged(c *client, t Target) error { return c.ask(t.Gateway, ping.Request{}, nil) }

// echoed sends a message that nobody can guess and waits until it comes back.
func echoed(c *client, t Target) error {
	text := "hello " + rand.Text()
	to, err := t.Gateway.WithLocal("demo")
	if err != nil {
		return err
	}
	if err := c.send(&stanza.Message{Header: stanza.Header{ID: rand.Text(), To: to}, Type: stanza.MessageChat, Body: stanza.NewText(text)}); err != nil {
		return err
	}
	// A ping to the same address is answered after the message has been handled, in the same order (RFC 6120 section 10.1): if the
	// echo has not come by then it will not come.
	fence := rand.Text()
	if err := c.send(&stanza.IQ{Header: stanza.Header{ID: fence, To: to}, Type: stanza.IQGet, Payload: ping.Request{}}); err != nil {
		return err
	}
	echo := false
	for {
		s, err := c.receive()
		if err != nil {
			return err
		}
		switch s := s.(type) {
		case *stanza.Message:
			if s.From.Bare() == to && s.Failure() != nil {
				return s.Failure()
			}
			echo = echo || s.From.Bare() == to && s.Body.String() == text
		case *stanza.IQ:
			if s.ID != fence {
				continue
			}
			if !echo {
				return errors.New("the message did not come back")
			}
			return nil
		}
	}
}
