package xmlstream

import "github.com/postern-im/postern/stanza"

// Known reports whether the stanza is of a type that exists.
func Known(s stanza.Stanza) bool {
	switch s := s.(type) {
	case *stanza.IQ:
		switch s.Type {
		case stanza.IQGet, stanza.IQSet:
			return s.Payload != nil
		case stanza.IQResult:
			return true
		case stanza.IQError:
			return s.Error != nil
		}
	case *stanza.Message:
		switch s.Type {
		case "", stanza.MessageNormal, stanza.MessageChat, stanza.MessageGroupchat, stanza.MessageHeadline:
			return true
		case stanza.MessageError:
			return s.Error != nil
		}
	case *stanza.Presence:
		switch s.Type {
		case stanza.PresenceAvailable, stanza.PresenceUnavailable, stanza.PresenceSubscribe, stanza.PresenceSubscribed,
			stanza.PresenceUnsubscribe, stanza.PresenceUnsubscribed, stanza.PresenceProbe:
			return true
		case stanza.PresenceError:
			return s.Error != nil
		}
	}
	return false
}
