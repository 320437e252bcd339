//go:build integration && linux

package client_test

import "testing"

// BenchmarkRealClients signs 200 clients in at Prosody, all of one account, since accounts are made one by one, and lets them idle.
func BenchmarkRealClients(b *testing.B) {
	e := realEnv(servers.Prosody(b))
	for b.Loop() {
		crowd(b, e, 200, func(int) string { return "test" }).report(b)
	}
}
