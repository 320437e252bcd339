//go:build integration && soak

package client_test

import "testing"

// TestRealSoak cuts connections to Prosody at random, as often as POSTERN_SM_CUTS says. Behind ejabberd nothing was lost or doubled
// either, but messages were seen to come in another order after a resumption.
func TestRealSoak(t *testing.T) { testSoak(t, realEnv(servers.Prosody(t))) }
