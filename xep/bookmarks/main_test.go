//go:build !integration

package bookmarks_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/internal/usertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestInProcessServer(t *testing.T) { usertest.InProcess(t, runBehaviours) }
