package servertest

import (
	"crypto/tls"
	"regexp"
	"testing"
)

// Certificate returns what the account test signs in with at [Server.CertificateHost].
func (s *Server) Certificate(t testing.TB) tls.Certificate {
	t.Helper()
	pem, err := s.run.file("certs/client.pem")
	if err == nil {
		var c tls.Certificate
		if c, err = tls.X509KeyPair(pem, pem); err == nil {
			return c
		}
	}
	t.Fatalf("servertest: %s: the client's certificate: %v", s.Kind, err)
	return tls.Certificate{}
}

// AccessToken returns a token of an account, a localpart at [Server.Host] or "user@host", that is good for an hour. Prosody takes it with OAUTHBEARER, and
// ejabberd with X-OAUTH2 if its configuration says so.
func (s *Server) AccessToken(t testing.TB, user string) string {
	t.Helper()
	out, err := s.run.exec(t.Context(), "token", user)
	m := regexp.MustCompile(`(secret-token:[A-Za-z0-9+/=_-]+|"token":"([^"]+)")`).FindStringSubmatch(out)
	if err != nil || m == nil {
		t.Fatalf("servertest: %s: a token for %s: %v\n%s", s.Kind, user, err, out)
	}
	if m[2] != "" {
		return m[2]
	}
	return m[1]
}
