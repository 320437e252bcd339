package outbox

import "github.com/postern-im/postern/stanza"

// hooks are for tests, which end the process at a given place, or plant a bug to see that it is found. Nobody else sets them.
type hooks struct {
	at       func(place string)
	markSoon bool                // stanzas count as taken before they are sent
	freshIDs bool                // what is sent again has another id
	sendSoon func(stanza.Stanza) // what is put is sent before it is committed
}

func (h *hooks) reach(place string) {
	if h.at != nil {
		h.at(place)
	}
}
