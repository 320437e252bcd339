package xmppserver

import (
	"crypto/rand"
	"encoding/base64"
	"errors"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

const (
	nsSASL2 = "urn:xmpp:sasl:2" // XEP-0388
	nsBind2 = "urn:xmpp:bind:0" // XEP-0386
)

// offerSASL2 is the stream feature of XEP-0388, with Bind 2 inside.
func (s *Server) offerSASL2(l *link) element {
	e := element{space: nsSASL2, local: "authentication"}
	for _, m := range s.mechanisms(l.claimed) {
		e.children = append(e.children, element{local: "mechanism", text: m})
	}
	inline := []element{{space: nsBind2, local: "bind"}}
	if s.cfg.FAST {
		inline = append(inline, s.offerFAST(l))
	}
	e.children = append(e.children, element{local: "inline", children: inline})
	if s.cfg.Upgrade && !s.upgraded(l.claimed) {
		e.children = append(e.children, element{space: nsUpgrade, local: "upgrade", text: upgradeTask})
	}
	return e
}

// authenticate2 carries out one attempt with SASL2. It returns nothing without an error where that failed and another may follow,
// and the session as well where the client bound a resource with it.
func (s *Server) authenticate2(l *link, lang string, auth xmltree.Element) (*account, *session, error) {
	user, last, more, err := s.exchange2(l, auth)
	var failure saslError
	if errors.As(err, &failure) {
		l.send([]byte("<failure xmlns='" + nsSASL2 + "'><" + string(failure) + " xmlns='" + nsSASL + "'/></failure>"))
		return nil, nil, l.flush()
	}
	if err != nil {
		return nil, nil, err
	}
	success := func(id jid.JID, inline ...element) []byte {
		e := element{space: nsSASL2, local: "success"}
		if last != "" {
			e.children = append(e.children, element{local: "additional-data", text: base64.StdEncoding.EncodeToString([]byte(last))})
		}
		e.children = append(append(append(e.children, inline...), more...), element{local: "authorization-identifier", text: id.String()})
		enc := xmltree.NewEncoder(nil, stanza.NS)
		enc.Element(e.tree())
		return append(enc.Bytes(), s.features(l, user)...)
	}
	bind, ok := auth.Child(nsBind2, "bind")
	if !ok {
		l.send(success(user.jid))
		return user, nil, l.flush()
	}
	name := rand.Text()[:8]
	if tag, ok := bind.Child(nsBind2, "tag"); ok {
		name = tag.Text() + "~" + name
	}
	ss, cond := s.attach(l, user, lang, name, func(full jid.JID) []byte { return success(full, element{space: nsBind2, local: "bound"}) })
	if cond != "" {
		return nil, nil, streamFailure(stanza.StreamResourceConstraint, "")
	}
	return user, ss, nil
}

// exchange2 returns who has signed in, what the mechanism still has to say, and what else goes into the success.
func (s *Server) exchange2(l *link, auth xmltree.Element) (user *account, last string, more []element, err error) {
	if !l.encrypted() {
		return nil, "", nil, saslError("encryption-required")
	}
	initial, there := auth.Child(nsSASL2, "initial-response")
	data, err := base64.StdEncoding.DecodeString(initial.Text())
	if err != nil {
		return nil, "", nil, saslError("incorrect-encoding")
	}
	mechanism := auth.Attr("mechanism")
	if _, ok := sasl.TokenBinding(mechanism); ok && s.cfg.FAST {
		user, last, more, err = s.byToken(l, mechanism, auth, data)
		return user, last, more, err
	}
	if user, last, err = s.prove(l, nsSASL2, mechanism, data, !there); err != nil {
		return nil, "", nil, err
	}
	if last, err = s.upgrade(l, user, auth, last); err != nil {
		return nil, "", nil, err
	}
	return user, last, s.requestedToken(user, auth), nil
}
