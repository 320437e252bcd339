package sasl

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// begin starts a mechanism and demands its initial response.
func begin(t testing.TB, mechanism string, credentials Credentials, binding Binding, want string) Mechanism {
	t.Helper()
	m, err := Choice{Mechanism: mechanism, credentials: credentials, binding: binding}.begin()
	if err != nil {
		t.Fatal(err)
	}
	initial := step(t)(m.Start())
	if string(initial) != want || initial == nil {
		t.Fatalf("%s begins with %q, want %q", mechanism, initial, want)
	}
	return m
}

func TestOneMessage(t *testing.T) {
	alice := Credentials{Username: "\u2168\u00aa", Password: NewSecret("p\u00a0w"), AccessToken: NewSecret("vF9dft4qmT==")}
	acting := with(alice, func(c *Credentials) { c.AuthzID = "alice@example.org" })
	for _, tc := range []struct {
		name, mechanism string
		credentials     Credentials
		want            string
	}{
		{"PLAIN", plain, alice, "\x00IXa\x00p w"},
		{"PLAIN with an authorization identity", plain, acting, "alice@example.org\x00IXa\x00p w"},
		{"X-OAUTH2", xOAuth2, alice, "\x00IXa\x00vF9dft4qmT=="},
		{"EXTERNAL", external, alice, ""},
		{"EXTERNAL with an authorization identity", external, acting, "alice@example.org"},
		{"ANONYMOUS", anonymous, alice, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := begin(t, tc.mechanism, tc.credentials, Binding{}, tc.want)
			if err := m.Done(nil); err != nil {
				t.Error(err)
			}
			if err := m.Done([]byte("x")); !errors.Is(err, ErrUnexpected) {
				t.Error(err)
			}
			if _, err := m.Next(t.Context(), nil); !errors.Is(err, ErrUnexpected) {
				t.Error(err)
			}
			if _, err := m.Start(); !errors.Is(err, ErrUnexpected) {
				t.Error(err)
			}
		})
	}
	for _, tc := range []struct {
		name, mechanism string
		credentials     Credentials
	}{
		{"NUL in the password", plain, Credentials{Username: "u", Password: NewSecret("a\x00b")}},
		{"no name", plain, Credentials{Password: NewSecret("p")}},
		{"NUL in the identity", plain, Credentials{Username: "u", Password: NewSecret("p"), AuthzID: "\x00"}},
		{"identity that is no text", external, Credentials{AuthzID: "\xff"}},
		{"token of a prefix alone", oauthBearer, Credentials{AccessToken: NewSecret("secret-token:")}},
		{"token with a blank", xOAuth2, Credentials{Username: "u", AccessToken: NewSecret("a b")}},
		{"token of padding", oauthBearer, Credentials{AccessToken: NewSecret("==")}},
		{"token with a separator", oauthBearer, Credentials{AccessToken: NewSecret("a\x01b")}},
		{"no token", oauthBearer, Credentials{Username: "u"}},
		{"identity with a separator", oauthBearer, Credentials{AuthzID: "a\x01b", AccessToken: NewSecret("t")}},
		{"name that SASLprep refuses", oauthBearer, Credentials{Username: "\x07", Domain: "d", AccessToken: NewSecret("t")}},
		{"name that SASLprep refuses", xOAuth2, Credentials{Username: "\x07", AccessToken: NewSecret("t")}},
		{"name that SASLprep refuses", digestMD5, Credentials{Username: "\x07", Password: NewSecret("p")}},
		{"no password", digestMD5, Credentials{Username: "u"}},
		{"name that SASLprep refuses", "HT-SHA-256-NONE", Credentials{Username: "\x07", Token: NewSecret("t")}},
	} {
		t.Run(tc.mechanism+" "+tc.name, func(t *testing.T) {
			_, err := Choice{Mechanism: tc.mechanism, credentials: tc.credentials}.New()
			var refused *PrepError
			if !errors.As(err, &refused) {
				t.Error(err)
			}
		})
	}
}

func TestParsePlain(t *testing.T) {
	authzID, username, secret, err := ParsePlain([]byte("a@b\x00alice\x00pw"))
	if authzID != "a@b" || username != "alice" || secret.Reveal() != "pw" || err != nil {
		t.Error(authzID, username, err)
	}
	for _, wrong := range []string{"", "alice\x00pw", "\x00\x00pw", "\x00alice\x00", "\x00a\x00b\x00c", "\x00alice\x00\xff", strings.Repeat("a", maxMessage) + "\x00a\x00b"} {
		if _, _, _, err := ParsePlain([]byte(wrong)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.20q: %v", wrong, err)
		}
	}
}

// TestOAuthBearer has the exchanges of RFC 7628 section 4, without the host and port that bearer tokens do not need.
func TestOAuthBearer(t *testing.T) {
	credentials := Credentials{AuthzID: "user@example.com", AccessToken: NewSecret("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==")}
	const message = "n,a=user@example.com,\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01"
	t.Run("success", func(t *testing.T) {
		m := begin(t, oauthBearer, credentials, Binding{}, message)
		if err := m.Done(nil); err != nil || Reason(m) != nil {
			t.Error(err, Reason(m))
		}
		if err := m.Done([]byte("x")); !errors.Is(err, ErrUnexpected) {
			t.Error(err)
		}
	})
	t.Run("identity from name and domain", func(t *testing.T) {
		begin(t, oauthBearer, Credentials{Username: "a,b", Domain: "example.com", AccessToken: NewSecret("t")}, Binding{},
			"n,a=a=2Cb@example.com,\x01auth=Bearer t\x01\x01")
		begin(t, oauthBearer, Credentials{Username: "a", AccessToken: NewSecret("t")}, Binding{}, "n,,\x01auth=Bearer t\x01\x01")
		begin(t, oauthBearer, Credentials{Username: "a", AccessToken: NewSecret("secret-token:t=")}, Binding{}, "n,,\x01auth=Bearer secret-token:t=\x01\x01")
	})
	t.Run("refusal", func(t *testing.T) {
		m := begin(t, oauthBearer, credentials, Binding{}, message)
		answer := step(t)(m.Next(t.Context(), []byte(
			`{"status":"invalid_token","scope":"example_scope","openid-configuration":"https://example.com/.well-known/openid-configuration"}`)))
		if string(answer) != "\x01" {
			t.Errorf("answer %q", answer)
		}
		var refused *ServerError
		if !errors.As(Reason(m), &refused) || refused.Value != "invalid_token" || refused.Scope != "example_scope" ||
			refused.Discovery != "https://example.com/.well-known/openid-configuration" {
			t.Errorf("%#v", refused)
		}
		if err := m.Done(nil); err == nil {
			t.Error("a success after a refusal")
		}
		if _, err := m.Next(t.Context(), []byte("{}")); !errors.Is(err, ErrUnexpected) {
			t.Error(err)
		}
	})
	for _, wrong := range []string{"", "x", "[]", `{"status":1}`, "{", strings.Repeat(" ", maxMessage) + "{}"} {
		m := begin(t, oauthBearer, credentials, Binding{}, message)
		if _, err := m.Next(t.Context(), []byte(wrong)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.20q: %v", wrong, err)
		}
	}
}

// hashed computes HT-SHA-256-* with the token "t", in other words.
func hashed(text string) string {
	mac := hmac.New(sha256.New, []byte("t"))
	mac.Write([]byte(text))
	return string(mac.Sum(nil))
}

// TestToken has one vector, made with another implementation (Python's hmac), and both sides.
func TestToken(t *testing.T) {
	const token = "secret-token:fast-xNFGe8mYJsMrGvkpNOdRkdvIp1WiTyog22v7"
	credentials := Credentials{Username: "alice", Token: NewSecret(token)}
	t.Run("vector", func(t *testing.T) {
		m := begin(t, "HT-SHA-256-EXPR", credentials, exporter, "alice\x00"+unhex(t, "8ad9247f3c2f557bd690f36be8e7390e3c09d4a5cbf3c4ea7513f474432d23e6"))
		if err := m.Done([]byte(unhex(t, "95ffc76c53f61288f46757b5dfb128bbb672c62df85d3c5bbbf1bf005fedb5d8"))); err != nil {
			t.Error(err)
		}
	})
	for _, m := range tokenMechanisms() {
		t.Run(m.name, func(t *testing.T) {
			binding := Binding{}
			if m.binding != "" {
				binding = Binding{m.binding, counting(20)}
			}
			client, err := Choice{Mechanism: m.name, credentials: credentials, binding: binding}.New()
			if err != nil {
				t.Fatal(err)
			}
			message := step(t)(client.Start())
			if user, err := TokenUser(message); user != "alice" || err != nil {
				t.Fatal(user, err)
			}
			if typ, ok := TokenBinding(m.name); typ != m.binding || !ok {
				t.Error(typ, ok)
			}
			proof, ok := VerifyToken(m.name, credentials.Token, binding, message)
			if !ok {
				t.Fatal("refused")
			}
			if err := client.Done(proof); err != nil {
				t.Fatal(err)
			}
			if _, ok := VerifyToken(m.name, NewSecret("another"), binding, message); ok {
				t.Error("another token")
			}
			if _, ok := VerifyToken(m.name, credentials.Token, Binding{m.binding, []byte("another")}, message); ok {
				t.Error("another channel")
			}
			if _, ok := VerifyToken("HT-SHA-256-OTHER", credentials.Token, binding, message); ok {
				t.Error("another mechanism")
			}
		})
	}
	for _, wrong := range []string{"", "alice", "\x00x", "\xff\x00x"} {
		if _, err := TokenUser([]byte(wrong)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func unhex(t testing.TB, s string) string {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestSEC54_Tokens are used over verified TLS only, and take the server's word only with its proof.
func TestSEC54_Tokens(t *testing.T) {
	user := Credentials{Username: "alice", Token: NewSecret("t"), TokenFor: "HT-SHA-256-EXPR"}
	unbound := with(user, func(c *Credentials) { c.TokenFor = "HT-SHA-256-NONE" })
	fast := []string{"HT-SHA-256-NONE", "HT-SHA-256-EXPR"}
	for _, tc := range []choosing{
		{name: "bound", protocol: SASL2, fast: fast, channel: tls13, credentials: user, want: "HT-SHA-256-EXPR tls-exporter"},
		{name: "without TLS", protocol: SASL2, fast: fast, channel: insecure, credentials: user, refused: ErrInsecure},
		{name: "TLS not verified", protocol: SASL2, fast: fast, channel: Channel{Bindings: tls13.Bindings}, credentials: user, refused: ErrInsecure},
		{name: "no such binding", protocol: SASL2, fast: fast, channel: tlsEnd, credentials: user, refused: ErrNoCommonBinding},
		{name: "unbound", protocol: SASL2, fast: fast, channel: tls13, credentials: unbound, refused: ErrNotBound},
		{name: "unbound, opted in", protocol: SASL2, fast: fast, channel: tls13, credentials: unbound, policy: Policy{AllowUnboundToken: true}, want: "HT-SHA-256-NONE"},
		{name: "unbound, opted in, binding demanded", protocol: SASL2, fast: fast, channel: tls13, credentials: unbound, policy: Policy{AllowUnboundToken: true, RequireBinding: true}, refused: ErrNotBound},
		{name: "unbound, opted in, without TLS", protocol: SASL2, fast: fast, channel: insecure, credentials: unbound, policy: Policy{AllowUnboundToken: true}, refused: ErrInsecure},
	} {
		t.Run(tc.name, tc.run)
	}
	t.Run("which to ask for", func(t *testing.T) {
		for _, tc := range []struct {
			name    string
			offer   Offer
			channel Channel
			policy  Policy
			want    string
		}{
			{"bound by the connection", Offer{Protocol: SASL2, FAST: []string{"HT-SHA-256-NONE", "HT-SHA-256-UNIQ", "HT-SHA-256-EXPR", "HT-SHA-256-ENDP"}}, tls13, Policy{}, "HT-SHA-256-EXPR"},
			{"bound by the certificate", Offer{Protocol: SASL2, FAST: []string{"HT-SHA-256-NONE", "HT-SHA-256-ENDP"}}, tls13, Policy{}, "HT-SHA-256-ENDP"},
			{"better hash", Offer{Protocol: SASL2, FAST: []string{"HT-SHA-256-EXPR", "HT-SHA-512-EXPR"}}, tls13, Policy{}, "HT-SHA-512-EXPR"},
			{"nothing bound", Offer{Protocol: SASL2, FAST: []string{"HT-SHA-256-NONE"}}, tls13, Policy{}, ""},
			{"nothing bound, opted in", Offer{Protocol: SASL2, FAST: []string{"HT-SHA-256-NONE"}}, tls13, Policy{AllowUnboundToken: true}, "HT-SHA-256-NONE"},
			{"without TLS", Offer{Protocol: SASL2, FAST: fast}, insecure, Policy{AllowUnboundToken: true}, ""},
			{"SASL1", Offer{FAST: fast}, tls13, Policy{}, ""},
			{"unknown", Offer{Protocol: SASL2, FAST: []string{"HT-BLAKE2S-256-EXPR"}}, tls13, Policy{}, ""},
		} {
			if got := ChooseToken(tc.offer, tc.channel, tc.policy); got != tc.want {
				t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
			}
		}
	})
	t.Run("the server's proof", func(t *testing.T) {
		right := hashed("Responder" + string(exporter.Data))
		for name, proof := range map[string]string{
			"none": "", "ours": hashed("Initiator" + string(exporter.Data)), "shortened": right[:31], "unbound": hashed("Responder"),
			"one bit": right[:31] + string(right[31]^1),
		} {
			m := begin(t, "HT-SHA-256-EXPR", user, exporter, "alice\x00"+hashed("Initiator"+string(exporter.Data)))
			if err := m.Done([]byte(proof)); !errors.Is(err, ErrServerUnproven) {
				t.Errorf("%s: %v", name, err)
			}
			if err := m.Done([]byte(right)); err == nil {
				t.Errorf("%s: the right proof is taken afterwards", name)
			}
		}
		m := begin(t, "HT-SHA-256-EXPR", user, exporter, "alice\x00"+hashed("Initiator"+string(exporter.Data)))
		step(t)(m.Next(t.Context(), []byte(right)))
		if err := m.Done(nil); err != nil {
			t.Error(err)
		}
	})
}

// TestUpgrade has a task's hash by the task's own algorithm, and every reason not to send it.
func TestUpgrade(t *testing.T) {
	begun := func(t *testing.T, change func(*Choice)) *scramClient {
		t.Helper()
		choice := Choice{
			Mechanism: "SCRAM-SHA-1-PLUS", Flag: FlagPlus, binding: exporter, offer: Offer{Protocol: SASL2},
			credentials: Credentials{Username: "user", Password: NewSecret("pencil")},
		}
		change(&choice)
		m, err := choice.begin()
		if err != nil {
			t.Fatal(err)
		}
		c := m.(*scramClient)
		c.phase = phaseProven
		return c
	}
	salt, _ := decodeBase64("QV9TWENSWFE2c2VrOGJmX1o=")
	t.Run("the algorithm of the task", func(t *testing.T) {
		c := begun(t, func(*Choice) {})
		hash, err := Upgrade(t.Context(), c, "UPGR-SCRAM-SHA-256", salt, "4096")
		if err != nil {
			t.Fatal(err)
		}
		h, _ := scramHashOf("SCRAM-SHA-256")
		want, _ := h.saltedPassword(t.Context(), "pencil", salt, 4096)
		if string(hash) != string(want) || len(hash) != 32 {
			t.Errorf("%x, want %x", hash, want)
		}
	})
	t.Run("what ejabberd 26.07 stored", func(t *testing.T) { // its salt and the hash that it took
		c := begun(t, func(c *Choice) { c.credentials.Password = NewSecret("carol-pw") })
		salt, _ := decodeBase64("cR/iwPic0tuk5lLWtwbPyg==")
		hash, err := Upgrade(t.Context(), c, "UPGR-SCRAM-SHA-512", salt, "4096")
		if want := "+jaL1ZlQG6PAWcbVVxK1rMSo2WqxGLXrUvpNGFR7dU8I2ie0MsUDnjqhs52NDPpTNs4YnACBUrQJHksOKHAkbQ=="; err != nil || encodeBase64(hash) != want {
			t.Errorf("%s, %v, want %s", encodeBase64(hash), err, want)
		}
	})
	for _, tc := range []struct {
		name, task, iterations string
		salt                   []byte
		phase                  phase
		change                 func(*Choice)
		want                   error
	}{
		{name: "server not proven", phase: phaseFinal, want: ErrUpgrade},
		{name: "exchange failed", phase: phaseSpent, want: ErrUpgrade},
		{name: "not bound", change: func(c *Choice) { c.Mechanism, c.Flag = "SCRAM-SHA-1", FlagYes }, want: ErrUpgrade},
		{name: "not bound, opted in", change: func(c *Choice) { c.Mechanism, c.Flag, c.policy.AllowUnboundUpgrade = "SCRAM-SHA-1", FlagYes, true }},
		{name: "weaker hash", task: "UPGR-SCRAM-SHA-1", want: ErrUpgrade},
		{name: "-PLUS", task: "UPGR-SCRAM-SHA-256-PLUS", want: ErrUpgrade},
		{name: "unknown", task: "UPGR-SCRAM-SHA3-512", want: ErrUpgrade},
		{name: "another prefix", task: "SCRAM-SHA-256", want: ErrUpgrade},
		{name: "no salt", salt: []byte{}, want: ErrUpgrade},
		{name: "huge salt", salt: make([]byte, maxSalt+1), want: ErrUpgrade},
		{name: "SEC-46 too few iterations", iterations: "4095", want: &IterationsError{}},
		{name: "SEC-46 too many iterations", iterations: "99999999999", want: &IterationsError{}},
		{name: "blanks around the number", iterations: " 4096\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.change == nil {
				tc.change = func(*Choice) {}
			}
			c := begun(t, tc.change)
			if tc.phase != 0 {
				c.phase = tc.phase
			}
			if tc.task == "" {
				tc.task = "UPGR-SCRAM-SHA-256"
			}
			if tc.iterations == "" {
				tc.iterations = "4096"
			}
			if tc.salt == nil {
				tc.salt = salt
			}
			hash, err := Upgrade(t.Context(), c, tc.task, tc.salt, tc.iterations)
			var iterations *IterationsError
			switch {
			case tc.want == nil:
				if err != nil || len(hash) != 32 {
					t.Error(hash, err)
				}
			case errors.As(tc.want, &iterations):
				if !errors.As(err, &iterations) || hash != nil {
					t.Error(hash, err)
				}
			case !errors.Is(err, tc.want) || hash != nil:
				t.Error(hash, err)
			}
		})
	}
	t.Run("after another mechanism", func(t *testing.T) {
		m := begin(t, plain, password, Binding{}, "\x00alice\x00alice-pw")
		if _, err := Upgrade(t.Context(), m, "UPGR-SCRAM-SHA-256", salt, "4096"); !errors.Is(err, ErrUpgrade) {
			t.Error(err)
		}
	})
	t.Run("which to ask for", func(t *testing.T) {
		offered := []string{"UPGR-SCRAM-SHA-1", "UPGR-SCRAM-SHA-256", "UPGR-SCRAM-SHA-512", "UPGR-BLOOP2"}
		for _, tc := range []struct {
			name   string
			offer  Offer
			policy Policy
			want   string
		}{
			{"bound", Offer{Protocol: SASL2, Mechanisms: []string{"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}, Bindings: allCB}, Policy{}, "UPGR-SCRAM-SHA-512"},
			{"from the weakest", Offer{Protocol: SASL2, Mechanisms: []string{"SCRAM-SHA-1-PLUS"}, Bindings: allCB}, Policy{}, "UPGR-SCRAM-SHA-256 UPGR-SCRAM-SHA-512"},
			{"not bound", Offer{Protocol: SASL2, Mechanisms: []string{"SCRAM-SHA-1"}}, Policy{}, ""},
			{"not bound, opted in", Offer{Protocol: SASL2, Mechanisms: []string{"SCRAM-SHA-1"}}, Policy{AllowUnboundUpgrade: true}, "UPGR-SCRAM-SHA-256 UPGR-SCRAM-SHA-512"},
			{"SASL1", Offer{Mechanisms: []string{"SCRAM-SHA-1-PLUS"}, Bindings: allCB}, Policy{}, ""},
			{"PLAIN", Offer{Protocol: SASL2, Mechanisms: []string{"PLAIN"}}, Policy{AllowPlain: true, AllowUnboundUpgrade: true}, ""},
		} {
			tc.offer.Upgrades = offered
			choice, err := Choose(tc.offer, tls13, password, tc.policy)
			if got := strings.Join(choice.UpgradeTasks(), " "); got != tc.want || err != nil {
				t.Errorf("%s: %q, %v, want %q", tc.name, got, err, tc.want)
			}
		}
	})
	if got := UpgradeTask("SCRAM-SHA-256-PLUS"); got != "UPGR-SCRAM-SHA-256" {
		t.Error(got)
	}
}

func TestConditions(t *testing.T) {
	temporary := 0
	for _, c := range []Condition{
		Aborted, AccountDisabled, CredentialsExpired, EncryptionRequired, IncorrectEncoding, InvalidAuthzID, InvalidMechanism,
		MalformedRequest, MechanismTooWeak, NotAuthorized, TemporaryAuthFailure,
	} {
		if ParseCondition(string(c)) != c || !errors.Is(error(c), c) {
			t.Errorf("%v", c)
		}
		if c.Temporary() {
			temporary++
		}
	}
	if temporary != 2 || ParseCondition("bad-auth") != NotAuthorized || ParseCondition("") != NotAuthorized {
		t.Error(temporary)
	}
}
