package xmlstream

import (
	"context"

	"github.com/postern-im/postern/stanza"
)

// Handing is how a session's handler is given what was read: in one step, or in two where it is a [stanza.Taker].
type Handing struct {
	handler stanza.Handler
	taker   stanza.Taker // the handler, where it is one
}

// HandTo returns how this handler is given stanzas.
func HandTo(h stanza.Handler) Handing {
	t, _ := h.(stanza.Taker)
	return Handing{handler: h, taker: t}
}

// Take is the first step, and reports whether there is a second.
func (h Handing) Take(ctx context.Context, out stanza.Sender, batch []stanza.Stanza) bool {
	return h.taker == nil || h.taker.Take(ctx, out, batch)
}

// Handle is the second step, or the only one.
func (h Handing) Handle(ctx context.Context, out stanza.Sender, batch []stanza.Stanza) {
	if h.taker != nil {
		h.taker.Work(ctx, out)
	} else {
		h.handler.HandleStanzas(ctx, out, batch)
	}
}
