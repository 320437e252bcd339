//go:build integration && soak

package client_test

import (
	"testing"

	"github.com/postern-im/postern/servertest"
)

// TestRealSoak cuts connections at random, as often as POSTERN_SM_CUTS says. The servers keep no archive, so that what a lost session
// has not acknowledged waits for the next one.
func TestRealSoak(t *testing.T) {
	servertest.Each(t, func(t *testing.T, s *servertest.Server) { testSoak(t, realEnv(s)) }, servertest.WithoutArchive())
}
