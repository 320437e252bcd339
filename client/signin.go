package client

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// final is an error that trying again does not cure.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// signIn proves who we are and returns the address that the server bound for us.
func (l *link) signIn(ctx context.Context) (jid.JID, error) {
	l.stage = StageSignIn
	cfg := &l.c.cfg
	offer := sasl.Offer{Protocol: sasl.SASL1, Mechanisms: l.features.Mechanisms, Bindings: l.features.Bindings}
	two := l.features.SASL2
	if cfg.NoSASL2 {
		two = nil
	}
	switch {
	case two != nil:
		offer.Protocol, offer.Mechanisms, offer.FAST, offer.Upgrades = sasl.SASL2, two.Mechanisms, two.FAST, two.Upgrades
	case len(offer.Mechanisms) == 0:
		return jid.JID{}, ErrNoSignIn
	}
	policy := cfg.Policy
	policy.Pinned = policy.Pinned || l.c.pinned.Load() // guard: SEC-43 replace: policy.Pinned || l.c.pinned.Load() => policy.Pinned
	choice, err := sasl.Choose(offer, l.channel, cfg.Credentials, policy)
	if err != nil {
		return jid.JID{}, final{err}
	}
	m, err := choice.New()
	if err != nil {
		return jid.JID{}, final{err}
	}
	var bound jid.JID
	if two != nil {
		bound, err = l.sasl2(ctx, m, two)
	} else {
		err = l.sasl1(ctx, m)
	}
	if err != nil {
		return jid.JID{}, err
	}
	if choice.Pins() {
		l.c.pinned.Store(true)
	}
	if bound.IsZero() {
		return l.bind()
	}
	return bound, nil
}

// sasl1 is RFC 6120 section 6, with the new stream behind it.
func (l *link) sasl1(ctx context.Context, m sasl.Mechanism) error {
	initial, err := m.Start()
	if err != nil {
		return final{err}
	}
	text := encode(initial)
	if initial != nil && text == "" { // a message of no bytes (section 6.4.2)
		text = "="
	}
	err = l.send(func(enc *xmltree.Encoder) {
		enc.Start(xml.Name{Space: nsSASL, Local: "auth"})
		enc.Attr("mechanism", m.Name())
		enc.Text(text)
		enc.End()
	})
	if err != nil {
		return err
	}
	el, err := l.exchange(ctx, m, nsSASL)
	if err != nil {
		return err
	}
	if err := done(m, el.Text(), el.Text() != ""); err != nil {
		return err
	}
	if len(l.p.Buffered()) > 0 { // guard: SEC-41
		return ErrInjected
	}
	return l.openStream()
}

// sasl2 is XEP-0388, with Bind 2 (XEP-0386) inside where the server has it. The address is zero if nothing was bound.
func (l *link) sasl2(ctx context.Context, m sasl.Mechanism, offer *SASL2Features) (jid.JID, error) {
	cfg := &l.c.cfg
	initial, err := m.Start()
	if err != nil {
		return jid.JID{}, final{err}
	}
	name := func(local string) xml.Name { return xml.Name{Space: nsSASL2, Local: local} }
	err = l.send(func(enc *xmltree.Encoder) {
		enc.Start(name("authenticate"))
		enc.Attr("mechanism", m.Name())
		if initial != nil {
			enc.TextElement(name("initial-response"), encode(initial))
		}
		if agent := cfg.UserAgent; agent != (UserAgent{}) {
			enc.Start(name("user-agent"))
			if agent.ID != "" {
				enc.Attr("id", agent.ID)
			}
			if agent.Software != "" {
				enc.TextElement(name("software"), agent.Software)
			}
			if agent.Device != "" {
				enc.TextElement(name("device"), agent.Device)
			}
			enc.End()
		}
		if offer.Bind2 {
			enc.Start(xml.Name{Space: nsBind2, Local: "bind"})
			if tag := cfg.JID.Resource(); tag != "" {
				enc.TextElement(xml.Name{Space: nsBind2, Local: "tag"}, tag)
			}
			enc.End()
		}
		enc.End()
	})
	if err != nil {
		return jid.JID{}, err
	}
	el, err := l.exchange(ctx, m, nsSASL2)
	if err != nil {
		return jid.JID{}, err
	}
	data, ok := el.Child(nsSASL2, "additional-data")
	if err := done(m, data.Text(), ok); err != nil {
		return jid.JID{}, err
	}
	id, _ := el.Child(nsSASL2, "authorization-identifier")
	account, err := l.own(id.Text())
	if err != nil {
		return jid.JID{}, err
	}
	if _, ok := el.Child(nsBind2, "bound"); ok && offer.Bind2 {
		if !account.IsFull() {
			return jid.JID{}, fmt.Errorf("%w: a bound address without a resource", ErrProtocol)
		}
		return account, nil // the features come when they come
	}
	el, err = l.element() // they follow without a new stream
	if err != nil {
		return jid.JID{}, err
	}
	if !isFeatures(el) {
		return jid.JID{}, fmt.Errorf("%w: %s in place of the features", ErrProtocol, el.Name().Local)
	}
	l.features = ParseFeatures(el)
	return jid.JID{}, nil
}

// exchange answers challenges until the server reports success, which it returns.
func (l *link) exchange(ctx context.Context, m sasl.Mechanism, space string) (xmltree.Element, error) {
	for {
		el, err := l.element()
		switch {
		case err != nil:
			return el, err
		case el.Is(space, "success"):
			return el, nil
		case el.Is(space, "failure"):
			return el, refusal(el, m)
		case el.Is(nsSASL2, "continue"):
			l.abort(space)
			return el, final{ErrTasks}
		case !el.Is(space, "challenge"):
			return el, fmt.Errorf("%w: %s within the sign-in", ErrProtocol, el.Name().Local)
		}
		challenge, err := decode(el.Text())
		var response []byte
		if err == nil {
			response, err = m.Next(ctx, challenge)
		}
		if err != nil {
			l.abort(space)
			if ctx.Err() != nil {
				return el, err
			}
			return el, final{err}
		}
		err = l.send(func(enc *xmltree.Encoder) {
			enc.TextElement(xml.Name{Space: space, Local: "response"}, encode(response))
		})
		if err != nil {
			return el, err
		}
	}
}

// abort tells the server that the exchange is over (RFC 6120 section 6.4.4).
func (l *link) abort(space string) {
	_ = l.send(func(enc *xmltree.Encoder) { // the stream ends now, whatever becomes of this
		enc.Start(xml.Name{Space: space, Local: "abort"})
		enc.End()
	})
}

// done takes what came with the server's success: its proof.
func done(m sasl.Mechanism, text string, there bool) error {
	var data []byte
	if there {
		var err error
		if data, err = decode(text); err != nil {
			return final{err}
		}
	}
	if err := m.Done(data); err != nil { // guard: SEC-47 replace: err != nil => false && err != nil
		return final{err}
	}
	return nil
}

// refusal reads a failure (RFC 6120 section 6.5). It is final unless its condition is temporary.
func refusal(el xmltree.Element, m sasl.Mechanism) error {
	e := &SignInError{Condition: sasl.NotAuthorized, Reason: sasl.Reason(m)}
	for c := range el.Children() {
		switch name := c.Name(); {
		case name.Local == "text":
			e.Text = strings.TrimSpace(c.Text())
		case name.Space == nsSASL:
			e.Condition = sasl.ParseCondition(name.Local)
		}
	}
	if e.Condition.Temporary() {
		return e
	}
	return final{e}
}

// bind binds a resource (RFC 6120 section 7), and opens a session where the server insists (RFC 3921 section 3).
func (l *link) bind() (jid.JID, error) {
	l.stage = StageBind
	if !l.features.Bind {
		return jid.JID{}, fmt.Errorf("%w: no resource can be bound", ErrProtocol)
	}
	reply, err := l.ask(func(enc *xmltree.Encoder) {
		enc.Start(xml.Name{Space: nsBind, Local: "bind"})
		if r := l.c.cfg.JID.Resource(); r != "" {
			enc.TextElement(xml.Name{Space: nsBind, Local: "resource"}, r)
		}
		enc.End()
	})
	if err != nil {
		return jid.JID{}, err
	}
	b, _ := reply.Child(nsBind, "bind")
	text, _ := b.Child(nsBind, "jid")
	bound, err := l.own(text.Text())
	switch {
	case err != nil:
		return jid.JID{}, err
	case !bound.IsFull():
		return jid.JID{}, fmt.Errorf("%w: a bound address without a resource", ErrProtocol)
	case l.features.Session && !l.features.SessionOptional:
		_, err = l.ask(func(enc *xmltree.Encoder) {
			enc.Start(xml.Name{Space: nsSession, Local: "session"})
			enc.End()
		})
	}
	return bound, err
}

// ask sends an IQ of type set and returns the result.
func (l *link) ask(payload func(enc *xmltree.Encoder)) (xmltree.Element, error) {
	id := newID()
	err := l.send(func(enc *xmltree.Encoder) {
		enc.Start(xml.Name{Space: stanza.NS, Local: "iq"})
		enc.Attr("type", "set")
		enc.Attr("id", id)
		payload(enc)
		enc.End()
	})
	if err != nil {
		return xmltree.Element{}, err
	}
	el, err := l.element()
	if err != nil {
		return el, err
	}
	st, err := stanza.Parse(el)
	iq, ok := st.(*stanza.IQ)
	switch {
	case err != nil || !ok || iq.ID != id || iq.IsRequest():
		return el, fmt.Errorf("%w: another stanza in place of the answer", ErrProtocol)
	case iq.Error != nil:
		return el, iq.Error
	}
	return el, nil
}

// own reads an address that the server says is ours. It must be of the account that was asked for, since a server was once tricked
// into signing in another (SEC-53). Who is anonymous gets any account of the domain.
func (l *link) own(text string) (jid.JID, error) {
	j, err := jid.ParseRouted(strings.TrimSpace(text))
	if err != nil {
		return jid.JID{}, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	want := l.c.cfg.JID
	same := j.Bare().RoutedAs(want.Bare())
	if l.c.cfg.Credentials.Anonymous {
		same = j.DomainJID().RoutedAs(want.DomainJID())
	}
	if !same { // guard: SEC-53
		return jid.JID{}, final{fmt.Errorf("%w: %q", ErrWrongJID, j)}
	}
	return j, nil
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// decode decodes what an element of SASL carries: base64, or "=" for a message of no bytes (RFC 6120 section 6.4.2).
func decode(text string) ([]byte, error) {
	text = strings.Join(strings.Fields(text), "")
	if text == "=" {
		return []byte{}, nil
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", sasl.ErrMalformed, err)
	}
	return b, nil
}
