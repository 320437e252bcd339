package sasl

import (
	"errors"
	"strings"
	"testing"
)

var (
	exporter = Binding{TLSExporter, counting(32)}
	unique   = Binding{TLSUnique, counting(12)}
	endPoint = Binding{TLSServerEndPoint, counting(48)}

	tls13    = Channel{Secure: true, Bindings: []Binding{exporter, endPoint}}
	tls12    = Channel{Secure: true, Bindings: []Binding{exporter, unique, endPoint}}
	tlsEnd   = Channel{Secure: true, Bindings: []Binding{endPoint}}
	tlsBare  = Channel{Secure: true}
	insecure = Channel{}

	password = Credentials{Username: "alice", Domain: "xmpp.test", Password: NewSecret("alice-pw")}

	scrams = []string{"SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"}
	pluses = []string{"SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"}
	both   = append(append([]string{"PLAIN"}, scrams...), pluses...)
	allCB  = []string{TLSServerEndPoint, TLSUnique, TLSExporter}
)

func with(c Credentials, change func(*Credentials)) Credentials {
	change(&c)
	return c
}

// A choosing is one row of a table: what there is, and what Choose makes of it.
type choosing struct {
	name        string
	protocol    Protocol
	mechanisms  []string
	bindings    []string
	fast        []string
	channel     Channel
	credentials Credentials
	policy      Policy
	want        string // Choice.String, or
	refused     error  // a reason
}

func (tc choosing) run(t *testing.T) {
	t.Helper()
	offer := Offer{Protocol: tc.protocol, Mechanisms: tc.mechanisms, Bindings: tc.bindings, FAST: tc.fast}
	if tc.credentials == (Credentials{}) {
		tc.credentials = password
	}
	c, err := Choose(offer, tc.channel, tc.credentials, tc.policy)
	if tc.refused != nil {
		var refused *RefusedError
		if !errors.Is(err, tc.refused) || !errors.As(err, &refused) || c.Mechanism != "" {
			t.Fatalf("%v, %v, want %v", c, err, tc.refused)
		}
		for _, m := range tc.mechanisms {
			if !strings.Contains(err.Error(), m) {
				t.Errorf("%q does not tell of %s", err, m)
			}
		}
		return
	}
	if err != nil || c.String() != tc.want {
		t.Fatalf("%v, %v, want %s", c, err, tc.want)
	}
	if c.Binding != c.binding.Type {
		t.Errorf("bound by %s, but the value is of %q", c.Binding, c.binding.Type)
	}
	if m, err := c.New(); err != nil || m.Name() != c.Mechanism {
		t.Errorf("New: %v, %v", m, err)
	}
}

// TestSEC44_RulesOfXEP0440 has a case for each of its seven rules, for both protocols where they differ.
func TestSEC44_RulesOfXEP0440(t *testing.T) {
	for _, tc := range []choosing{
		{name: "rule 1: the type that all servers have", mechanisms: both, bindings: []string{TLSServerEndPoint}, channel: tls13, want: "SCRAM-SHA-512-PLUS p tls-server-end-point"},
		{name: "rule 2: nothing to bind to", mechanisms: scrams, channel: insecure, want: "SCRAM-SHA-512 n"},
		{name: "rule 2: channel binding ignored", mechanisms: both, channel: tls13, policy: Policy{IgnoreBinding: true}, want: "SCRAM-SHA-512 n"},
		{name: "channel binding ignored and demanded", mechanisms: both, bindings: allCB, channel: tls13, policy: Policy{IgnoreBinding: true, RequireBinding: true}, want: "SCRAM-SHA-512-PLUS p tls-exporter"},
		{name: "channel binding ignored, only -PLUS offered", mechanisms: pluses, bindings: allCB, channel: tls13, policy: Policy{IgnoreBinding: true}, want: "SCRAM-SHA-512-PLUS p tls-exporter"},
		{name: "rule 3: no -PLUS and no types, SASL1", mechanisms: scrams, channel: tls13, want: "SCRAM-SHA-512 y"},
		{name: "rule 3: no -PLUS and no types, SASL2", protocol: SASL2, mechanisms: scrams, channel: tls13, want: "SCRAM-SHA-512 y"},
		{name: "rule 3: even where this connection has nothing", mechanisms: scrams, channel: tlsBare, want: "SCRAM-SHA-512 y"},
		{name: "rule 3: certificate not verified", mechanisms: scrams, channel: Channel{Bindings: tls13.Bindings}, want: "SCRAM-SHA-512 y"},
		{name: "rule 4: -PLUS without types, SASL2", protocol: SASL2, mechanisms: both, channel: tls13, refused: ErrTypesStripped},
		{name: "rule 4: -PLUS without types, SASL1: the type that all must have", mechanisms: both, channel: tls13, want: "SCRAM-SHA-512-PLUS p tls-server-end-point"},
		{name: "rule 4: -PLUS without types, SASL1, and no such type here", mechanisms: both, channel: Channel{Secure: true, Bindings: []Binding{exporter}}, refused: ErrTypesStripped},
		{name: "rule 5: types without -PLUS, SASL1", mechanisms: scrams, bindings: allCB, channel: tls13, refused: ErrPlusStripped},
		{name: "rule 5: types without -PLUS, SASL2", protocol: SASL2, mechanisms: scrams, bindings: allCB, channel: tls13, refused: ErrPlusStripped},
		{name: "rule 5: and PLAIN is no way out", mechanisms: append([]string{"PLAIN"}, scrams...), bindings: allCB, channel: tls13, policy: Policy{AllowPlain: true}, refused: ErrPlusStripped},
		{name: "rule 6: no common type, SASL1", mechanisms: both, bindings: []string{"tls-fictional"}, channel: tls13, want: "SCRAM-SHA-512 n h="},
		{name: "rule 6: no common type, SASL2", protocol: SASL2, mechanisms: both, bindings: []string{"tls-fictional"}, channel: tls13, want: "SCRAM-SHA-512 n h="},
		{name: "rule 6: the server's type cannot be computed here", mechanisms: both, bindings: []string{TLSServerEndPoint}, channel: tlsBare, want: "SCRAM-SHA-512 n h="},
		{name: "rule 6: only -PLUS offered", mechanisms: pluses, bindings: []string{"tls-fictional"}, channel: tls13, refused: ErrNoCommonBinding},
		{name: "rule 6: and PLAIN is no way out", mechanisms: append([]string{"PLAIN"}, pluses...), bindings: []string{"tls-fictional"}, channel: tls13, policy: Policy{AllowPlain: true}, refused: ErrNoCommonBinding},
		{name: "rule 7: stronger than the type that all have", mechanisms: both, bindings: allCB, channel: tls13, want: "SCRAM-SHA-512-PLUS p tls-exporter"},
		{name: "rule 7: tls-unique where there is no tls-exporter", mechanisms: both, bindings: []string{TLSServerEndPoint, TLSUnique}, channel: tls12, want: "SCRAM-SHA-512-PLUS p tls-unique"},
		{name: "rule 7: as much as this connection has", mechanisms: both, bindings: allCB, channel: tlsEnd, want: "SCRAM-SHA-512-PLUS p tls-server-end-point"},
		{name: "bound goes before a better hash", mechanisms: []string{"SCRAM-SHA-512", "SCRAM-SHA-256-PLUS"}, bindings: allCB, channel: tls13, want: "SCRAM-SHA-256-PLUS p tls-exporter"},
		{name: "a -PLUS that we do not know", mechanisms: []string{"SCRAM-SHA3-512-PLUS", "SCRAM-SHA-256"}, bindings: allCB, channel: tls13, want: "SCRAM-SHA-256 n h="},
		{name: "a -PLUS that is too weak", mechanisms: []string{"SCRAM-SHA-1-PLUS", "SCRAM-SHA-256"}, bindings: allCB, channel: tls13, policy: Policy{Minimum: StrengthSCRAMSHA256}, want: "SCRAM-SHA-256 n h="},
		{name: "nothing to bind to where binding is offered", mechanisms: both, bindings: allCB, channel: insecure, want: "SCRAM-SHA-512 n h="},
		{name: "binding demanded, none offered", mechanisms: scrams, channel: tls13, policy: Policy{RequireBinding: true}, refused: ErrNotBound},
		{name: "binding demanded, none common", mechanisms: both, bindings: []string{"tls-fictional"}, channel: tls13, policy: Policy{RequireBinding: true}, refused: ErrNotBound},
		{name: "binding demanded and there", mechanisms: both, bindings: allCB, channel: tls13, policy: Policy{RequireBinding: true}, want: "SCRAM-SHA-512-PLUS p tls-exporter"},
	} {
		t.Run(tc.name, tc.run)
	}
	t.Run("new rule 6: goes on only where the server confirms its offer", func(t *testing.T) {
		offer := Offer{Mechanisms: []string{"SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"}, Bindings: []string{"tls-fictional"}}
		h, _ := scramHashOf("SCRAM-SHA-1")
		for _, tc := range []struct {
			extension string
			want      error
		}{
			{"", ErrDowngrade},
			{",h=G6k/rBLDqgOhRRaCuuatSDFkJ08=", ErrDowngrade},
			{",h=" + encodeBase64(h.sum(offer.downgradeInput())), nil},
		} {
			choice, err := Choose(offer, tls13, password, Policy{})
			if err != nil {
				t.Fatal(err)
			}
			m, err := choice.begin()
			if err != nil {
				t.Fatal(err)
			}
			step(t)(m.Start())
			nonce := m.(*scramClient).nonce
			if _, err := m.Next(t.Context(), []byte("r="+nonce+"x,s=QQ==,i=4096"+tc.extension)); !errors.Is(err, tc.want) {
				t.Errorf("%q: %v, want %v", tc.extension, err, tc.want)
			}
		}
	})
	t.Run("the flag is what goes out", func(t *testing.T) {
		for _, tc := range []struct{ choosing, want string }{
			{"y", "y,,n=alice,"}, {"n", "n,,n=alice,"}, {"p", "p=tls-exporter,,n=alice,"},
		} {
			offer, channel := Offer{Mechanisms: scrams}, tls13
			switch tc.choosing {
			case "n":
				channel = insecure
			case "p":
				offer = Offer{Mechanisms: both, Bindings: allCB}
			}
			choice, err := Choose(offer, channel, password, Policy{})
			if err != nil {
				t.Fatal(err)
			}
			m, err := choice.begin()
			if err != nil {
				t.Fatal(err)
			}
			if message := string(step(t)(m.Start())); !strings.HasPrefix(message, tc.want) {
				t.Errorf("%q, want %q", message, tc.want)
			}
		}
	})
}

// TestSEC43_Downgrade has what somebody might hope to get by offering less.
func TestSEC43_Downgrade(t *testing.T) {
	token := with(password, func(c *Credentials) { c.AccessToken = NewSecret("abc") })
	for _, tc := range []choosing{
		{name: "PLAIN alone", mechanisms: []string{"PLAIN"}, channel: tls13, refused: ErrPlaintext},
		{name: "PLAIN alone, opted in", mechanisms: []string{"PLAIN"}, channel: tls13, policy: Policy{AllowPlain: true}, want: "PLAIN"},
		{name: "PLAIN opted in, types announced", mechanisms: []string{"PLAIN"}, bindings: allCB, channel: tls13, policy: Policy{AllowPlain: true}, want: "PLAIN"},
		{name: "PLAIN opted in, without TLS", mechanisms: []string{"PLAIN"}, channel: insecure, policy: Policy{AllowPlain: true}, refused: ErrInsecure},
		{name: "PLAIN opted in, TLS not verified", mechanisms: []string{"PLAIN"}, channel: Channel{Bindings: tls13.Bindings}, policy: Policy{AllowPlain: true}, refused: ErrInsecure},
		{name: "PLAIN opted in, SCRAM used before", mechanisms: []string{"PLAIN"}, channel: tls13, policy: Policy{AllowPlain: true, Pinned: true}, refused: ErrPinned},
		{name: "PLAIN opted in, stronger demanded", mechanisms: []string{"PLAIN"}, channel: tls13, policy: Policy{AllowPlain: true, Minimum: StrengthSCRAMSHA1}, refused: ErrTooWeak},
		{name: "PLAIN opted in, binding demanded", mechanisms: []string{"PLAIN"}, channel: tls13, policy: Policy{AllowPlain: true, RequireBinding: true}, refused: ErrNotBound},
		{name: "PLAIN opted in, SCRAM offered", mechanisms: []string{"PLAIN", "SCRAM-SHA-1"}, channel: tls13, policy: Policy{AllowPlain: true}, want: "SCRAM-SHA-1 y"},
		{name: "pinned to SCRAM, not to one of it", mechanisms: []string{"SCRAM-SHA-1"}, channel: tls13, policy: Policy{Pinned: true}, want: "SCRAM-SHA-1 y"},
		{name: "below the minimum", mechanisms: []string{"SCRAM-SHA-1"}, channel: tls13, policy: Policy{Minimum: StrengthSCRAMSHA256}, refused: ErrTooWeak},
		{name: "below the minimum, bound", mechanisms: []string{"SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"}, bindings: allCB, channel: tls13, policy: Policy{Minimum: StrengthSCRAMSHA256}, refused: ErrTooWeak},
		{name: "SEC-52 DIGEST-MD5 alone", mechanisms: []string{"DIGEST-MD5"}, channel: tls13, refused: ErrWeak},
		{name: "DIGEST-MD5 opted in", mechanisms: []string{"DIGEST-MD5", "PLAIN"}, channel: tls13, policy: Policy{AllowDigestMD5: true, AllowPlain: true}, want: "DIGEST-MD5"},
		{name: "DIGEST-MD5 opted in, SCRAM used before", mechanisms: []string{"DIGEST-MD5"}, channel: tls13, policy: Policy{AllowDigestMD5: true, Pinned: true}, refused: ErrPinned},
		{name: "DIGEST-MD5 opted in, stronger demanded", mechanisms: []string{"DIGEST-MD5"}, channel: tls13, policy: Policy{AllowDigestMD5: true, Minimum: StrengthSCRAMSHA1}, refused: ErrTooWeak},
		{name: "DIGEST-MD5 opted in, binding demanded", mechanisms: []string{"DIGEST-MD5"}, channel: tls13, policy: Policy{AllowDigestMD5: true, RequireBinding: true}, refused: ErrNotBound},
		{name: "access token in place of a password that was proven before", mechanisms: []string{"OAUTHBEARER"}, channel: tls13, credentials: token, policy: Policy{Pinned: true}, refused: ErrPinned},
		{name: "access token without TLS", mechanisms: []string{"OAUTHBEARER", "X-OAUTH2"}, channel: insecure, credentials: token, refused: ErrInsecure},
		{name: "not among the permitted", mechanisms: scrams, channel: tls13, policy: Policy{Mechanisms: []string{"SCRAM-SHA-256"}}, want: "SCRAM-SHA-256 y"},
		{name: "nothing that we know", mechanisms: []string{"GSSAPI", "CRAM-MD5"}, channel: tls13, refused: ErrUnknownMechanism},
		{name: "nothing that we have credentials for", mechanisms: []string{"EXTERNAL", "ANONYMOUS", "OAUTHBEARER"}, channel: tls13, refused: ErrNoCredentials},
	} {
		t.Run(tc.name, tc.run)
	}
	t.Run("nothing offered", func(t *testing.T) {
		var refused *RefusedError
		if _, err := Choose(Offer{}, tls13, password, Policy{}); !errors.As(err, &refused) {
			t.Error(err)
		}
	})
}

// TestChoose has the order of everything that is no downgrade.
func TestChoose(t *testing.T) {
	full := with(password, func(c *Credentials) {
		c.Token, c.TokenFor, c.AccessToken, c.Certificate, c.Anonymous = NewSecret("t"), "HT-SHA-256-EXPR", NewSecret("abc"), true, true
	})
	everything := append([]string{"ANONYMOUS", "EXTERNAL", "OAUTHBEARER", "X-OAUTH2", "DIGEST-MD5"}, both...)
	fast := []string{"HT-SHA-256-NONE", "HT-SHA-256-EXPR", "HT-SHA-256-ENDP"}
	for _, tc := range []choosing{
		{name: "token", protocol: SASL2, mechanisms: everything, bindings: allCB, fast: fast, channel: tls13, credentials: full, want: "HT-SHA-256-EXPR tls-exporter"},
		{name: "token, but not its mechanism", protocol: SASL2, mechanisms: everything, bindings: allCB, fast: []string{"HT-SHA-256-ENDP"}, channel: tls13, credentials: full, want: "EXTERNAL"},
		{name: "token, but SASL1", mechanisms: everything, bindings: allCB, fast: fast, channel: tls13, credentials: full, want: "EXTERNAL"},
		{name: "certificate", mechanisms: everything, bindings: allCB, channel: tls13, credentials: full, want: "EXTERNAL"},
		{name: "password before access token", mechanisms: everything, bindings: allCB, channel: tls13, credentials: with(full, func(c *Credentials) { c.Certificate = false }), want: "SCRAM-SHA-512-PLUS p tls-exporter"},
		{name: "access token", mechanisms: everything, bindings: allCB, channel: tls13, credentials: with(full, func(c *Credentials) { c.Certificate, c.Password = false, Secret{} }), want: "OAUTHBEARER"},
		{name: "access token of old", mechanisms: []string{"X-OAUTH2"}, channel: tls13, credentials: full, want: "X-OAUTH2"},
		{name: "access token alone, pinned", mechanisms: everything, channel: tls13, credentials: Credentials{AccessToken: NewSecret("abc")}, policy: Policy{Pinned: true}, want: "OAUTHBEARER"},
		{name: "access token, binding demanded", mechanisms: []string{"OAUTHBEARER"}, channel: tls13, credentials: Credentials{AccessToken: NewSecret("abc")}, policy: Policy{RequireBinding: true}, refused: ErrNotBound},
		{name: "nobody", mechanisms: everything, channel: tls13, credentials: Credentials{Anonymous: true}, want: "ANONYMOUS"},
		{name: "nobody, binding demanded", mechanisms: []string{"ANONYMOUS"}, channel: tls13, credentials: Credentials{Anonymous: true}, policy: Policy{RequireBinding: true}, refused: ErrNotBound},
		{name: "certificate without verified TLS", mechanisms: []string{"EXTERNAL"}, channel: insecure, credentials: Credentials{Certificate: true}, refused: ErrInsecure},
	} {
		t.Run(tc.name, tc.run)
	}
	for choice, want := range map[string]bool{"SCRAM-SHA-1": true, "SCRAM-SHA-512-PLUS": true, "EXTERNAL": true, "PLAIN": false, "OAUTHBEARER": false, "HT-SHA-256-EXPR": false} {
		if got := (Choice{Mechanism: choice}).Pins(); got != want {
			t.Errorf("%s pins: %t", choice, got)
		}
	}
}

// TestSignInMatrix has the offers of real servers, each signed in to as the strongest of it.
func TestSignInMatrix(t *testing.T) {
	for _, c := range captures(t) {
		channel := Channel{Secure: true, Bindings: []Binding{exporter, unique, endPoint}}
		choice, err := Choose(c.offer, channel, password, Policy{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if choice.Flag != FlagPlus || choice.Binding == TLSServerEndPoint || choice.NeedHash {
			t.Errorf("%s: %v", c.name, choice)
		}
	}
}

// TestRefusedErrorIsBounded whatever a server offers.
func TestRefusedErrorIsBounded(t *testing.T) {
	var offered []string
	for range 10000 {
		offered = append(offered, strings.Repeat("\x00\"A", 1000))
	}
	_, err := Choose(Offer{Mechanisms: offered, Bindings: offered}, tls13, password, Policy{})
	if err == nil || len(err.Error()) > 16<<10 || strings.Contains(err.Error(), "\x00") {
		t.Errorf("%d bytes: %.300v", len(err.Error()), err)
	}
}
