package stanza

import "unsafe"

// Size returns about how many bytes of memory a received stanza holds, for those who bound how much they keep. Payloads that
// were set by hand are not counted.
func Size(s Stanza) int {
	h := s.Head()
	n := len(h.ID) + len(h.From.String()) + len(h.To.String()) + len(h.Lang)
	for _, a := range h.Attrs {
		n += int(unsafe.Sizeof(a)) + len(a.Value)
	}
	n += len(s.Children()) * int(unsafe.Sizeof(Payload(nil))+2*unsafe.Sizeof(uintptr(0)))
	switch s := s.(type) {
	case *IQ:
		n += int(unsafe.Sizeof(receivedIQ{})) + s.size
	case *Message:
		n += int(unsafe.Sizeof(receivedMessage{})) + s.size
	case *Presence:
		n += int(unsafe.Sizeof(receivedPresence{})) + s.size
	}
	return n
}
