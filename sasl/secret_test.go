package sasl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// hidden is long and odd enough to be found wherever it leaks.
const hidden = "s3cr3t-Correct-Horse"

// leaks returns the ways of printing v that show the secret, plain or as numbers.
func leaks(v any) []string {
	type private struct{ field any }
	type inside struct{ Field any }
	out := make(map[string]string)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		out[verb] = fmt.Sprintf(verb, v)
		out["private "+verb] = fmt.Sprintf(verb, private{v})
		out["inside "+verb] = fmt.Sprintf(verb, &inside{v})
	}
	b, err := json.Marshal(inside{v})
	out["json"] = fmt.Sprint(string(b), err)
	var text bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("m", "v", v)
	slog.New(slog.NewJSONHandler(&text, nil)).Info("m", "v", v, "in", inside{v})
	out["slog"] = text.String()
	core, logs := observer.New(zapcore.DebugLevel)
	zap.New(core).Info("m", zap.Any("v", v), zap.Reflect("r", v))
	encoded, _ := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()).EncodeEntry(logs.All()[0].Entry, logs.All()[0].Context)
	out["zap"] = encoded.String()

	var found []string
	for way, s := range out {
		for _, form := range []string{hidden, fmt.Sprintf("%x", hidden), fmt.Sprintf("%X", hidden), strings.Trim(fmt.Sprint([]byte(hidden)), "[]")} {
			if strings.Contains(s, form) {
				found = append(found, way+": "+s)
			}
		}
	}
	return found
}

// TestNothingPrintsSecrets tries every way of printing on everything that holds one.
func TestNothingPrintsSecrets(t *testing.T) {
	credentials := Credentials{
		Username: "alice", Domain: "example.org", Password: NewSecret(hidden), Token: NewSecret(hidden), TokenFor: "HT-SHA-256-NONE",
		AccessToken: NewSecret(hidden), Certificate: true,
	}
	cache := NewKeyCache(0)
	cache.put("SHA-1", hidden, []byte("salt"), 4096, []byte(hidden))
	values := map[string]any{
		"secret": NewSecret(hidden), "credentials": credentials, "pointer": &credentials,
		"stored keys": StoredKeys{Salt: []byte("salt"), StoredKey: NewSecret(hidden), ServerKey: NewSecret(hidden)},
		"cache":       cache, "policy": Policy{Cache: cache},
	}
	for _, m := range []string{"SCRAM-SHA-1", "PLAIN", "DIGEST-MD5", "OAUTHBEARER", "X-OAUTH2", "HT-SHA-256-NONE", "EXTERNAL"} {
		choice := Choice{Mechanism: m, credentials: credentials, policy: Policy{Cache: cache}}
		mechanism, err := choice.New()
		if err != nil {
			t.Fatal(err)
		}
		if c, ok := unwrap(mechanism).(*scramClient); ok {
			c.salted, c.signature = []byte(hidden), []byte(hidden)
		}
		values["choice "+m], values[m] = choice, mechanism
	}
	for name, v := range values {
		for _, leak := range leaks(v) {
			t.Errorf("%s: %s", name, leak)
		}
	}
	if NewSecret(hidden).Reveal() != hidden || !NewSecret("").IsZero() || (Secret{}).Reveal() != "" {
		t.Error("a secret is not what it was made of")
	}
}

// TestComparisonsTakeConstantTime holds all files to it: what is secret is compared by crypto/subtle. Each comparison there is
// one of a row's guards.
func TestComparisonsTakeConstantTime(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	used := 0
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range []string{"bytes.Equal", "bytes.Compare", "reflect.DeepEqual", "slices.Equal", "== string(", "!= string("} {
			if strings.Contains(string(text), other) {
				t.Errorf("%s compares with %s", f, other)
			}
		}
		used += strings.Count(string(text), "subtle.ConstantTimeCompare(")
	}
	if used < 7 {
		t.Errorf("%d comparisons in constant time", used)
	}
}
