//go:build !integration

package outbox_test

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/storage"
)

// fewPoints is how many crash points the short run tries, others each time; the integration tests try all.
const fewPoints = 2

func wrapMain(m *testing.M) goleak.TestingM { return m }

// stores are the engines that a child knows.
func stores() map[string]func(context.Context, string) (storage.Store, error) {
	return map[string]func(context.Context, string) (storage.Store, error){"sqlite": openSQLite}
}
