package client_test

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"testing"
	"time"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/stanza"
)

// Registration before the sign-in, step by step. What is said in it is package xep/register's.

const offersRegister = plain + "<register xmlns='http://jabber.org/features/iq-register'/>"

type regQuery struct{}

func (regQuery) PayloadName() xml.Name { return xml.Name{Space: "jabber:iq:register", Local: "query"} }

func askToRegister(ctx context.Context, out stanza.Sender) error {
	_, err := out.Request(ctx, &stanza.IQ{Type: stanza.IQGet, Payload: regQuery{}})
	return err
}

// registering plays the server's side up to the first question, of which it returns the id.
func registering(p *peer) string {
	if !p.secure(p.a.server(domain, time.Hour)) {
		return ""
	}
	p.open(offersRegister)
	return p.next().Attr("id")
}

func TestRegister(t *testing.T) {
	a := newAuthority(t)
	for name, tc := range map[string]struct {
		script func(p *peer)
		want   error
	}{
		"an answer": {func(p *peer) { p.write("<iq type='result' id='" + registering(p) + "'/>"); p.next() }, nil},
		"a refusal": {func(p *peer) {
			p.write("<iq type='error' id='" + registering(p) + "'><error type='cancel'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
			p.next()
		}, stanza.NotAllowed},
		"another id": {func(p *peer) { registering(p); p.write("<iq type='result' id='x'/>"); p.next() }, client.ErrProtocol},
		"a message":  {func(p *peer) { registering(p); p.write("<message/>"); p.next() }, stanza.ErrStreamLost},
		"the end":    {func(p *peer) { registering(p); p.write("</stream:stream>") }, client.ErrClosed},
		"a cut":      {func(p *peer) { registering(p) }, stanza.ErrStreamLost},
		"stream error": {func(p *peer) {
			registering(p)
			p.write("<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>")
		}, stanza.StreamPolicyViolation},
		"not offered": {func(p *peer) {
			p.secure(p.a.server(domain, time.Hour))
			p.open(plain)
			p.next()
		}, client.ErrNoRegistration},
		"outside TLS": {func(p *peer) { p.open(offersRegister); p.next() }, client.ErrNoTLS},
	} {
		t.Run(name, func(t *testing.T) {
			err := client.Register(t.Context(), fake(t, a, tc.script), nil, askToRegister)
			if !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
				t.Errorf("got %v", err)
			}
		})
	}
	foreign := func(p *peer) { p.secure(p.a.server("other.test", time.Hour)) }
	if err := client.Register(t.Context(), fake(t, a, foreign), nil, askToRegister); !errors.As(err, new(*tls.CertificateVerificationError)) {
		t.Errorf("somebody else's certificate: %v", err)
	}
}

// TestRegister_OneDeadline has servers that fall silent, and a caller who gives up.
func TestRegister_OneDeadline(t *testing.T) {
	a := newAuthority(t)
	silent := func(p *peer) { registering(p); p.next() }
	cfg := fake(t, a, silent)
	cfg.ConnectTimeout = 300 * time.Millisecond
	var kept stanza.Sender
	err := client.Register(t.Context(), cfg, nil, func(ctx context.Context, out stanza.Sender) error {
		kept = out
		if err := askToRegister(ctx, out); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, stanza.ErrStreamLost) {
			t.Errorf("asked: %v", err)
		}
		return askToRegister(ctx, out)
	})
	if !errors.Is(err, client.ErrNotConnected) || !errors.Is(askToRegister(t.Context(), kept), client.ErrNotConnected) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = client.Register(ctx, fake(t, a, silent), nil, func(ctx context.Context, out stanza.Sender) error {
		cancel()
		return askToRegister(ctx, out)
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	err = client.Register(t.Context(), fake(t, a, silent), nil, func(ctx context.Context, out stanza.Sender) error {
		ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		return askToRegister(ctx, out)
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("its own deadline: %v", err)
	}
}
