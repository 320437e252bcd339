// Package servertest runs real servers for tests: Prosody 13 and ejabberd 24.12 with XMPP components (XEP-0114 v1.6) and
// accounts, and Postgres.
//
// A test asks for a server and has it for as long as it runs. Such a test belongs in a file with the build tag integration, so that
// `go test ./...` needs nothing but Go:
//
//	//go:build integration
//
//	func TestHandshake(t *testing.T) {
//		servertest.Each(t, func(t *testing.T, s *servertest.Server) {
//			link := dial(t, s.Gateway.Addr, s.Gateway.Domain, s.Gateway.Secret)
//			s.Kill(t)
//			...
//		})
//	}
//
// Each runs the same test behind both XMPP servers. A [Pool] shares servers between the tests of a package.
//
// # Where the servers come from
//
// The servers run in containers where a container engine answers, built from Debian packages by the Dockerfiles of this
// module; else as child processes, from the same packages installed on the machine (root on Debian 12 or newer, `make servers`).
// The environment variable POSTERN_SERVERS forces one of both: "containers" or "processes"; "auto" is the default. Where there is
// neither, the test fails and says how to get either: it is never skipped.
//
// Every server listens on free ports of 127.0.0.1 and keeps them, its data and its certificates over Stop, Kill, Start and Restart.
// It is gone when its test ends, and its log is attached to a test that failed. Where a test is killed, child processes end with it, and
// containers are removed by the next test. POSTERN_SERVERS_LOG=debug makes the servers' logs complete.
package servertest

import (
	"testing"
)

// Kind says which XMPP server a [Server] is.
type Kind string

// The XMPP servers.
const (
	KindProsody  Kind = "prosody"
	KindEjabberd Kind = "ejabberd"
)

// Prosody starts a Prosody 13 for one test. It is ready when Prosody returns.
func Prosody(t testing.TB, opts ...Option) *Server {
	t.Helper()
	return startFor(t, KindProsody, opts)
}

// Ejabberd starts an ejabberd 24.12 for one test. It is ready when Ejabberd returns.
func Ejabberd(t testing.TB, opts ...Option) *Server {
	t.Helper()
	return startFor(t, KindEjabberd, opts)
}

// Each runs f as the subtests "prosody" and "ejabberd", each with a server of its own that is started with opts.
func Each(t *testing.T, f func(t *testing.T, s *Server), opts ...Option) {
	t.Helper()
	for _, kind := range []Kind{KindProsody, KindEjabberd} {
		t.Run(string(kind), func(t *testing.T) {
			f(t, startFor(t, kind, opts))
		})
	}
}

func startFor(t testing.TB, kind Kind, opts []Option) *Server {
	t.Helper()
	s, err := newServer(t.Context(), kind, newConfig(opts))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.attachLog(t, 0)
		s.run.remove()
	})
	return s
}
