package client_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/stanza"
)

// What servers, and those in between, must not do.

// refused serves a client until it fails for the first time, and checks why.
func refused(t *testing.T, cfg client.Config, want error, stage client.Stage, permanent bool) {
	t.Helper()
	c := serve(t, cfg, ignore)
	phase := client.PhaseBackoff
	if permanent {
		phase = client.PhaseStopped
	}
	st, _ := c.awaitOr(0, phase, client.PhaseOnline) // whichever comes, the test knows
	var ce *client.Error
	if !errors.Is(st.Cause, want) || !errors.As(st.Cause, &ce) || ce.Stage != stage || ce.Permanent != permanent {
		t.Errorf("got %v", st.Cause)
	}
	c.stop()
	_ = c.ended()
}

func TestHelloOfFake(t *testing.T) {
	c := serve(t, fake(t, newAuthority(t), hello), ignore).online()
	if c.JID() != jid.MustParse(account+"/here") {
		t.Error(c.JID())
	}
}

func TestSEC36_NewStreams(t *testing.T) {
	a := newAuthority(t)
	for name, script := range map[string]func(p *peer){
		"another domain after TLS": func(p *peer) { p.secure(a.server(domain, time.Hour)); p.header("evil.test", "b", plain) },
		"another domain after the sign-in": func(p *peer) {
			p.secure(a.server(domain, time.Hour))
			p.open(plain)
			p.next()
			p.write(success)
			p.header("evil.test", "c", bind)
		},
		"the same id": func(p *peer) { p.secure(a.server(domain, time.Hour)); p.header(domain, "a", plain) },
		"no id":       func(p *peer) { p.header(domain, "", starttls) },
	} {
		t.Run(name, func(t *testing.T) { refused(t, fake(t, a, script), client.ErrBadHeader, client.StageStream, false) })
	}
}

// TestSEC40_StartTLSStripped offers everything but TLS: not a byte follows the header.
func TestSEC40_StartTLSStripped(t *testing.T) {
	sent := make(chan string, 10)
	cfg := fake(t, newAuthority(t), func(p *peer) {
		p.open(plain + bind)
		if el := p.next(); !el.IsZero() {
			sent <- el.String()
		}
	})
	refused(t, cfg, client.ErrNoTLS, client.StageTLS, false)
	if len(sent) > 0 {
		t.Errorf("sent in the clear: %s", <-sent)
	}
}

func TestSEC41_Injection(t *testing.T) {
	a := newAuthority(t)
	t.Run("behind proceed", func(t *testing.T) {
		refused(t, fake(t, a, func(p *peer) {
			p.open(starttls)
			p.next()
			p.write(proceed + "<stream:features>" + plain + "</stream:features>")
			p.tls(a.server(domain, time.Hour))
		}), client.ErrInjected, client.StageTLS, false)
	})
	t.Run("behind success", func(t *testing.T) {
		refused(t, fake(t, a, func(p *peer) {
			p.secure(a.server(domain, time.Hour))
			p.open(plain)
			p.next()
			p.write(success + "<message/>")
			p.open(bind)
		}), client.ErrInjected, client.StageSignIn, false)
	})
	t.Run("failure", func(t *testing.T) {
		refused(t, fake(t, a, func(p *peer) {
			p.open(starttls)
			p.next()
			p.write("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>")
		}), client.ErrNoTLS, client.StageTLS, false)
	})
}

// records is a resolver.
type records map[string][]*net.SRV

func (r records) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	if all, ok := r["_"+service+"._"+proto+"."+name]; ok {
		return name, all, nil
	}
	return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// TestSEC42_CertificateOfTheDomain is sent by DNS to another host, which has a certificate for its own name alone.
func TestSEC42_CertificateOfTheDomain(t *testing.T) {
	a := newAuthority(t)
	for _, direct := range []bool{false, true} {
		var hellos []*tls.ClientHelloInfo
		script := func(name string) func(p *peer) {
			return func(p *peer) {
				if p.addr != "elsewhere.test:5000" {
					t.Errorf("dialled %s", p.addr)
				}
				cfg := a.server(name, time.Hour)
				cfg.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
					hellos = append(hellos, h)
					return nil, nil
				}
				if direct && !p.tls(cfg) || !direct && !p.secure(cfg) {
					return
				}
				p.open(plain)
				p.next()
				p.write(success)
				p.open(bind)
				p.bound(account + "/here")
				p.serve()
			}
		}
		service := map[bool]string{false: "_xmpp-client._tcp.", true: "_xmpps-client._tcp."}[direct]
		cfg := fake(t, a, script("elsewhere.test"), script(domain))
		cfg.Addr, cfg.Resolver = "", records{service + domain: {{Target: "elsewhere.test.", Port: 5000}}}
		c := serve(t, cfg, ignore).online()
		c.stop()
		_ = c.ended()
		var wrong x509.HostnameError
		if st := c.backedOff(); !errors.As(st.Cause, &wrong) {
			t.Errorf("cause %v", st.Cause)
		}
		for _, h := range hellos {
			if h.ServerName != domain || slices.Contains(h.SupportedProtos, "xmpp-client") != direct || slices.Max(h.SupportedVersions) < tls.VersionTLS12 {
				t.Errorf("hello %+v", h)
			}
		}
		if len(hellos) != 2 {
			t.Errorf("%d tries", len(hellos))
		}
	}
}

// TestFLT34_Certificates has a certificate that has expired, and then a new one.
func TestFLT34_Certificates(t *testing.T) {
	a := newAuthority(t)
	cfg := fake(t, a, func(p *peer) { p.secure(a.server(domain, -time.Minute)) }, hello)
	c := serve(t, cfg, ignore).online()
	var invalid x509.CertificateInvalidError
	if st := c.backedOff(); !errors.As(st.Cause, &invalid) || invalid.Reason != x509.Expired {
		t.Errorf("cause %v", st.Cause)
	}
}

// scram is a server's side of a sign-in with SCRAM, with the server's proof changed.
func scram(p *peer, change func(string) string) {
	if !p.secure(p.a.server(domain, time.Hour)) {
		return
	}
	p.open("<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-256</mechanism></mechanisms>")
	s, err := sasl.NewSCRAMServer("SCRAM-SHA-256", sasl.Offer{}, sasl.Channel{})
	if err != nil {
		p.t.Error(err)
		return
	}
	read := func() []byte { b, _ := base64.StdEncoding.DecodeString(p.next().Text()); return b }
	keys, err := sasl.NewStoredKeys(p.t.Context(), "SCRAM-SHA-256", sasl.NewSecret("secret"), []byte("salt"), sasl.MinIterations)
	_, _, err2 := s.Start(read())
	challenge, err3 := s.Challenge(keys)
	p.write("<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" + base64.StdEncoding.EncodeToString(challenge) + "</challenge>")
	last, err4 := s.Finish(read())
	if err := errors.Join(err, err2, err3, err4); err != nil {
		p.t.Error(err)
		return
	}
	p.write("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" + base64.StdEncoding.EncodeToString([]byte(change(string(last)))) + "</success>")
	p.open(bind)
	p.bound(account + "/here")
	p.serve()
}

func TestSEC47_ServerProof(t *testing.T) {
	a := newAuthority(t)
	for name, change := range map[string]func(string) string{
		"none":  func(string) string { return "" },
		"wrong": func(s string) string { return "v=" + strings.Repeat("A", len(s)-3) + "=" },
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, fake(t, a, func(p *peer) { scram(p, change) }), sasl.ErrServerUnproven, client.StageSignIn, true)
		})
	}
}

// TestSEC43_Pinned signs in with SCRAM; then the server offers PLAIN alone, which the policy allows otherwise.
func TestSEC43_Pinned(t *testing.T) {
	cfg := fake(t, newAuthority(t), func(p *peer) { scram(p, func(s string) string { return s }) }, hello)
	dial := cfg.Dial
	var conn net.Conn
	cfg.Dial = func(ctx context.Context, network, addr string) (_ net.Conn, err error) {
		conn, err = dial(ctx, network, addr)
		return conn, err
	}
	c := serve(t, cfg, ignore).online()
	_ = conn.Close()
	var ce *client.Error
	if err := c.ended(); !errors.Is(err, sasl.ErrPinned) || !errors.As(err, &ce) || !ce.Permanent || !c.Pinned() {
		t.Errorf("got %v", err)
	}
}

func TestSEC53_AnotherAccount(t *testing.T) {
	a := newAuthority(t)
	for name, full := range map[string]string{"another user": "other@xmpp.test/x", "another domain": "me@evil.test/x", "a domain": "xmpp.test"} {
		t.Run(name, func(t *testing.T) {
			refused(t, fake(t, a, func(p *peer) { p.welcome(); p.bound(full); p.serve() }), client.ErrWrongJID, client.StageBind, true)
		})
		t.Run("SASL2 "+name, func(t *testing.T) {
			refused(t, fake(t, a, func(p *peer) {
				p.secure(a.server(domain, time.Hour))
				p.open("<authentication xmlns='urn:xmpp:sasl:2'><mechanism>PLAIN</mechanism><inline><bind xmlns='urn:xmpp:bind:0'/></inline></authentication>")
				p.next()
				p.write("<success xmlns='urn:xmpp:sasl:2'><bound xmlns='urn:xmpp:bind:0'/><authorization-identifier>" + full + "</authorization-identifier></success>")
				p.serve()
			}), client.ErrWrongJID, client.StageSignIn, true)
		})
	}
}

func TestSEC56_Redirects(t *testing.T) {
	a := newAuthority(t)
	var addrs []string
	elsewhere := func(to string) func(p *peer) {
		return func(p *peer) {
			addrs = append(addrs, p.addr)
			p.secure(a.server(domain, time.Hour))
			p.open(plain)
			p.next()
			p.write(fmt.Sprintf(streamError, to))
		}
	}
	t.Run("once, with the same certificate", func(t *testing.T) {
		addrs = nil
		there := func(p *peer) { addrs = append(addrs, p.addr); hello(p) }
		c := serve(t, fake(t, a, elsewhere("b.test"), there), ignore).online()
		if c.State().Failures != 0 || !slices.Equal(addrs, []string{"somewhere.test:5222", "b.test:5222"}) {
			t.Errorf("%v", addrs)
		}
	})
	t.Run("to a host with another certificate", func(t *testing.T) {
		cfg := fake(t, a, elsewhere("b.test"), func(p *peer) { p.secure(a.server("b.test", time.Hour)) })
		var wrong x509.HostnameError
		if st, _ := serve(t, cfg, ignore).await(0, client.PhaseBackoff); !errors.As(st.Cause, &wrong) {
			t.Errorf("cause %v", st.Cause)
		}
	})
	t.Run("in a loop", func(t *testing.T) {
		addrs = nil
		cfg := fake(t, a, elsewhere("b.test:1"), elsewhere("[2001:db8::1]:2"))
		cfg.Backoff = client.Backoff{Min: time.Hour, Max: time.Hour}
		refused(t, cfg, client.ErrRedirected, client.StageSignIn, false)
		if !slices.Equal(addrs, []string{"somewhere.test:5222", "b.test:1"}) {
			t.Errorf("%v", addrs)
		}
	})
	t.Run("in the clear", func(t *testing.T) {
		addrs = nil
		cfg := fake(t, a, func(p *peer) {
			addrs = append(addrs, p.addr)
			p.open(starttls)
			p.next()
			p.write(fmt.Sprintf(streamError, "b.test"))
		})
		cfg.Backoff = client.Backoff{Min: time.Hour, Max: time.Hour}
		refused(t, cfg, stanza.StreamSeeOtherHost, client.StageTLS, false)
		if len(addrs) != 1 {
			t.Errorf("%v", addrs)
		}
	})
}

// TestSEC03_ReplyPeers has a server's every kind of false answer, and the right ones, to a request without to and one to a peer.
func TestSEC03_ReplyPeers(t *testing.T) {
	for name, tc := range map[string]struct {
		to    string
		wrong []string
		right string
	}{
		"to the account, from nobody":     {"", []string{"from='evil@xmpp.test'", "from='me@xmpp.test/other'", "from='evil.test'"}, ""},
		"to the account, from itself":     {"", []string{"from='me@xmpp.test.evil.test'"}, "from='me@xmpp.test'"},
		"to the account, from the server": {"", []string{"from='xmpp.test/x'"}, "from='xmpp.test'"},
		"to a peer":                       {"peer@b.test/x", []string{"", "from='peer@b.test'", "from='xmpp.test'", "from='peer@b.test/y'"}, "from='peer@b.test/x'"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := fake(t, newAuthority(t), func(p *peer) {
				p.welcome()
				p.bound(account + "/here")
				id := p.next().Attr("id")
				for _, from := range tc.wrong {
					p.write("<iq type='result' " + from + " id='" + id + "'><wrong xmlns='urn:x'/></iq>")
				}
				from := "from='" + tc.to + "'"
				if tc.to == "" {
					from = ""
				}
				p.write("<message id='" + id + "' type='error' " + from + "/><presence id='" + id + "' " + from + "/><iq type='get' id='" + id + "' " + from + "><wrong xmlns='urn:x'/></iq>")
				p.write("<iq type='result' " + tc.right + " id='" + id + "'><right xmlns='urn:x'/></iq>")
				p.write("<iq type='result' " + tc.right + " id='" + id + "'><again xmlns='urn:x'/></iq>")
				p.serve()
			})
			c := serve(t, cfg, ignore).online()
			iq := &stanza.IQ{Type: stanza.IQGet, Payload: sum{}}
			if tc.to != "" {
				iq.To = jid.MustParse(tc.to)
			}
			r, err := c.Request(t.Context(), iq)
			if err != nil || r.Payload.PayloadName().Local != "right" {
				t.Fatalf("got %v %v", r, err)
			}
			if err := c.Barrier(t.Context()); err != nil {
				t.Fatal(err)
			}
			if st := c.Stats(); int(st.Unexpected) != len(tc.wrong)+1 {
				t.Errorf("stats %+v", st)
			}
		})
	}
}

// TestC1_OneDeadline has a server fall silent at each step. The try ends at its deadline, in virtual time.
func TestC1_OneDeadline(t *testing.T) {
	silent := func(p *peer) { _, _ = p.Read(make([]byte, 1<<16)); <-time.After(time.Hour) }
	for name, script := range map[string]func(p *peer){
		"at once":        silent,
		"after features": func(p *peer) { p.open(starttls); silent(p) },
		"within TLS":     func(p *peer) { p.open(starttls); p.next(); p.write(proceed); silent(p) },
		"after TLS":      func(p *peer) { p.secure(p.a.server(domain, time.Hour)); silent(p) },
		"in the sign-in": func(p *peer) { p.secure(p.a.server(domain, time.Hour)); p.open(plain); silent(p) },
		"in the binding": func(p *peer) { p.welcome(); silent(p) },
		"never bored": func(p *peer) { // it says something all the time
			p.welcome()
			for p.next(); ; <-time.After(time.Second) {
				if _, err := p.Write([]byte(" ")); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := fake(t, newAuthority(t), script)
				start := time.Now()
				refused(t, cfg, context.DeadlineExceeded, stageOf[name], false)
				if took := time.Since(start); took < 30*time.Second || took > 36*time.Second {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

var stageOf = map[string]client.Stage{
	"at once": client.StageStream, "after features": client.StageTLS, "within TLS": client.StageTLS, "after TLS": client.StageStream,
	"in the sign-in": client.StageSignIn, "in the binding": client.StageBind, "never bored": client.StageBind,
}

// TestKeepAlive has a session fall silent.
func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := fake(t, newAuthority(t), func(p *peer) {
			p.welcome()
			p.bound(account + "/here")
			for !p.next().IsZero() {
			}
		})
		c := serve(t, cfg, ignore).online()
		start := time.Now()
		st, _ := c.await(0, client.PhaseBackoff)
		if took := time.Since(start); !errors.Is(st.Cause, client.ErrKeepAlive) || took < time.Minute || took > 75*time.Second {
			t.Errorf("after %v: %v", took, st.Cause)
		}
		c.stop()
		_ = c.ended()
	})
}
