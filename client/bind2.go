package client

import (
	"context"
	"encoding/xml"
	"errors"
	"slices"

	"go.uber.org/zap"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// What a session begins with: inside Bind 2 where the server can do that (XEP-0386 v1.1.0 section "Interaction with other extensions"),
// else right after it.

// inline is what was asked for along with Bind 2, beside stream management, whose answer is an element of its own.
type inline struct{ carbons, inactive bool }

// enableInline asks for what is wanted and can be had along with Bind 2.
func (l *link) enableInline(enc *xmltree.Encoder, offer *SASL2Features) {
	can := func(feature string) bool { return slices.Contains(offer.Bind2Inline, feature) }
	cfg := &l.c.cfg
	if !cfg.StreamManagement.Off && can(nsSM) {
		l.c.ledger.encodeEnable(enc)
	}
	if l.inline.carbons = cfg.Carbons && can(nsCarbons); l.inline.carbons {
		enc.Start(enableCarbons{}.PayloadName())
		enc.End()
	}
	if l.inline.inactive = cfg.Inactive && can(nsCSI); l.inline.inactive {
		enc.Start(xml.Name{Space: nsCSI, Local: "inactive"})
		enc.End()
	}
}

// enableCarbons asks for copies (XEP-0280 v1.0 section 4).
type enableCarbons struct{}

func (enableCarbons) PayloadName() xml.Name { return xml.Name{Space: nsCarbons, Local: "enable"} }

// EncodeXML implements xmltree.Marshaler: the element is empty.
func (enableCarbons) EncodeXML(*xmltree.Encoder) {}

// enable asks for what did not come along with binding.
func (s *session) enable(ctx context.Context) {
	c := s.c
	if c.cfg.Inactive && !s.inline.inactive {
		s.stateLock.Lock()
		if !s.stateSaid {
			if err := s.setActive(ctx, false); err != nil && !errors.Is(err, ErrNoClientState) && ctx.Err() == nil {
				c.log.Warn("the server was not told that nobody uses this client", zap.Error(err))
			}
		}
		s.stateLock.Unlock()
	}
	if c.cfg.Carbons && !s.inline.carbons && !s.resumed {
		if _, err := c.Request(ctx, &stanza.IQ{Type: stanza.IQSet, Payload: enableCarbons{}}); err != nil && ctx.Err() == nil {
			c.log.Warn("no copies of what other clients of the account send and get", zap.Error(err))
		}
	}
}
