package client

import (
	"encoding/xml"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/xmltree"
)

// offerResume has a lost session resumed within the sign-in, where the server can do that.
func (l *link) offerResume(enc *xmltree.Encoder, a *attempt) {
	if a.offer.Resume && !a.invalidate && l.c.ledger.last.id != "" {
		l.encodeResume(enc)
	}
}

func (l *link) encodeResume(enc *xmltree.Encoder) {
	enc.Start(xml.Name{Space: nsSM, Local: "resume"})
	enc.Attr("previd", l.c.ledger.last.id)
	enc.Attr("h", count(l.c.ledger.told))
	enc.End()
}

// resume resumes a lost session on a stream that is signed in (XEP-0198 section 5). It returns the zero address where there is none,
// or the server refuses: then a resource is to be bound.
func (l *link) resume() (jid.JID, error) {
	if l.c.ledger.last.id == "" || !l.features.StreamManagement {
		return jid.JID{}, nil
	}
	if err := l.send(l.encodeResume); err != nil {
		return jid.JID{}, err
	}
	el, err := l.element()
	if err != nil {
		return jid.JID{}, err
	}
	bound, known, err := l.resumption(el)
	if err == nil && !known {
		err = fmt.Errorf("%w: %s in place of the resumption", ErrProtocol, el.Name().Local)
	}
	return bound, err
}

// resumedIn takes the answer to a resumption that was part of a sign-in.
func (l *link) resumedIn(success xmltree.Element) (bound jid.JID, err error) {
	for el := range success.Children() {
		if bound, known, err := l.resumption(el); known {
			return bound, err
		}
	}
	return jid.JID{}, nil
}

// resumption takes the answer to resume, and returns the address of the session that goes on. known is false where the element is
// something else.
func (l *link) resumption(el xmltree.Element) (bound jid.JID, known bool, err error) {
	sm := l.c.ledger
	switch {
	case sm.last.id == "":
		return jid.JID{}, false, nil
	case el.Is(nsSM, "resumed"):
		if el.Attr("previd") != sm.last.id { // guard: SEC-55
			sm.giveUp()
			return jid.JID{}, true, fmt.Errorf("%w: another session was resumed", ErrProtocol)
		}
		if err := sm.acknowledged(el); err != nil {
			var high handledCountError
			if errors.As(err, &high) {
				l.refuse(high.StreamError())
			}
			sm.giveUp()
			return jid.JID{}, true, err
		}
		l.resumed = true
		sm.handled.Store(sm.told) // the server sends again what comes after that
		sm.back()
		sm.resumed.Add(1)
		return sm.last.jid, true, nil
	case el.Is(nsSM, "failed"):
		l.c.log.Info("the server does not resume the session", zap.String("condition", condition(el)))
		if err := sm.acknowledged(el); err != nil {
			l.c.log.Warn("the server's last count is void", zap.Error(err))
		}
		sm.giveUp()
		return jid.JID{}, true, nil
	}
	return jid.JID{}, false, nil
}
