package stanza

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/postern-im/postern/xmltree"
)

// payloads returns the children of el that are payloads. Where there are any, or an error, tree is made to own el's content, so
// that strings of its elements may be kept; else tree stays empty, and the few texts are cheaper cloned one by one.
func payloads(tree *xmltree.Tree, el xmltree.Element, kind Kind, failed bool) (ps []Payload, copied bool) {
	n := 0
	for c := range el.Children() {
		if !isCore(c, kind, failed) {
			n++
		}
	}
	if n == 0 && !failed {
		return nil, false
	}
	tree.CopyContent(el)
	if n == 0 {
		return nil, true
	}
	els := make([]xmltree.Element, 0, n) // one array for all, so that an interface holding a pointer to each costs nothing more
	ps = make([]Payload, 0, n)
	for c := range tree.Roots() {
		if !isCore(c, kind, failed) {
			els = append(els, c)
			ps = append(ps, &els[len(els)-1])
		}
	}
	return ps, true
}

// keeper returns the strings of an element for keeping: as they are where the element owns its memory.
type keeper struct{ owned bool }

func (k keeper) keep(s string) string {
	if k.owned {
		return s
	}
	return strings.Clone(s)
}

// receivedMessage is a message together with what its parts point to.
type receivedMessage struct {
	Message
	tree xmltree.Tree
	body [1]Localized

	threaded bool
}

func parseMessage(el xmltree.Element) (Stanza, error) {
	m := new(receivedMessage)
	typ, err := m.Header.parse(el, KindMessage)
	if err != nil {
		return nil, err
	}
	switch MessageType(typ) {
	case MessageChat:
		m.Type = MessageChat
	case MessageGroupchat:
		m.Type = MessageGroupchat
	case MessageHeadline:
		m.Type = MessageHeadline
	case MessageError:
		m.Type = MessageError
	default: // RFC 6121 section 5.2.2
		m.Type = MessageNormal
	}
	failed := m.Type == MessageError
	var copied bool
	if m.Payloads, copied = payloads(&m.tree, el, KindMessage, failed); copied {
		m.size = m.tree.Size()
		for c := range m.tree.Roots() {
			m.core(c, keeper{true}, failed)
		}
	} else {
		for c := range el.Children() {
			m.core(c, keeper{}, failed)
		}
	}
	if failed && m.Error == nil {
		m.Error = &Error{Condition: UndefinedCondition, Type: ErrorCancel}
	}
	return &m.Message, nil
}

// core takes an element of RFC 6121.
func (m *receivedMessage) core(c xmltree.Element, k keeper, failed bool) {
	if !isCore(c, KindMessage, failed) {
		return
	}
	switch c.Name().Local {
	case "body":
		m.size += m.Body.add(c, k, &m.body)
	case "subject":
		m.size += m.Subject.add(c, k, nil)
	case "thread":
		if m.threaded {
			return
		}
		m.threaded = true
		m.Thread = Thread{ID: k.keep(c.Text()), Parent: k.keep(c.Attr("parent"))}
		if !k.owned {
			m.size += len(m.Thread.ID) + len(m.Thread.Parent)
		}
	case "error":
		if m.Error == nil {
			m.Error = parseError(c)
		}
	}
}

// receivedPresence is a presence together with what its parts point to.
type receivedPresence struct {
	Presence
	tree   xmltree.Tree
	status [1]Localized

	shown, ranked bool
}

func parsePresence(el xmltree.Element) (Stanza, error) {
	p := new(receivedPresence)
	typ, err := p.Header.parse(el, KindPresence)
	if err != nil {
		return nil, err
	}
	switch PresenceType(typ) {
	case PresenceAvailable:
	case PresenceUnavailable:
		p.Type = PresenceUnavailable
	case PresenceSubscribe:
		p.Type = PresenceSubscribe
	case PresenceSubscribed:
		p.Type = PresenceSubscribed
	case PresenceUnsubscribe:
		p.Type = PresenceUnsubscribe
	case PresenceUnsubscribed:
		p.Type = PresenceUnsubscribed
	case PresenceProbe:
		p.Type = PresenceProbe
	case PresenceError:
		p.Type = PresenceError
	default: // RFC 6121 section 4.7.1 defines no default for an unknown type
		return nil, &ParseError{
			Head: p.Header, Kind: KindPresence, Type: strings.Clone(typ), Cause: &Error{Condition: BadRequest},
			Msg: fmt.Sprintf("presence of unknown type %q", typ),
		}
	}
	failed := p.Type == PresenceError
	var copied bool
	if p.Payloads, copied = payloads(&p.tree, el, KindPresence, failed); copied {
		p.size = p.tree.Size()
		for c := range p.tree.Roots() {
			p.core(c, keeper{true}, failed)
		}
	} else {
		for c := range el.Children() {
			p.core(c, keeper{}, failed)
		}
	}
	if failed && p.Error == nil {
		p.Error = &Error{Condition: UndefinedCondition, Type: ErrorCancel}
	}
	return &p.Presence, nil
}

// core takes an element of RFC 6121.
func (p *receivedPresence) core(c xmltree.Element, k keeper, failed bool) {
	if !isCore(c, KindPresence, failed) {
		return
	}
	switch c.Name().Local {
	case "show":
		if p.shown {
			return
		}
		p.shown = true
		switch s := Show(c.Text()); s {
		case ShowAway:
			p.Show = ShowAway
		case ShowChat:
			p.Show = ShowChat
		case ShowDND:
			p.Show = ShowDND
		case ShowXA:
			p.Show = ShowXA
		}
	case "status":
		p.size += p.Status.add(c, k, &p.status)
	case "priority":
		if p.ranked {
			return
		}
		p.ranked = true
		if n, err := strconv.ParseInt(strings.TrimSpace(c.Text()), 10, 8); err == nil {
			p.Priority = int8(n)
		}
	case "error":
		if p.Error == nil {
			p.Error = parseError(c)
		}
	}
}

// receivedIQ is an IQ together with what its parts point to.
type receivedIQ struct {
	IQ
	tree xmltree.Tree
	el   xmltree.Element
}

func parseIQ(el xmltree.Element) (Stanza, error) {
	iq := new(receivedIQ)
	typ, err := iq.Header.parse(el, KindIQ)
	if err != nil {
		return nil, err
	}
	refuse := func(msg string) (Stanza, error) {
		return nil, &ParseError{Head: iq.Header, Kind: KindIQ, Type: strings.Clone(typ), Cause: NewError(BadRequest, msg), Msg: msg}
	}
	switch IQType(typ) {
	case IQGet:
		iq.Type = IQGet
	case IQSet:
		iq.Type = IQSet
	case IQResult:
		iq.Type = IQResult
	case IQError:
		iq.Type = IQError
	default:
		return refuse("an IQ must be of type get, set, result or error")
	}
	iq.tree.CopyContent(el)
	iq.size = iq.tree.Size()
	n := 0
	for c := range iq.tree.Roots() {
		if iq.Type == IQError && c.Is(NS, "error") {
			if iq.Error == nil {
				iq.Error = parseError(c)
			}
			continue
		}
		if n++; n == 1 {
			iq.el = c
			iq.Payload = &iq.el
		}
	}
	switch {
	case iq.IsRequest() && iq.ID == "":
		return refuse("an IQ must have an id")
	case iq.IsRequest() && n != 1:
		return refuse("an IQ of type get or set must have exactly one child")
	case iq.Type == IQError && iq.Error == nil:
		iq.Error = &Error{Condition: UndefinedCondition, Type: ErrorCancel}
	}
	return &iq.IQ, nil
}
