package xmppserver

import (
	"crypto/rand"
	"errors"
	"io"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// Namespaces of stream negotiation.
const (
	nsTLS  = "urn:ietf:params:xml:ns:xmpp-tls"  // RFC 6120 section 5
	nsSASL = "urn:ietf:params:xml:ns:xmpp-sasl" // RFC 6120 section 6
	nsBind = "urn:ietf:params:xml:ns:xmpp-bind" // RFC 6120 section 7

	nsStanzas = "urn:ietf:params:xml:ns:xmpp-stanzas" // RFC 6120 section 8.3.2
)

// maxLogins is how often a client may try to authenticate on one connection (RFC 6120 section 6.4.5).
const maxLogins = 3

// serveClient serves one connection of a client to its end (RFC 6120 section 4.3).
func (s *Server) serveClient(l *link) error {
	ss, err := s.login(l)
	if err != nil {
		return l.refuse(err, *streamFailure(stanza.StreamPolicyViolation, ""))
	}
	err = l.refuse(s.clientStanzas(ss, l), *streamFailure(stanza.StreamPolicyViolation, "stanza too big"))
	s.leave(ss, l)
	return err
}

// login negotiates the stream: TLS, authentication, resource.
func (s *Server) login(l *link) (*session, error) {
	var user *account
	for failed := 0; ; {
		lang, err := s.clientHeader(l)
		if err != nil {
			return nil, err
		}
		l.send(s.features(l, user))
		if err := l.flush(); err != nil {
			return nil, err
		}
		for restart := false; !restart; {
			el, err := l.elementOrEnd()
			if errors.Is(err, errEnded) {
				l.end([]byte(streamEnd))
			}
			if err != nil {
				return nil, err
			}
			if restarts := el.Is(nsTLS, "starttls") || el.Is(nsSASL, "auth"); restarts && len(l.parser.Buffered()) > 0 {
				// What was sent in the clear must not be taken for later (RFC 6120 section 5.4.3.3).
				return nil, streamFailure(stanza.StreamPolicyViolation, "data behind "+el.Name().Local)
			}
			switch {
			case el.Is(nsTLS, "starttls") && !l.encrypted():
				l.send([]byte("<proceed xmlns='" + nsTLS + "'/>"))
				if err := l.flush(); err != nil {
					return nil, err
				}
				if err := l.startTLS(s.certs.config()); err != nil {
					return nil, err
				}
				restart = true
			case el.Is(nsSASL, "auth") && user == nil:
				if user, err = s.authenticate(l, el.Clone()); err != nil {
					return nil, err
				}
				if restart = user != nil; !restart {
					if failed++; failed >= maxLogins {
						return nil, streamFailure(stanza.StreamPolicyViolation, "too many failed logins")
					}
				}
			case el.Is(nsSASL2, "authenticate") && user == nil && s.cfg.SASL2:
				var ss *session
				if user, ss, err = s.authenticate2(l, lang, el.Clone()); ss != nil || err != nil {
					return ss, err
				}
				if user == nil {
					if failed++; failed >= maxLogins {
						return nil, streamFailure(stanza.StreamPolicyViolation, "too many failed logins")
					}
				}
			case user == nil && el.Is(stanza.NS, "iq"):
				known, err := s.registration(l, el.Clone())
				if err != nil {
					return nil, err
				}
				if !known {
					return nil, streamFailure(stanza.StreamNotAuthorized, "")
				}
			case user != nil && el.Is(nsSM, "resume") && s.cfg.StreamManagement:
				ss, failed := s.resume(l, user, el.Clone(), func(_ *session, resumed element) []byte { return encoded(resumed) })
				if ss != nil {
					return ss, nil
				}
				l.send(encoded(failed))
				if err := l.flush(); err != nil {
					return nil, err
				}
			case user != nil:
				ss, err := s.bind(l, user, lang, el.Clone())
				if ss != nil || err != nil {
					return ss, err
				}
			default:
				return nil, streamFailure(stanza.StreamNotAuthorized, "")
			}
		}
	}
}

// clientHeader reads the stream header and answers it (RFC 6120 section 4.7).
func (s *Server) clientHeader(l *link) (lang string, err error) {
	limits := loginLimits()
	l.open(StreamClient, NSClient, limits)
	el, ns, err := l.readHeader()
	if isNetwork(err) || errors.Is(err, io.EOF) || errors.Is(err, errEnded) {
		return "", err
	}
	l.send(header(NSClient, rand.Text(), s.domain.Domain(), "en", "1.0"))
	if err != nil {
		return "", err
	}
	lang, _ = el.LookupAttr(xmltree.Lang)
	l.claimed = nil
	if from, err := jid.Parse(el.Attr("from")); err == nil && from.DomainJID() == s.domain {
		l.claimed = s.user(from.Local())
	}
	to, badTo := parseDomain(el.Attr("to"))
	switch {
	case ns != NSClient:
		return "", streamFailure(stanza.StreamInvalidNamespace, "")
	case badTo != nil || to != s.domain:
		return "", streamFailure(stanza.StreamHostUnknown, "This server does not serve "+el.Attr("to"))
	case el.Attr("version") != "1.0":
		return "", streamFailure(stanza.StreamUnsupportedVersion, "")
	}
	return lang, nil
}

// features returns what the client may do next (RFC 6120 section 4.3.2).
func (s *Server) features(l *link, user *account) []byte {
	enc := xmltree.NewEncoder([]byte("<stream:features>"), stanza.NSStream)
	add := func(e element) {
		enc.Start(e.PayloadName())
		e.EncodeXML(enc)
		enc.End()
	}
	switch {
	case !l.encrypted():
		add(element{space: nsTLS, local: "starttls", children: []element{{local: "required"}}})
	case user == nil:
		e := element{space: nsSASL, local: "mechanisms"}
		for _, m := range s.mechanisms(l.claimed) {
			e.children = append(e.children, element{local: "mechanism", text: m})
		}
		add(e)
		if s.cfg.Binding {
			add(s.offerBindings(l))
		}
		if s.cfg.SASL2 {
			add(s.offerSASL2(l))
		}
		if s.cfg.Registration {
			add(element{space: "http://jabber.org/features/iq-register", local: "register"})
		}
	default:
		add(element{space: nsBind, local: "bind"})
		add(element{space: nsSession, local: "session", children: []element{{local: "optional"}}})
		add(element{space: "urn:xmpp:features:rosterver", local: "ver"})
		add(element{space: nsCSI, local: "csi"})
		if s.cfg.StreamManagement {
			add(element{space: nsSM, local: "sm"})
		}
	}
	return append(enc.Bytes(), "</stream:features>"...)
}

// clientStanzas takes what the client sends until the stream ends.
func (s *Server) clientStanzas(ss *session, l *link) error {
	for {
		el, err := l.elementOrEnd()
		switch {
		case errors.Is(err, errEnded):
			l.end([]byte(streamEnd))
			return nil
		case err != nil:
			return err
		case l.isEnding():
			continue
		}
		manage := el.Name().Space == nsSM && s.cfg.StreamManagement
		own, err := ss.take(l, el.Name().Space == stanza.NS, func() error {
			if manage {
				return s.manage(ss, el.Clone())
			}
			return s.fromClient(ss, el.Clone())
		})
		if !own || err != nil {
			return err
		}
	}
}
