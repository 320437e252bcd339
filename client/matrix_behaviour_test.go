package client_test

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/sasl"
)

// testMatrix signs in by each version of TLS, each protocol and each mechanism that the server has, and looks at how it was bound.
func testMatrix(t *testing.T, e env) {
	cache := sasl.NewKeyCache(0) // a hash of the password for each mechanism, not for each sign-in
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		for _, one := range []bool{false, true} {
			cfg := e.account("test")
			cfg.NoSASL2, cfg.TLS = one, cfg.TLS.Clone()
			cfg.TLS.MinVersion, cfg.TLS.MaxVersion = version, version
			cfg.Policy = sasl.Policy{Cache: cache}
			offer := signedIn(t, cfg)
			if one == offer.SASL2 || offer.Token || offer.Early {
				t.Errorf("%s: %+v", name, offer)
			}
			for _, m := range offer.Offered {
				scram, plus := strings.HasPrefix(m, "SCRAM-SHA"), strings.HasSuffix(m, "-PLUS")
				if !scram && m != "PLAIN" {
					continue
				}
				t.Run(name+" "+map[bool]string{false: "SASL2 ", true: "SASL1 "}[one]+m, func(t *testing.T) {
					cfg := cfg
					cfg.Memory = client.NewMemory()
					cfg.Policy = sasl.Policy{Mechanisms: []string{m}, IgnoreBinding: !plus, AllowPlain: true, Cache: cache}
					got, want := signedIn(t, cfg), ""
					if plus {
						want = common(got)
					}
					if got.Mechanism != m || got.Binding != want || plus && want == "" || plus && version == tls.VersionTLS13 && want != sasl.TLSExporter {
						t.Errorf("%+v", got)
					}
				})
			}
			if !slices.ContainsFunc(offer.Offered, func(m string) bool { return m == "SCRAM-SHA-256-PLUS" }) {
				t.Errorf("%s: offered %q", name, offer.Offered)
			}
		}
	}
	cfg := e.account("test")
	cfg.UserAgent, cfg.Memory = agent(), client.NewMemory()
	if r := signedIn(t, cfg); r.Token || !slices.Contains(r.Tokens, "HT-SHA-256-EXPR") {
		t.Errorf("%+v", r)
	}
	if r := signedIn(t, cfg); !r.Token || r.Binding != sasl.TLSExporter || r.Early {
		t.Errorf("%+v", r)
	}
}

// common is the strongest type of channel binding that both ends have.
func common(r client.SignIn) string {
	for _, typ := range r.Ours {
		if slices.Contains(r.Bindings, typ) {
			return typ
		}
	}
	return ""
}

// signedIn signs in once and tells how.
func signedIn(t *testing.T, cfg client.Config) client.SignIn {
	t.Helper()
	c := serve(t, cfg, ignore).online()
	stopped(t, c)
	return c.SignIn()
}
