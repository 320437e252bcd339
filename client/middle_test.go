package client_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/sasl"
)

// middle puts somebody between a client and its server whose certificate the client trusts, and who changes what the server offers.
func middle(t *testing.T, e env, cfg *client.Config, change func(features []byte) []byte) {
	t.Helper()
	middleAs(t, e, e.host, cfg, change)
}

// middleAs is middle with a certificate for another name.
func middleAs(t *testing.T, e env, name string, cfg *client.Config, change func(features []byte) []byte) {
	t.Helper()
	a := newAuthority(t)
	front := a.server(name, time.Hour)
	back := e.tls.Clone()
	back.ServerName = e.host
	cfg.Addr, cfg.DirectTLS, cfg.TLS = e.direct, true, a.client()
	var playing sync.WaitGroup
	t.Cleanup(playing.Wait)
	cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		server, err := (&tls.Dialer{Config: back}).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		ours, theirs := net.Pipe()
		conn := tls.Server(theirs, front)
		playing.Go(func() {
			defer server.Close()
			_, _ = io.Copy(server, conn)
		})
		playing.Go(func() {
			defer conn.Close()
			offer, err := upTo(server, "</stream:features>")
			if err != nil {
				return
			}
			if _, err := conn.Write(change(offer)); err == nil {
				_, _ = io.Copy(conn, server)
			}
		})
		return ours, nil
	}
}

// upTo reads until something has come.
func upTo(r io.Reader, end string) (all []byte, err error) {
	buf := make([]byte, 4096)
	for !bytes.Contains(all, []byte(end)) {
		n, err := r.Read(buf)
		if all = append(all, buf[:n]...); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// without removes what matches.
func without(patterns ...string) func([]byte) []byte {
	return func(b []byte) []byte {
		for _, p := range patterns {
			b = regexp.MustCompile(p).ReplaceAll(b, nil)
		}
		return b
	}
}

const (
	anyTypes = `<sasl-channel-binding.*</sasl-channel-binding>`
	anyPlus  = `<mechanism>SCRAM-[A-Z0-9-]*-PLUS</mechanism>`
)

// testMiddle has somebody in the middle whose certificate is good. Channel binding finds out, whatever is taken from the offer, and
// there is no second try with less.
func testMiddle(t *testing.T, e env) {
	for name, tc := range map[string]struct {
		change    func([]byte) []byte
		want      error
		confirmed bool // only a server that confirms its offer (XEP-0474) helps
	}{
		"SEC-51 who changes nothing":              {without(), nil, false},
		"SEC-44 without types":                    {without(anyTypes), sasl.ErrTypesStripped, false},
		"SEC-44 without -PLUS":                    {without(anyPlus), sasl.ErrPlusStripped, false},
		"SEC-44 without channel binding":          {without(anyTypes, anyPlus), nil, false},
		"SEC-43 without SCRAM":                    {without(anyTypes, `<mechanism>SCRAM-[A-Z0-9-]*</mechanism>`), sasl.ErrPlaintext, false},
		"SEC-45 with one mechanism more":          {moreMechanisms, sasl.ErrDowngrade, true},
		"SEC-45 with one type less":               {without(`<channel-binding type=.tls-exporter.\s*/>`), sasl.ErrDowngrade, true},
		"SEC-43 without SCRAM, where SASL2 is no": {without(`<authentication .*</authentication>`, anyTypes, `<mechanism>SCRAM-[A-Z0-9-]*</mechanism>`), sasl.ErrPlaintext, false},
	} {
		run := func(t *testing.T, one bool) {
			t.Helper()
			if tc.confirmed && !e.confirms {
				return
			}
			cfg := e.account("test")
			cfg.NoSASL2 = one
			middle(t, e, &cfg, tc.change)
			err := serve(t, cfg, ignore).ended()
			var ce *client.Error
			var refused *client.SignInError
			switch {
			case !errors.As(err, &ce) || !ce.Permanent || ce.Stage != client.StageSignIn:
				t.Errorf("got %v", err)
			case tc.want == nil && !errors.As(err, &refused) && !errors.Is(err, sasl.ErrDowngrade), // whoever of the two sees it first
				tc.want != nil && !errors.Is(err, tc.want):
				t.Errorf("got %v", err)
			}
		}
		t.Run(name, func(t *testing.T) { run(t, false) })
		t.Run(name+", SASL1", func(t *testing.T) {
			if errors.Is(tc.want, sasl.ErrTypesStripped) { // then it is the certificate, which is another one
				tc.want = nil
			}
			run(t, true)
		})
	}
}

// moreMechanisms adds one that is not there.
func moreMechanisms(b []byte) []byte {
	return bytes.ReplaceAll(b, []byte("<mechanism>PLAIN<"), []byte("<mechanism>X</mechanism><mechanism>PLAIN<"))
}

// inTheClear puts somebody between a client and its server who changes what the server says in the clear, piece by piece. said is what the
// client had said when the connection ended.
func inTheClear(t *testing.T, e env, cfg *client.Config, change func([]byte) []byte) (said func() string) {
	t.Helper()
	var playing sync.WaitGroup
	t.Cleanup(playing.Wait)
	var heard bytes.Buffer
	cfg.Addr = e.addr
	cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		server, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		ours, theirs := net.Pipe()
		playing.Go(func() {
			defer server.Close()
			_, _ = io.Copy(io.MultiWriter(server, &heard), theirs)
		})
		playing.Go(func() {
			defer theirs.Close()
			buf := make([]byte, 16<<10)
			for {
				n, err := server.Read(buf)
				if err != nil {
					return
				}
				if _, err := theirs.Write(change(buf[:n:n])); err != nil {
					return
				}
			}
		})
		return ours, nil
	}
	return func() string {
		playing.Wait()
		return heard.String()
	}
}

// testMiddleInTheClear has somebody in the middle before TLS, who has no good certificate.
func testMiddleInTheClear(t *testing.T, e env) {
	for name, tc := range map[string]struct {
		change func([]byte) []byte
		want   error
		asks   bool // for TLS
	}{
		"SEC-40 without STARTTLS": {without(`<starttls.*</starttls>`, `<starttls[^>]*/>`), client.ErrNoTLS, false},
		"SEC-41 features behind the consent": {func(b []byte) []byte {
			if !bytes.Contains(b, []byte("<proceed")) {
				return b
			}
			return append(b, "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>"...)
		}, client.ErrInjected, true},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := e.account("test")
			cfg.Backoff.Min = time.Hour
			cfg.Backoff.Max = time.Hour
			cfg.Policy = sasl.Policy{AllowPlain: true}
			said := inTheClear(t, e, &cfg, tc.change)
			c := serve(t, cfg, ignore)
			st, _ := c.await(0, client.PhaseBackoff)
			if !errors.Is(st.Cause, tc.want) {
				t.Errorf("got %v", st.Cause)
			}
			stopped(t, c)
			all := said()
			if strings.Contains(all, "test@") || strings.Contains(all, "<auth") || strings.Contains(all, "<starttls") != tc.asks {
				t.Errorf("said in the clear: %q", all)
			}
		})
	}
	t.Run("SEC-42 with the certificate of another domain", func(t *testing.T) {
		cfg := e.account("test")
		middleAs(t, e, "another.test", &cfg, without())
		st, _ := serve(t, cfg, ignore).await(0, client.PhaseBackoff)
		var wrong x509.HostnameError
		var ce *client.Error
		if !errors.As(st.Cause, &wrong) || !errors.As(st.Cause, &ce) || ce.Stage != client.StageTLS {
			t.Errorf("got %v", st.Cause)
		}
	})
}
