package streammgmt

import (
	"fmt"
	"strconv"
	"strings"
)

// Fate is what has become of a stanza.
type Fate uint8

// The fates, in their order. The last three are final.
const (
	Queued       Fate = iota // nothing of it was written yet
	Sent                     // handed to a connection, at least in part
	Acknowledged             // handled by the peer
	Uncertain                // sent, and nobody will say any more whether it was handled
	Unsent                   // given up before anything of it was written
)

// Tracker is told what becomes of a stanza. It is called while the queue is locked and must neither block nor call it.
type Tracker interface{ Became(f Fate) }

// Limits bound what a [Queue] holds, beyond its last stanza.
type Limits struct{ Stanzas, Bytes int }

// TooHighError is an acknowledgement of more stanzas than were sent (XEP-0198 section 6).
type TooHighError struct{ H, Sent uint32 }

// Error implements error.
func (e *TooHighError) Error() string {
	return fmt.Sprintf("%d stanzas acknowledged, of %d that were sent", e.H, e.Sent)
}

// Queue holds the stanzas that the peer has not acknowledged, as bytes and in order, over as many streams as one session has. It
// says when to ask the peer how far it is: with the first stanza, and with each answer that leaves some open, so that there is one
// question under way as long as there is something to ask for. A Queue is locked by its owner.
type Queue struct {
	limits  Limits
	data    fifo[byte]
	entries fifo[entry]
	first   uint64 // number of the oldest entry; each one added has the next number, over all sessions
	h       uint32 // acknowledged, modulo 2^32
	handed  int    // of the entries, handed to the present connection
	asked   bool   // a question is under way
	covered int    // of the entries, those before the last question
}

type entry struct {
	size  int
	track Tracker // or nil
	sent  bool    // on this stream or an earlier one
}

// NewQueue returns an empty queue, whose count begins at 0.
func NewQueue(l Limits) *Queue { return &Queue{limits: l} }

// Len returns how many stanzas are not acknowledged.
func (q *Queue) Len() int { return len(q.entries.live()) }

// Full reports whether there is no room for another stanza.
func (q *Queue) Full() bool {
	return q.Len() >= q.limits.Stanzas || len(q.data.live()) >= q.limits.Bytes // guard: SEC-55 replace: return q.Len() => return false && q.Len()
}

// Add takes a stanza, of which it keeps a copy. track may be nil.
func (q *Queue) Add(xml []byte, track Tracker) {
	q.data.push(xml...)
	q.entries.push(entry{size: len(xml), track: track})
}

// Hand is told that all that was added is about to be written. ask says that a question shall follow it.
func (q *Queue) Hand() (ask bool) {
	all := q.entries.live()
	for i := q.handed; i < len(all); i++ {
		if e := &all[i]; !e.sent {
			e.sent = true
			e.tell(Sent)
		}
	}
	q.handed = len(all)
	return q.handed > 0 && !q.asked && q.Ask()
}

// Ask is told that a question follows, which it returns.
func (q *Queue) Ask() bool {
	q.asked, q.covered = true, q.handed
	return true
}

// Ack takes the peer's count of the stanzas that it has handled. An older one than the last is void; one that is too high is a
// *TooHighError. ask says to put the next question.
func (q *Queue) Ack(h uint32) (ask bool, err error) {
	n := h - q.h // modulo 2^32
	switch {
	case n >= 1<<31: // guard: SEC-55
		return false, nil
	case int(n) > q.handed: // guard: SEC-55
		return false, &TooHighError{H: h, Sent: q.h + uint32(q.handed)} //nolint:gosec // far less than 2^31
	}
	size := 0
	for _, e := range q.entries.live()[:n] {
		size += e.size
		e.tell(Acknowledged)
	}
	q.data.drop(size)
	q.entries.drop(int(n))
	q.first += uint64(n)
	q.h = h
	q.handed -= int(n)
	q.covered = max(0, q.covered-int(n))
	q.asked = false
	return q.handed > 0 && (n > 0 || q.handed > q.covered) && q.Ask(), nil
}

// Rewind begins another stream of the session: it appends all that is not acknowledged, to be sent again, to dst.
func (q *Queue) Rewind(dst []byte) []byte {
	q.handed, q.covered, q.asked = 0, 0, false
	return append(dst, q.data.live()...)
}

// Close ends the session: what is not acknowledged never will be.
func (q *Queue) Close() (uncertain, unsent int) {
	return q.Carry(func([]byte) bool { return false })
}

// Carry ends the session as well, but keeps those stanzas for the next one of which keep says so, with new numbers. It returns how
// many others there were.
func (q *Queue) Carry(keep func(xml []byte) bool) (uncertain, unsent int) {
	next := Queue{limits: q.limits, first: q.Next()}
	data := q.data.live()
	for _, e := range q.entries.live() {
		xml := data[:e.size]
		data = data[e.size:]
		switch {
		case keep(xml):
			next.data.push(xml...)
			next.entries.push(e)
		case e.sent: // guard: FLT-35
			uncertain++
			e.tell(Uncertain)
		default:
			unsent++
			e.tell(Unsent)
		}
	}
	*q = next
	return uncertain, unsent
}

// First returns the number of the oldest stanza that is not acknowledged, and Next that of the stanza which will be added next.
func (q *Queue) First() uint64 { return q.first }

// Next is described with First.
func (q *Queue) Next() uint64 { return q.first + uint64(q.Len()) } //nolint:gosec // not negative

// H returns the peer's last count.
func (q *Queue) H() uint32 { return q.h }

// From calls f with each stanza from a number on, which must keep no part of it, and returns the number of the first one.
func (q *Queue) From(n uint64, f func(xml []byte)) uint64 {
	data := q.data.live()
	for i, e := range q.entries.live() {
		if q.first+uint64(i) >= n {
			f(data[:e.size])
		}
		data = data[e.size:]
	}
	return max(n, q.first)
}

// Restore makes the queue that of a session which another process had: what it had sent, as far as anybody knows, and the peer's last
// count before the first of these. The queue must be empty.
func (q *Queue) Restore(first uint64, h uint32, stanzas [][]byte) {
	*q = Queue{limits: q.limits, first: first, h: h}
	for _, xml := range stanzas {
		q.data.push(xml...)
		q.entries.push(entry{size: len(xml), sent: true})
	}
	q.handed = len(stanzas)
}

func (e *entry) tell(f Fate) {
	if e.track != nil {
		e.track.Became(f)
	}
}

// fifo is a queue in one piece of memory.
type fifo[T any] struct {
	all  []T
	head int // of all, gone
}

// keep is how much memory, in elements, an empty fifo holds on to.
const keep = 16 << 10

func (f *fifo[T]) live() []T   { return f.all[f.head:] }
func (f *fifo[T]) push(v ...T) { f.all = append(f.all, v...) }

// drop removes the first n. Elements move only once as many have gone before them, which makes that cheap.
func (f *fifo[T]) drop(n int) {
	if f.head += n; 2*f.head < len(f.all) {
		return
	}
	left := copy(f.all, f.live())
	clear(f.all[left:])
	f.all, f.head = f.all[:left], 0
	if left == 0 && cap(f.all) > keep {
		f.all = nil
	}
}

// ParseCount reads a count of stanzas: an unsignedInt of XML Schema, modulo 2^32.
func ParseCount(s string) (h uint32, ok bool) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 32)
	return uint32(n), err == nil
}
