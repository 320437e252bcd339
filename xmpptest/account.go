package xmpptest

import "github.com/postern-im/postern/internal/xmppserver"

// SendTo sends XML to all sessions of an account as if the server had routed it, with whatever addresses: forged pushes, copies and
// results that a client must not believe.
func (s *Server) SendTo(user, xml string) { s.srv.SendTo(user, []byte(xml)) }

// Inactive reports whether a session has told the server that nobody uses it (XEP-0352).
func (s *Server) Inactive(user, resource string) bool { return s.srv.Inactive(user, resource) }

// WithRegistration lets anybody register an account, change its password and remove it (XEP-0077).
func WithRegistration() Option { return func(o *options) { o.cfg.Registration = true } }

// WithArchive has the server keep the messages of each account, and give them ids that last (XEP-0313, XEP-0359).
func WithArchive() Option { return func(o *options) { o.cfg.Archive = true } }

// WithPEP lets accounts publish at their own addresses (XEP-0163). With [Policy.NoPublishOptions] it is a service that heeds no options.
func WithPEP() Option { return func(o *options) { o.cfg.PEP = true } }

// Wrongs is what a server does wrong in signing clients in, or does more often than others.
type Wrongs = xmppserver.Wrongs

// SetWrongs has the server behave so from now on.
func (s *Server) SetWrongs(w Wrongs) { s.srv.SetWrongs(w) }
