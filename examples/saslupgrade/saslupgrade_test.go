package main

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/sasl"
)

// config returns how somebody signs in who has an account for this alone.
func config(t *testing.T, s usertest.Server) client.Config {
	t.Helper()
	return client.Config{
		JID: s.Account(t, "me").JID, Credentials: sasl.Credentials{Password: sasl.NewSecret("secret")}, Addr: s.Addr, TLS: s.TLS,
		Backoff: client.Backoff{Min: 10 * time.Millisecond},
	}
}

// says holds what the program writes against the lines that it should, of which it adds the account.
func says(t *testing.T, cfg client.Config, fails error, lines ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out bytes.Buffer
	err := run(ctx, &out, cfg)
	var want bytes.Buffer
	for _, line := range lines {
		want.WriteString(string(bytes.ReplaceAll([]byte(line), []byte("ME"), []byte(cfg.JID.BareString()))) + "\n")
	}
	if !errors.Is(err, fails) || out.String() != want.String() {
		t.Errorf("%v, and said:\n%s, not:\n%s", err, out.String(), want.String())
	}
}

// testWrong has a password that is none.
func testWrong(t *testing.T, s usertest.Server) {
	cfg := config(t, s)
	cfg.Credentials.Password = sasl.NewSecret("another")
	says(t, cfg, sasl.NotAuthorized)
}
