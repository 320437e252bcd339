package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/sasl"
)

// config returns how somebody signs in.
func config(t *testing.T, s usertest.Server) client.Config {
	t.Helper()
	return client.Config{
		JID: s.Account(t, "me").JID, Credentials: sasl.Credentials{Password: sasl.NewSecret("secret")}, Addr: s.Addr, TLS: s.TLS,
	}
}

// said returns what the program writes.
func said(t *testing.T, cfg client.Config) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out bytes.Buffer
	err := run(ctx, &out, cfg)
	return out.String(), err
}

// testWrong has a password that is none.
func testWrong(t *testing.T, s usertest.Server) {
	cfg := config(t, s)
	cfg.Credentials.Password = sasl.NewSecret("another")
	if out, err := said(t, cfg); !errors.Is(err, sasl.NotAuthorized) || out != "" {
		t.Errorf("%v, said %q", err, out)
	}
}

func contains(t *testing.T, out string, all ...string) {
	t.Helper()
	for _, text := range all {
		if !strings.Contains(out, text) {
			t.Errorf("no %q in:\n%s", text, out)
		}
	}
}
