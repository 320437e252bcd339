package privilege_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/postern-im/postern/privilege"
)

// What is kept of presence, by whomever it was sent, pins nothing else of the stanza: else the bound in bytes would bound nothing.
func TestPresencePinsNoStanza(t *testing.T) {
	const n, size = 60, 200 << 10
	big := strings.Repeat("x", size)
	for name, xml := range map[string]func(from string) string{
		"id":      func(from string) string { return pres(from, "id='"+big+"'", "<status>here</status>") },
		"lang":    func(from string) string { return pres(from, "xml:lang='"+big+"'", "<status>here</status>") },
		"payload": func(from string) string { return pres(from, "", "<status>here</status><x xmlns='urn:x'>"+big+"</x>") },
		"status":  func(from string) string { return pres(from, "", "<status>"+big+"</status>") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t, offline{}, privilege.Config{})
			s.receive(t.Context(), advert("localhost", grantPresence("roster")))
			before := heap()
			for i := range n {
				s.receive(t.Context(), xml(fmt.Sprintf("romeo%d@montague.net/orchard", i)))
			}
			if kept := heap() - before; kept > n*size/4 {
				t.Errorf("%d addresses keep %d KiB", n, kept>>10)
			}
			runtime.KeepAlive(s)
		})
	}
}

// TestWrappedMessagesPinLittle: what is remembered of messages, for a refusal that comes late, is bounded in bytes however long their ids are,
// and pins nothing that an id was cut out of.
func TestWrappedMessagesPinLittle(t *testing.T) {
	const n, size = 60, 200 << 10
	for name, id := range map[string]func(big string) string{
		"long":                  func(big string) string { return big },
		"a piece of a document": func(big string) string { return big[:10] },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t, offline{}, privilege.Config{})
			u := s.juliet()
			before := heap()
			for i := range n {
				msg := chat("romeo@montague.net", "hi")
				msg.ID = id(strings.Repeat(string(rune('a'+i%26)), size))
				if _, err := u.Wrap(msg); err != nil {
					t.Fatal(err)
				}
			}
			if kept := heap() - before; kept > n*size/4 {
				t.Errorf("%d messages keep %d KiB", n, kept>>10)
			}
			runtime.KeepAlive(s)
		})
	}
}

// heap returns the bytes that are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
