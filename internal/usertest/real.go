package usertest

import "github.com/postern-im/postern/servertest"

// Real returns a real server.
func Real(s *servertest.Server) Server {
	return Server{Host: s.Host, Addr: s.C2S, TLS: s.TLSConfig(), Add: s.Register}
}
