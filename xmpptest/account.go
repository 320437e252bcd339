package xmpptest

// SendTo sends XML to all sessions of an account as if the server had routed it, with whatever addresses: forged pushes, copies and
// results that a client must not believe.
func (s *Server) SendTo(user, xml string) { s.srv.SendTo(user, []byte(xml)) }

// Inactive reports whether a session has told the server that nobody uses it (XEP-0352).
func (s *Server) Inactive(user, resource string) bool { return s.srv.Inactive(user, resource) }
