package sasl

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// The seed corpora are in testdata/fuzz; captures and vectors are added here.

// FuzzSCRAMClient is a server that says what it likes, in both of its messages.
func FuzzSCRAMClient(f *testing.F) {
	for _, v := range vectors {
		f.Add(v.server1, v.server2)
	}
	cache := NewKeyCache(64)
	f.Fuzz(func(t *testing.T, first, final string) {
		v := vectors[0]
		c := v.client(t)
		c.limits.max, c.cache = 5000, cache
		step(t)(c.Start())
		response, err := c.Next(t.Context(), []byte(first))
		if err != nil {
			if response != nil || c.Done([]byte(final)) == nil {
				t.Fatalf("%q was refused, and the exchange goes on", first)
			}
			return
		}
		if !strings.HasPrefix(first, "r="+v.cnonce) || !utf8.ValidString(first) || strings.ContainsAny(first, "\x00\r\n") {
			t.Fatalf("%q is taken", first)
		}
		attributes, err := scramAttributes(v.mechanism, response)
		if err != nil || !startsWith(attributes, "crp") || !strings.HasPrefix(first, "r="+attributes[1].value+",") {
			t.Fatalf("to %q the answer is %q", first, response)
		}
		if c.Done([]byte(final)) == nil && !strings.HasPrefix(final+",", "v="+encodeBase64(c.signature)+",") {
			t.Fatalf("after %q the server is proven by %q", first, final)
		}
	})
}

// FuzzSCRAMServer is a client that says what it likes.
func FuzzSCRAMServer(f *testing.F) {
	for _, v := range vectors {
		f.Add(v.client1, v.client2)
	}
	keys, err := NewStoredKeys(context.Background(), "SCRAM-SHA-1", NewSecret("pencil"), []byte("salt"), 4096)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, first, final string) {
		for _, mechanism := range []string{"SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"} {
			s, err := NewSCRAMServer(mechanism, Offer{}, Channel{Bindings: []Binding{exporter}})
			if err != nil {
				t.Fatal(err)
			}
			user, _, err := s.Start([]byte(first))
			if err != nil {
				continue
			}
			if prepared, err := Prepare(user); err != nil || prepared != user {
				t.Fatalf("%q has user %q", first, user)
			}
			step(t)(s.Challenge(keys))
			if last, err := s.Finish([]byte(final)); err == nil {
				t.Fatalf("%q, %q was proven: %q", first, final, last)
			}
		}
	})
}

// FuzzDigestMD5 is a server of DIGEST-MD5.
func FuzzDigestMD5(f *testing.F) {
	f.Add(imapChallenge, imapRspauth)
	f.Fuzz(func(t *testing.T, challenge, final string) {
		d := imap(t)
		response, err := d.Next(t.Context(), []byte(challenge))
		if err != nil {
			if response != nil || d.Done([]byte(final)) == nil {
				t.Fatalf("%q was refused, and the exchange goes on", challenge)
			}
			return
		}
		c, err := parseDigestChallenge([]byte(challenge))
		if err != nil {
			t.Fatal(err)
		}
		directives, err := digestDirectives(response)
		if errors.Is(err, ErrMalformed) && len(response) < maxDigest && c.utf8 {
			t.Fatalf("to %q the answer is %q: %v", challenge, response, err)
		}
		for _, got := range directives {
			if got.name == "nonce" && got.value != c.nonce && c.utf8 {
				t.Fatalf("nonce %q becomes %q", c.nonce, got.value)
			}
		}
		if d.Done([]byte(final)) == nil && !strings.Contains(final, d.rspauth) {
			t.Fatalf("%q proves the server", final)
		}
	})
}

// FuzzOAuthBearer is a server's refusal.
func FuzzOAuthBearer(f *testing.F) {
	f.Add([]byte(`{"status":"invalid_token","scope":"example_scope"}`))
	f.Fuzz(func(t *testing.T, challenge []byte) {
		m := begin(t, oauthBearer, Credentials{AccessToken: NewSecret("t")}, Binding{}, "n,,\x01auth=Bearer t\x01\x01")
		answer, err := m.Next(t.Context(), challenge)
		if err == nil && (string(answer) != "\x01" || Reason(m) == nil || m.Done(nil) == nil || len(Reason(m).Error()) > 1000) {
			t.Fatalf("%q: %q, %v", challenge, answer, Reason(m))
		}
	})
}

// FuzzToken is both ends of HT-*.
func FuzzToken(f *testing.F) {
	f.Add([]byte(hashed("Responder")), []byte("alice\x00"+hashed("Initiator")))
	f.Fuzz(func(t *testing.T, proof, message []byte) {
		m := begin(t, "HT-SHA-256-NONE", Credentials{Username: "alice", Token: NewSecret("t")}, Binding{}, "alice\x00"+hashed("Initiator"))
		if (m.Done(proof) == nil) != (string(proof) == hashed("Responder")) {
			t.Fatalf("%x", proof)
		}
		user, err := TokenUser(message)
		if _, ok := VerifyToken("HT-SHA-256-NONE", NewSecret("t"), Binding{}, message); ok && err == nil {
			if string(message) != user+"\x00"+hashed("Initiator") {
				t.Fatalf("%q", message)
			}
		}
	})
}

// FuzzPlain is a client's message of PLAIN.
func FuzzPlain(f *testing.F) {
	f.Add([]byte("\x00alice\x00pw"))
	f.Fuzz(func(t *testing.T, message []byte) {
		authzID, username, secret, err := ParsePlain(message)
		if err == nil && !bytes.Equal(message, []byte(authzID+"\x00"+username+"\x00"+secret.Reveal())) {
			t.Fatalf("%q", message)
		}
	})
}

// FuzzPrepare prepares once and for all, up to what Unicode 3.2 itself did not get right.
func FuzzPrepare(f *testing.F) {
	f.Add("\u2168\u00aa\u00ad")
	f.Add("e\U0001f600\u0301")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := Prepare(s)
		if err != nil {
			return
		}
		if !utf8.ValidString(p) || p == "" {
			t.Fatalf("%q becomes %q", s, p)
		}
		if again, err := Prepare(p); err != nil || again != p {
			t.Fatalf("%+q becomes %+q, and that %+q, %v", s, p, again, err)
		}
	})
}

// FuzzChoose never gives a password away, whatever is offered.
func FuzzChoose(f *testing.F) {
	f.Add("PLAIN SCRAM-SHA-1 SCRAM-SHA-1-PLUS", "tls-exporter", "HT-SHA-256-NONE", true, true)
	f.Add("PLAIN", "", "", false, true)
	f.Fuzz(func(t *testing.T, mechanisms, bindings, fast string, sasl2, secure bool) {
		offer := Offer{Mechanisms: strings.Fields(mechanisms), Bindings: strings.Fields(bindings), FAST: strings.Fields(fast)}
		if sasl2 {
			offer.Protocol = SASL2
		}
		channel := tls13
		if !secure {
			channel = insecure
		}
		c, err := Choose(offer, channel, with(password, func(c *Credentials) { c.Token, c.TokenFor = NewSecret("t"), "HT-SHA-256-EXPR" }), Policy{})
		if err != nil {
			if len(err.Error()) > 16<<10 {
				t.Fatalf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		_, scram := scramHashOf(c.Mechanism)
		switch {
		case !scram && !c.IsToken():
			t.Fatalf("%v", c)
		case scram && c.Flag == FlagYes && (offer.offersPlus() || len(offer.Bindings) > 0):
			t.Fatalf("%v although there is something to bind with", c)
		case scram && c.Flag == FlagNone && secure && !c.NeedHash:
			t.Fatalf("%v: a silent n", c)
		case isPlus(c.Mechanism) != (c.Flag == FlagPlus):
			t.Fatalf("%v", c)
		}
	})
}
