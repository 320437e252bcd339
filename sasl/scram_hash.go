package sasl

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // SCRAM-SHA-1 is made of it; HMAC-SHA-1 is not broken
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"fmt"
	"hash"
	"strings"
)

// Strength orders what proves a password. What is bound to the channel is a question of its own ([Policy.RequireBinding]).
type Strength uint8

// From weak to strong. The zero value is no minimum.
const (
	StrengthPlain       Strength = iota // PLAIN: the server sees the password
	StrengthDigestMD5                   // DIGEST-MD5, historic since RFC 6331
	StrengthSCRAMSHA1                   // RFC 5802
	StrengthSCRAMSHA256                 // RFC 7677
	StrengthSCRAMSHA512
)

// A scramHash is the hash function of a SCRAM mechanism.
type scramHash struct {
	name     string // as in the mechanism's name
	new      func() hash.Hash
	strength Strength
}

// scramHashes are those that we know, the strongest first.
func scramHashes() []scramHash {
	return []scramHash{
		{"SHA-512", sha512.New, StrengthSCRAMSHA512},
		{"SHA-256", sha256.New, StrengthSCRAMSHA256},
		{"SHA-1", sha1.New, StrengthSCRAMSHA1},
	}
}

// scramHashOf returns the hash of a SCRAM mechanism, with or without -PLUS.
func scramHashOf(mechanism string) (scramHash, bool) {
	n, ok := strings.CutPrefix(strings.TrimSuffix(mechanism, plusSuffix), scramPrefix)
	if !ok {
		return scramHash{}, false
	}
	for _, h := range scramHashes() {
		if h.name == n {
			return h, true
		}
	}
	return scramHash{}, false
}

// saltedPassword is Hi of RFC 5802 section 2.2. The context is looked at every few thousand iterations, about every millisecond.
func (h scramHash) saltedPassword(ctx context.Context, prepared string, salt []byte, iterations int) ([]byte, error) {
	mac := hmac.New(h.new, []byte(prepared))
	mac.Write(salt)
	mac.Write([]byte{0, 0, 0, 1})
	u := mac.Sum(nil)
	salted := append([]byte(nil), u...)
	for i := 1; i < iterations; i++ {
		if i%4096 == 0 && ctx.Err() != nil {
			clear(salted)
			return nil, fmt.Errorf("sasl: while hashing the password: %w", context.Cause(ctx))
		}
		mac.Reset()
		mac.Write(u)
		u = mac.Sum(u[:0])
		subtle.XORBytes(salted, salted, u)
	}
	return salted, nil
}

func (h scramHash) hmac(key []byte, message string) []byte {
	mac := hmac.New(h.new, key)
	mac.Write([]byte(message))
	return mac.Sum(nil)
}

func (h scramHash) sum(b []byte) []byte {
	d := h.new()
	d.Write(b)
	return d.Sum(nil)
}

// keys are what RFC 5802 section 3 derives from the salted password.
func (h scramHash) keys(salted []byte) (clientKey, storedKey, serverKey []byte) {
	clientKey = h.hmac(salted, "Client Key")
	return clientKey, h.sum(clientKey), h.hmac(salted, "Server Key")
}
