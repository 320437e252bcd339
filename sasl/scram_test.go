package sasl

import (
	"context"
	"errors"
	"hash"
	"strings"
	"testing"
)

// begun returns a client of RFC 5802's example that waits for the server's first message.
func begun(t testing.TB) *scramClient {
	t.Helper()
	c := vectors[0].client(t)
	step(t)(c.Start())
	return c
}

// TestSEC47_ServerFirst refuses what is no answer to us.
func TestSEC47_ServerFirst(t *testing.T) {
	const nonce = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j"
	for _, tc := range []struct {
		name, message string
		want          error
	}{
		{"equal nonce", "r=fyko+d2lbbFgONRv9qkxdawL,s=QSXCR+Q6sek8bf92,i=4096", ErrNonce},
		{"foreign nonce", "r=3rfcNHYJY1ZVvWVs7jfyko+d2lbbFgONRv9qkxdawL,s=QSXCR+Q6sek8bf92,i=4096", ErrNonce},
		{"shortened nonce", "r=fyko+d2lbbFgONRv9qkxda,s=QSXCR+Q6sek8bf92,i=4096", ErrNonce},
		{"nonce in other case", "r=FYKO+d2lbbFgONRv9qkxdawLxxxx,s=QSXCR+Q6sek8bf92,i=4096", ErrNonce},
		{"mandatory extension first", "m=x," + nonce + ",s=QSXCR+Q6sek8bf92,i=4096", ErrMandatoryExtension},
		{"mandatory extension last", nonce + ",s=QSXCR+Q6sek8bf92,i=4096,m=x", ErrMandatoryExtension},
		{"nonce twice", nonce + "," + nonce + ",s=QSXCR+Q6sek8bf92,i=4096", ErrMalformed},
		{"salt twice", nonce + ",s=QSXCR+Q6sek8bf92,i=4096,s=QSXCR+Q6sek8bf92", ErrMalformed},
		{"iterations twice", nonce + ",s=QSXCR+Q6sek8bf92,i=4096,i=10000", ErrMalformed},
		{"extension twice", nonce + ",s=QSXCR+Q6sek8bf92,i=4096,x=1,x=2", ErrMalformed},
		{"hash twice", nonce + ",s=QSXCR+Q6sek8bf92,i=4096,h=AAAA,h=BBBB", ErrMalformed},
		{"other order", nonce + ",i=4096,s=QSXCR+Q6sek8bf92", ErrMalformed},
		{"salt before nonce", "s=QSXCR+Q6sek8bf92," + nonce + ",i=4096", ErrMalformed},
		{"extension in between", nonce + ",x=1,s=QSXCR+Q6sek8bf92,i=4096", ErrMalformed},
		{"no salt", nonce + ",i=4096", ErrMalformed},
		{"empty salt", nonce + ",s=,i=4096", ErrMalformed},
		{"no iterations", nonce + ",s=QSXCR+Q6sek8bf92", ErrMalformed},
		{"salt without padding", nonce + ",s=QSXCR+Q6sek8bf9,i=4096", ErrMalformed},
		{"salt with too much padding", nonce + ",s=QSXCR+Q6sek8bf92=,i=4096", ErrMalformed},
		{"salt with stray bits", nonce + ",s=QSXCR+Q6sek8bf9=,i=4096", ErrMalformed},
		{"salt with a line break", nonce + ",s=QSXCR+Q6\nsek8bf92,i=4096", ErrMalformed},
		{"salt with a blank", nonce + ",s=QSXC R+Q6sek8bf92,i=4096", ErrMalformed},
		{"salt of URL base64", nonce + ",s=QSXCR-Q6sek8bf92,i=4096", ErrMalformed},
		{"huge salt", nonce + ",s=" + strings.Repeat("QUFB", 400) + ",i=4096", ErrMalformed},
		{"huge nonce", nonce + strings.Repeat("x", 2000) + ",s=QSXCR+Q6sek8bf92,i=4096", ErrMalformed},
		{"huge message", nonce + ",s=QSXCR+Q6sek8bf92,i=4096,x=" + strings.Repeat("x", 1<<20), ErrMalformed},
		{"control character in the nonce", nonce + "\x01,s=QSXCR+Q6sek8bf92,i=4096", ErrMalformed},
		{"DEL in the nonce", nonce + "\x7f,s=QSXCR+Q6sek8bf92,i=4096", ErrMalformed},
		{"letter outside ASCII in the nonce", nonce + "ä,s=QSXCR+Q6sek8bf92,i=4096", ErrMalformed},
		{"NUL in an extension", nonce + ",s=QSXCR+Q6sek8bf92,i=4096,x=a\x00b", ErrMalformed},
		{"not UTF-8", nonce + ",s=QSXCR+Q6sek8bf92,i=4096,x=\xff", ErrMalformed},
		{"attribute without value", nonce + ",s=QSXCR+Q6sek8bf92,i=4096,x", ErrMalformed},
		{"attribute with empty value", nonce + ",s=QSXCR+Q6sek8bf92,i=4096,x=", ErrMalformed},
		{"attribute with a long name", nonce + ",s=QSXCR+Q6sek8bf92,i=4096,xy=1", ErrMalformed},
		{"attribute with a digit for a name", nonce + ",s=QSXCR+Q6sek8bf92,i=4096,1=1", ErrMalformed},
		{"comma at the end", nonce + ",s=QSXCR+Q6sek8bf92,i=4096,", ErrMalformed},
		{"empty", "", ErrMalformed},
		{"blank", " ", ErrMalformed},
		{"comma", ",", ErrMalformed},
		{"the final message", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := begun(t)
			response, err := c.Next(t.Context(), []byte(tc.message))
			if !errors.Is(err, tc.want) || response != nil {
				t.Fatalf("%q, %v, want %v", response, err, tc.want)
			}
			if err := c.Done(nil); err == nil {
				t.Error("the exchange goes on")
			}
			if _, err := c.Next(t.Context(), []byte(rfc5802Server)); err == nil {
				t.Error("the exchange can be resumed")
			}
		})
	}
}

// TestServerFirstTaken has what looks odd and is right.
func TestServerFirstTaken(t *testing.T) {
	for _, tc := range []struct{ name, message string }{
		{"unknown extensions", rfc5802Server + ",x=ä=b,Z=1"},
		{"padded salt", "r=fyko+d2lbbFgONRv9qkxdawL3,s=QQ==,i=4096"},
		{"most iterations of the limits", "r=fyko+d2lbbFgONRv9qkxdawL3,s=QQ==,i=5000"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := begun(t)
			c.limits.max = 5000
			step(t)(c.Next(t.Context(), []byte(tc.message)))
		})
	}
}

// TestSEC47_ServerFinal signs nobody in whom the server has not proven to know.
func TestSEC47_ServerFinal(t *testing.T) {
	const right = "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="
	for _, tc := range []struct {
		name, message string
		want          error
	}{
		{"missing", "", ErrServerUnproven},
		{"wrong", "v=smF9pqV8S7suAoZWja4dJRkFsKQ=", ErrServerUnproven},
		{"last bit", "v=rmF9pqV8S7suAoZWja4dJRkFsKU=", ErrServerUnproven},
		{"truncated", "v=rmF9pqV8S7suAoZWja4dJRkFsA==", ErrServerUnproven},
		{"longer", "v=rmF9pqV8S7suAoZWja4dJRkFsKQA", ErrServerUnproven},
		{"empty signature", "v=", ErrMalformed},
		{"not base64", "v=!mF9pqV8S7suAoZWja4dJRkFsKQ=", ErrMalformed},
		{"stray bits", "v=rmF9pqV8S7suAoZWja4dJRkFsKR=", ErrMalformed},
		{"twice", right + "," + right, ErrMalformed},
		{"not first", "x=1," + right, ErrMalformed},
		{"mandatory extension", right + ",m=1", ErrMandatoryExtension},
		{"our own proof", "v=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", ErrServerUnproven},
	} {
		for _, way := range []string{"with the success", "as a challenge"} {
			if tc.message == "" && way == "as a challenge" {
				continue // that would be malformed
			}
			t.Run(tc.name+" "+way, func(t *testing.T) {
				c := begun(t)
				step(t)(c.Next(t.Context(), []byte(rfc5802Server)))
				var err error
				if way == "as a challenge" {
					_, err = c.Next(t.Context(), []byte(tc.message))
				} else {
					err = c.Done([]byte(tc.message))
				}
				if !errors.Is(err, tc.want) {
					t.Fatalf("%v, want %v", err, tc.want)
				}
				if err := c.Done([]byte(right)); err == nil {
					t.Error("the right signature is taken afterwards")
				}
			})
		}
	}
	t.Run("the server's error", func(t *testing.T) {
		c := begun(t)
		step(t)(c.Next(t.Context(), []byte(rfc5802Server)))
		err := c.Done([]byte("e=other-error"))
		var refused *ServerError
		if !errors.As(err, &refused) || refused.Value != "other-error" {
			t.Fatal(err)
		}
	})
	t.Run("success at once", func(t *testing.T) {
		for _, data := range []string{"", right} {
			if err := begun(t).Done([]byte(data)); !errors.Is(err, ErrServerUnproven) {
				t.Error(err)
			}
		}
	})
	t.Run("as a challenge, then success", func(t *testing.T) {
		c := begun(t)
		step(t)(c.Next(t.Context(), []byte(rfc5802Server)))
		if response := step(t)(c.Next(t.Context(), []byte(right))); response == nil || len(response) != 0 {
			t.Errorf("response %q", response)
		}
		if err := c.Done(nil); err != nil {
			t.Error(err)
		}
	})
	t.Run("with an extension", func(t *testing.T) {
		c := begun(t)
		step(t)(c.Next(t.Context(), []byte(rfc5802Server)))
		if err := c.Done([]byte(right + ",x=1")); err != nil {
			t.Error(err)
		}
	})
}

// TestSEC46_Iterations counts hashes: what is refused costs none.
func TestSEC46_Iterations(t *testing.T) {
	for _, tc := range []struct {
		name, count string
		limits      limits
		taken       bool
	}{
		{"zero", "0", limits{}, false},
		{"negative", "-1", limits{}, false},
		{"one less than the least", "4095", limits{}, false},
		{"the least", "4096", limits{}, true},
		{"one more than the most", "1000001", limits{}, false},
		{"most of an int32", "2147483647", limits{}, false},
		{"beyond an int32", "2147483648", limits{}, false},
		{"beyond", "99999999999", limits{}, false},
		{"beyond an int64", strings.Repeat("9", 30), limits{}, false},
		{"leading zero", "04096", limits{}, false},
		{"sign", "+4096", limits{}, false},
		{"hexadecimal", "0x1000", limits{}, false},
		{"underscore", "4_096", limits{}, false},
		{"exponent", "1e5", limits{}, false},
		{"blank", " 4096", limits{}, false},
		{"other digits", "٤٠٩٦", limits{}, false},
		{"above a lower limit", "4097", limits{4096, 4096}, false},
		{"below a higher limit", "9999", limits{10000, 20000}, false},
		{"within", "10000", limits{10000, 20000}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := begun(t)
			c.limits = Policy{MinIterations: tc.limits.min, MaxIterations: tc.limits.max}.limits()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			hashes, make := 0, c.hash.new
			c.hash.new = func() hash.Hash {
				if hashes++; !tc.taken {
					cancel()
				}
				return make()
			}
			_, err := c.Next(ctx, []byte("r="+rfc5802Nonce+"xyz,s=QSXCR+Q6sek8bf92,i="+tc.count))
			if tc.taken {
				if err != nil || hashes == 0 {
					t.Errorf("%v after %d hashes", err, hashes)
				}
				return
			}
			var refused *IterationsError
			if !errors.As(err, &refused) || hashes != 0 {
				t.Errorf("%v after %d hashes", err, hashes)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		c := begun(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("no patience")
		cancel(why)
		_, err := c.Next(ctx, []byte("r="+rfc5802Nonce+"xyz,s=QSXCR+Q6sek8bf92,i=1000000"))
		if !errors.Is(err, why) {
			t.Error(err)
		}
	})
}

// TestSEC45_Downgrade ends the exchange before any proof where the server's hash is not that of the offer that reached us.
func TestSEC45_Downgrade(t *testing.T) {
	v := vectors[len(vectors)-1]
	for _, tc := range []struct {
		name  string
		offer Offer
		h     string
		want  error
	}{
		{"as offered", xep0474Offer, xep0474Hash, nil},
		{"in another order", Offer{Mechanisms: []string{"SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"}, Bindings: []string{TLSExporter, TLSServerEndPoint}}, xep0474Hash, nil},
		{"one bit", xep0474Offer, "H6k/rBLDqgOhRRaCuuatSDFkJ08=", ErrDowngrade},
		{"shortened", xep0474Offer, "G6k/", ErrDowngrade},
		{"not base64", xep0474Offer, "!", ErrDowngrade},
		{"mechanism swapped", Offer{Mechanisms: []string{"SCRAM-SHA-1", "PLAIN"}, Bindings: xep0474Offer.Bindings}, xep0474Hash, ErrDowngrade},
		{"mechanism added", Offer{Mechanisms: []string{"SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "PLAIN"}, Bindings: xep0474Offer.Bindings}, xep0474Hash, ErrDowngrade},
		{"mechanism removed", Offer{Mechanisms: []string{"SCRAM-SHA-1-PLUS"}, Bindings: xep0474Offer.Bindings}, xep0474Hash, ErrDowngrade},
		{"binding removed", Offer{Mechanisms: xep0474Offer.Mechanisms, Bindings: []string{TLSServerEndPoint}}, xep0474Hash, ErrDowngrade},
		{"bindings removed", Offer{Mechanisms: xep0474Offer.Mechanisms}, xep0474Hash, ErrDowngrade},
		{"name twice", Offer{Mechanisms: append(xep0474Offer.Mechanisms, "SCRAM-SHA-1"), Bindings: xep0474Offer.Bindings}, xep0474Hash, ErrDowngrade},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := v
			v.offer = tc.offer
			c := v.client(t)
			step(t)(c.Start())
			response, err := c.Next(t.Context(), []byte(strings.TrimSuffix(v.server1, xep0474Hash)+tc.h))
			if !errors.Is(err, tc.want) || (err == nil) != (response != nil) {
				t.Fatalf("%q, %v, want %v", response, err, tc.want)
			}
		})
	}
}

// TestNames has the escapes of RFC 5802 section 5.1.
func TestNames(t *testing.T) {
	for _, tc := range []struct{ name, username, authzID, want string }{
		{"plain", "user", "", "n,,n=user,r="},
		{"comma and equals sign", "a,b=c", "", "n,,n=a=2Cb=3Dc,r="},
		{"what looks escaped", "=2C", "", "n,,n==3D2C,r="},
		{"prepared", "\u2168\u00aa", "", "n,,n=IXa,r="},
		{"authorization identity", "user", "user@example.org", "n,a=user@example.org,n=user,r="},
		{"escaped authorization identity", "user", "a,=b@example.org", "n,a=a=2C=3Db@example.org,n=user,r="},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := vectors[0]
			v.username = tc.username
			c := v.client(t)
			c.authzID = tc.authzID
			message := string(step(t)(c.Start()))
			if message != tc.want+v.cnonce {
				t.Errorf("%q, want %q", message, tc.want)
			}
			s := v.server(t)
			wantName, _ := Prepare(tc.username)
			if user, authzID, err := s.Start([]byte(message)); user != wantName || authzID != tc.authzID || err != nil {
				t.Errorf("server: %q, %q, %v", user, authzID, err)
			}
		})
	}
	for _, wrong := range []string{"=", "=2", "=2c", "=3d", "a=b", "==", ""} {
		if s, ok := parseSASLName(wrong); ok {
			t.Errorf("%q is read as %q", wrong, s)
		}
	}
}

// TestNonces are never the same and fit into a message.
func TestNonces(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		m, err := Choice{Mechanism: "SCRAM-SHA-1", Flag: FlagNone, credentials: Credentials{Username: "u", Password: NewSecret("p")}}.begin()
		if err != nil {
			t.Fatal(err)
		}
		nonce := m.(*scramClient).nonce
		if seen[nonce] || len(nonce) < 24 || !isNonce(nonce) {
			t.Fatalf("nonce %q", nonce)
		}
		seen[nonce] = true
	}
}

// TestOrder refuses to go on out of turn.
func TestOrder(t *testing.T) {
	c := vectors[0].client(t)
	if _, err := c.Next(t.Context(), []byte(rfc5802Server)); !errors.Is(err, ErrUnexpected) {
		t.Errorf("challenge before the start: %v", err)
	}
	c = begun(t)
	if _, err := c.Start(); !errors.Is(err, ErrUnexpected) {
		t.Errorf("second start: %v", err)
	}
	c = begun(t)
	step(t)(c.Next(t.Context(), []byte(rfc5802Server)))
	step(t)(c.Next(t.Context(), []byte("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=")))
	if _, err := c.Next(t.Context(), []byte(rfc5802Server)); !errors.Is(err, ErrUnexpected) {
		t.Errorf("challenge after the end: %v", err)
	}
	for _, credentials := range []Credentials{
		{Username: "", Password: NewSecret("p")},
		{Username: "u"},
		{Username: "u", Password: NewSecret("\u0007")},
		{Username: "u\x00", Password: NewSecret("p")},
		{Username: "u", Password: NewSecret("p"), AuthzID: "\x00"},
	} {
		if _, err := (Choice{Mechanism: "SCRAM-SHA-1", Flag: FlagNone, credentials: credentials}).begin(); err == nil {
			t.Errorf("%v are taken", credentials)
		}
	}
	if _, err := (Choice{Mechanism: "SCRAM-MD5"}).New(); !errors.Is(err, ErrUnknownMechanism) {
		t.Error(err)
	}
}
