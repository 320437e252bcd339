//go:build !integration

package main

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/internal/usertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEchobot(t *testing.T) { usertest.InProcess(t, testBot) }

func TestNoAccount(t *testing.T) {
	for name, account := range map[string]string{"none": "", "no account": "example.org", "no address": "@"} {
		t.Run(name, func(t *testing.T) {
			if err := run(t.Context(), account, "beep"); err == nil || !strings.Contains(err.Error(), "jid") && !strings.Contains(err.Error(), "account") {
				t.Errorf("error %v", err)
			}
		})
	}
}
