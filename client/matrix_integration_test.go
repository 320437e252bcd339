//go:build integration

package client_test

import (
	"crypto/tls"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/servertest"
)

// A cell of the matrix is one mechanism at one server.
type cell struct {
	mechanism    string
	host, addr   string
	credentials  sasl.Credentials
	policy       sasl.Policy
	certificates []tls.Certificate
	bound        bool
	outcome      outcome
}

// outcome is what is to be seen in a cell.
type outcome string

const (
	signsIn   outcome = "signs in with SASL1 and SASL2"
	signsIn1  outcome = "signs in with SASL1, which is all that the host has"
	isMissing outcome = "is not offered"
)

// cells are what there is beside SCRAM with each binding, which package sasl tries.
func cells(t *testing.T, s *servertest.Server) []cell {
	t.Helper()
	prosody := s.Kind == servertest.KindProsody
	on := func(here bool) outcome {
		if here {
			return signsIn
		}
		return isMissing
	}
	password := sasl.Credentials{Password: sasl.NewSecret("test")}
	plain := servertest.PlainHost
	all := []cell{
		{mechanism: "PLAIN", host: s.Host, credentials: password, policy: sasl.Policy{AllowPlain: true}, outcome: signsIn},
		{mechanism: "DIGEST-MD5", host: plain, credentials: password, policy: sasl.Policy{AllowDigestMD5: true}, outcome: on(!prosody)},
		{mechanism: "ANONYMOUS", host: s.AnonymousHost, credentials: sasl.Credentials{Anonymous: true}, outcome: signsIn1},
		{
			mechanism: "EXTERNAL", host: s.CertificateHost, addr: s.C2SCertificate, certificates: []tls.Certificate{s.Certificate(t)},
			credentials: sasl.Credentials{Certificate: true, AuthzID: "test@" + s.CertificateHost}, outcome: signsIn,
		},
	}
	for _, m := range []string{"SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		o := on(!prosody || m != "SCRAM-SHA-512")
		all = append(all,
			cell{mechanism: m, host: plain, credentials: password, policy: sasl.Policy{IgnoreBinding: true}, outcome: o},
			cell{mechanism: m + "-PLUS", host: plain, credentials: password, bound: true, outcome: o})
	}
	tokens := plain
	if prosody {
		all[2].outcome = signsIn
		tokens = s.Host
	}
	bearer := sasl.Credentials{AccessToken: sasl.NewSecret(s.AccessToken(t, "test@"+tokens))}
	return append(all,
		cell{mechanism: "OAUTHBEARER", host: tokens, credentials: bearer, outcome: on(prosody)},
		cell{mechanism: "X-OAUTH2", host: tokens, credentials: bearer, outcome: on(!prosody)})
}

func (c cell) config(e env, version uint16, one bool) client.Config {
	cfg := e.account("test")
	cfg.JID = jid.MustParse("test@" + c.host)
	if c.credentials.Anonymous {
		cfg.JID = cfg.JID.DomainJID()
	}
	if c.addr != "" {
		cfg.Addr = c.addr
	}
	cfg.Credentials, cfg.Policy, cfg.NoSASL2 = c.credentials, c.policy, one
	cfg.Policy.Mechanisms = []string{c.mechanism}
	cfg.TLS = cfg.TLS.Clone()
	cfg.TLS.MinVersion, cfg.TLS.MaxVersion, cfg.TLS.Certificates = version, version, c.certificates
	return cfg
}

// TestRealMatrix signs in by each mechanism that we have, over both versions of TLS and by both protocols. Where a server lacks a mechanism
// it is seen not to offer it.
func TestRealMatrix(t *testing.T) {
	servertest.Each(t, func(t *testing.T, s *servertest.Server) {
		e := realEnv(s)
		for _, c := range cells(t, s) {
			for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
				for protocol, one := range map[string]bool{"SASL1": true, "SASL2": false} {
					t.Run(c.mechanism+" "+name+" "+protocol, func(t *testing.T) { c.try(t, c.config(e, version, one)) })
				}
			}
			if c.outcome != isMissing && !c.credentials.Anonymous {
				t.Run(c.mechanism+" refused", func(t *testing.T) { c.refused(t, e) })
			}
		}
	}, servertest.WithPlainHost())
}

func (c cell) try(t *testing.T, cfg client.Config) {
	t.Helper()
	t.Log(c.outcome)
	if c.outcome == isMissing {
		err := serve(t, cfg, ignore).ended()
		var refused *sasl.RefusedError
		if !errors.As(err, &refused) || len(refused.Offered) == 0 || slices.Contains(refused.Offered, c.mechanism) {
			t.Errorf("got %v", err)
		}
		return
	}
	a := serve(t, cfg, ignore).online()
	if err := a.Barrier(t.Context()); err != nil {
		t.Error(err)
	}
	own := a.JID()
	stopped(t, a)
	got := a.SignIn()
	two := !cfg.NoSASL2 && c.outcome != signsIn1
	if got.Mechanism != c.mechanism || got.SASL2 != two || (got.Binding != "") != c.bound {
		t.Errorf("%+v", got)
	}
	if c.credentials.Anonymous == own.Bare().RoutedAs(cfg.JID) || own.Domain() != c.host || !own.IsFull() {
		t.Errorf("bound %q", own)
	}
}

// refused has credentials that are none.
func (c cell) refused(t *testing.T, e env) {
	t.Helper()
	wrong, own := sasl.NewSecret("another"), c.certificates
	switch {
	case c.credentials.Certificate: // a certificate of somebody else, by an authority that is not the server's
		c.certificates = newAuthority(t).server(e.host, time.Hour).Certificates
	case !c.credentials.AccessToken.IsZero():
		c.credentials.AccessToken = wrong
	default:
		c.credentials.Password = wrong
	}
	for _, one := range []bool{true, false} {
		all := []client.Config{c.config(e, tls.VersionTLS13, one)}
		if c.credentials.Certificate { // and that of the account, for another one
			other := all[0]
			other.JID = jid.MustParse("admin@" + c.host)
			other.Credentials.AuthzID, other.TLS = other.JID.String(), other.TLS.Clone()
			other.TLS.Certificates = own
			all = append(all, other)
		}
		for i, cfg := range all {
			st, _ := serve(t, cfg, ignore).awaitOr(0, client.PhaseBackoff, client.PhaseStopped)
			var refused *client.SignInError
			var failed *client.Error
			switch {
			case errors.As(st.Cause, &refused) && errors.Is(st.Cause, sasl.NotAuthorized):
			case c.credentials.Certificate && i == 0 && errors.As(st.Cause, &failed) && failed.Stage <= client.StageTLS: // Prosody, with its alert
			default:
				t.Errorf("got %v", st.Cause)
			}
		}
	}
}
