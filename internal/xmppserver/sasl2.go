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

// offerSASL2 is the stream feature of XEP-0388, with Bind 2 and stream management inside.
func (s *Server) offerSASL2(l *link) element {
	e := element{space: nsSASL2, local: "authentication"}
	for _, m := range s.mechanisms(l.claimed) {
		e.children = append(e.children, element{local: "mechanism", text: m})
	}
	inline := element{local: "inline"}
	if s.cfg.StreamManagement {
		inline.children = []element{{space: nsSM, local: "sm"}}
	}
	inline.children = append(inline.children, s.offerBind2())
	if s.cfg.FAST {
		inline.children = append(inline.children, s.offerFAST(l))
	}
	e.children = append(e.children, inline)
	if s.cfg.Upgrade && !s.upgraded(l.claimed) {
		e.children = append(e.children, element{space: nsUpgrade, local: "upgrade", text: upgradeTask})
	}
	return e
}

// offerBind2 is the feature of XEP-0386, with what may be enabled along with it.
func (s *Server) offerBind2() element {
	features := []string{nsCarbons}
	if s.policy.BindStates {
		features = append(features, nsCSI)
	}
	if s.cfg.StreamManagement {
		features = append(features, nsSM)
	}
	inline := element{local: "inline"}
	for _, f := range features {
		inline.children = append(inline.children, element{local: "feature", attrs: []string{"var", f}})
	}
	return element{space: nsBind2, local: "bind", children: []element{inline}}
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
		return enc.Bytes()
	}
	var failed []element
	if el, ok := auth.Child(nsSM, "resume"); ok && s.cfg.StreamManagement {
		ss, refused := s.resume(l, user, el, func(ss *session, resumed element) []byte { return success(ss.jid, resumed) })
		if ss != nil {
			return user, ss, nil
		}
		failed = append(failed, refused)
	}
	bind, ok := auth.Child(nsBind2, "bind")
	if !ok {
		l.send(append(success(user.jid, failed...), s.features(l, user)...))
		return user, nil, l.flush()
	}
	name := rand.Text()[:8]
	if tag, ok := bind.Child(nsBind2, "tag"); ok {
		name = tag.Text() + "~" + name
	}
	bound := element{space: nsBind2, local: "bound"}
	var m *managed
	if _, ok := bind.Child(nsSM, "enable"); ok && s.cfg.StreamManagement {
		var enabled element
		m, enabled = s.newManaged()
		bound.children = []element{enabled}
	}
	begin := func(ss *session) {
		ss.sm = m
		_, ss.carbons = bind.Child(nsCarbons, "enable")
		_, inactive := bind.Child(nsCSI, "inactive")
		ss.inactive = inactive && s.policy.BindStates
	}
	ss, cond := s.attach(l, user, lang, name, begin, func(full jid.JID) []byte {
		return append(success(full, append(failed, bound)...), s.features(l, user)...)
	})
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
