package xmlstream

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"time"
)

// looks is how often within its time a peer that takes nothing is looked at.
const looks = 4

// tlsRecord is how much crypto/tls writes at a time.
const tlsRecord = 16 << 10

// Whole is a connection that is of no use any more after a write that timed out, as a TLS connection is.
type Whole interface{ Whole() }

// deliver writes b in as few writes as it can and returns how many bytes and writes that were. It gives up when the peer has
// taken nothing for the time configured, and at the latest a quarter of that later; a peer that is slow but takes something is
// waited for.
func (w *Writer) deliver(conn net.Conn, b []byte) (n, writes int, err error) {
	// After a write that timed out a TLS connection is of no use any more, so there each record, which is a write of its own
	// anyway, has all the time.
	piece, look, patience := len(b), w.cfg.Timeout/looks, looks
	_, whole := conn.(Whole)
	if _, ok := conn.(*tls.Conn); ok || whole {
		piece, look, patience = tlsRecord, w.cfg.Timeout, 1
	}
	for idle := 0; n < len(b); { // idle: looks in a row at which nothing had been taken
		if err = conn.SetWriteDeadline(time.Now().Add(look)); err == nil { // guard: FLT-12 replace: Add(look) => Add(look + 1<<40)
			err = w.fenced() // guard: FLT-39
		}
		if err != nil {
			return n, writes, err
		}
		var taken int
		taken, err = conn.Write(b[n:min(n+piece, len(b))])
		writes++
		n += taken
		if idle++; taken > 0 {
			idle = 0
		}
		if err != nil && (idle == patience || !errors.Is(err, os.ErrDeadlineExceeded)) {
			return n, writes, err
		}
	}
	return n, writes, nil
}
