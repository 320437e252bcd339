package client

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// final is an error that trying again does not cure.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// attempt is one exchange of a sign-in.
type attempt struct {
	choice sasl.Choice
	m      sasl.Mechanism
	offer  *SASL2Features // what the server has of SASL2; nil with SASL1

	count      int      // of the token that signs in
	invalidate bool     // the token shall be worthless afterwards
	wantsToken string   // the mechanism for which a token is asked for, "" for none
	tasks      []string // upgrades that we offer to do
	upgraded   []string // of these, those that were done
	proven     bool     // the mechanism has come to its end, Done included
	success    xmltree.Element
}

// errToken ends a try whose token the server refused. What else proves the account is tried at once, on a new connection: Prosody 13
// computes the hash of its offer (XEP-0474) wrongly for whatever follows a token on the same one.
var errToken = errors.New("client: the server refuses the token")

// signIn proves who we are and returns the address that the server bound for us.
func (l *link) signIn(ctx context.Context) (jid.JID, error) {
	l.stage = StageSignIn
	offered := l.features
	a := l.early
	sent := a != nil
	if !sent {
		var err error
		if a, err = l.attempt(ctx, l.features); err != nil {
			return jid.JID{}, err
		}
	}
	bound, err := l.perform(ctx, a, sent)
	var refused *SignInError
	switch {
	case err == nil:
		l.c.known = offered.SASL2
		l.report(a, sent, offered)
		return l.signedIn(ctx, a, bound)
	case !a.choice.IsToken() || !errors.As(err, &refused): // guard: SEC-54 replace: !errors.As(err, &refused) => false
		return jid.JID{}, err
	}
	l.dropToken(ctx, a)
	if l.c.leaving { // which is what it was about
		return jid.JID{}, nil
	}
	return jid.JID{}, fmt.Errorf("%w: %w", errToken, refused)
}

// attempt decides how to sign in with what a server offers.
func (l *link) attempt(ctx context.Context, f Features) (*attempt, error) {
	cfg := &l.c.cfg
	offer := sasl.Offer{Protocol: sasl.SASL1, Mechanisms: f.Mechanisms, Bindings: f.Bindings}
	a := &attempt{offer: f.SASL2, invalidate: l.c.leaving}
	if cfg.NoSASL2 {
		a.offer = nil
	}
	switch two := a.offer; {
	case two != nil:
		offer.Protocol, offer.Mechanisms, offer.FAST, offer.Upgrades = sasl.SASL2, two.Mechanisms, two.FAST, two.Upgrades
	case len(offer.Mechanisms) == 0:
		return nil, ErrNoSignIn
	}
	policy := cfg.Policy
	policy.Pinned = policy.Pinned || l.c.pinned.Load() // guard: SEC-43 replace: policy.Pinned || l.c.pinned.Load() => policy.Pinned
	policy.IgnoreBinding = policy.IgnoreBinding || l.unbindable(offer)
	choice, err := sasl.Choose(offer, l.channel, l.credentials(), policy)
	if err == nil && choice.IsToken() {
		if a.count, err = l.count(ctx); err != nil {
			l.noToken = true
			choice, err = sasl.Choose(offer, l.channel, l.credentials(), policy)
		}
	}
	if err != nil {
		return nil, final{err}
	}
	if l.c.leaving && !choice.IsToken() {
		return nil, ErrNoSignIn
	}
	a.choice = choice
	if a.m, err = choice.New(); err != nil {
		return nil, final{err}
	}
	if cfg.tokens() && !choice.IsToken() {
		a.wantsToken = sasl.ChooseToken(offer, l.channel, policy)
	}
	if cfg.Upgrade && !l.c.noUpgrade {
		a.tasks = choice.UpgradeTasks()
	}
	return a, nil
}

// perform carries an attempt out, the beginning of which may have been sent already.
func (l *link) perform(ctx context.Context, a *attempt, sent bool) (jid.JID, error) {
	if a.offer == nil {
		return jid.JID{}, l.sasl1(ctx, a)
	}
	if !sent {
		b, err := l.authenticate(a)
		if err == nil {
			err = l.write(b)
		}
		if err != nil {
			return jid.JID{}, err
		}
	}
	return l.sasl2(ctx, a)
}

// signedIn keeps what there is to be remembered, and binds a resource unless that is done.
func (l *link) signedIn(ctx context.Context, a *attempt, bound jid.JID) (jid.JID, error) {
	m := l.memo
	if a.choice.Pins() {
		l.c.pinned.Store(true)
		m.Pinned = true
	}
	if a.offer != nil {
		m = a.takeToken(m, l.c.cfg.UserAgent.ID, a.success)
	}
	_ = l.remember(ctx, m) // logged
	if !bound.IsZero() {   // what it takes from who is signed in it says with its next features
		l.features.MaxBytes, l.features.Idle = 0, 0
	}
	switch {
	case l.c.leaving:
		return jid.JID{}, l.write([]byte(xmlstream.Close))
	case bound.IsZero():
		var err error
		if bound, err = l.resume(); err == nil && bound.IsZero() {
			bound, err = l.bind()
		}
		if err != nil {
			return jid.JID{}, err
		}
	}
	if !l.resumed {
		l.manage(bound)
	}
	return bound, nil
}

// sasl1 is RFC 6120 section 6, with the new stream behind it.
func (l *link) sasl1(ctx context.Context, a *attempt) error {
	m := a.m
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
	el, err := l.exchange(ctx, a, nsSASL)
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

// exchange answers challenges until the server reports success, which it returns.
func (l *link) exchange(ctx context.Context, a *attempt, space string) (xmltree.Element, error) {
	m := a.m
	for {
		el, err := l.element()
		switch {
		case err != nil:
			return el, err
		case el.Is(space, "success"):
			return el, nil
		case el.Is(space, "failure"):
			return el, refusal(el, m)
		case el.Is(nsSASL2, "continue") && a.offer != nil:
			return l.upgrade(ctx, a, el)
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
	el, iq, err := l.reply(id)
	if err == nil && iq.Error != nil {
		err = iq.Error
	}
	return el, err
}

// reply reads the answer to an IQ.
func (l *link) reply(id string) (xmltree.Element, *stanza.IQ, error) {
	el, err := l.element()
	if err != nil {
		return el, nil, err
	}
	st, err := stanza.Parse(el)
	iq, ok := st.(*stanza.IQ)
	if err != nil || !ok || iq.ID != id || iq.IsRequest() {
		return el, nil, fmt.Errorf("%w: another stanza in place of the answer", ErrProtocol)
	}
	return el, iq, nil
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
