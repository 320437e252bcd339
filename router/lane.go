package router

// A sender is the bare address that stanzas come from. Its lanes are the bare addresses that they go to. Ready senders stand
// in a ring and ready lanes in a queue of their sender, and a worker takes one stanza of the first lane of the first sender;
// then both go to the end. So lanes take turns with their sender's other lanes, and senders with each other.
type sender struct {
	addr    string
	lanes   *lane            // all that hold a stanza
	byTo    map[string]*lane // the same, once they are too many to search
	count   int              // lanes
	held    int              // stanzas that wait or are being handled
	bytes   int
	running int // lanes being handled
	trusted bool

	ready, readyEnd *lane
	inRing          bool
	next            *sender // in the ring, or among the spare ones
}

// lane holds the stanzas from one bare address to another, in order.
type lane struct {
	to         string
	sender     *sender
	head, tail *turn
	held       int // stanzas that wait or are being handled
	running    bool

	prev, next *lane // of the sender
	nextReady  *lane // in the sender's queue; the next of the spare ones
}

// searched is up to how many lanes a sender is searched for one.
const searched = 8

// spares is how many senders and lanes are kept for reuse.
const spares = 1024

// queues is everything that waits. It belongs to the router's mutex.
type queues struct {
	senders   map[string]*sender
	ring      *sender
	ringEnd   *sender
	readies   int // ready lanes
	lanes     int
	held      int // stanzas that wait or are being handled
	waiting   int
	bytes     int
	perSender int // lanes of one sender that may be handled at once
	trusted   map[string]bool

	spareSenders *sender
	spareLanes   *lane
	nSpareSender int
	nSpareLane   int
}

// find returns the sender and the lane of a turn, nil where they are not there.
func (q *queues) find(from, to string) (*sender, *lane) {
	s := q.senders[from]
	if s == nil {
		return nil, nil
	}
	return s, s.lane(to)
}

func (s *sender) lane(to string) *lane {
	if s.byTo != nil {
		return s.byTo[to]
	}
	for l := s.lanes; l != nil; l = l.next {
		if l.to == to {
			return l
		}
	}
	return nil
}

// push puts a turn at the end of its lane. s and l are what find returned.
func (q *queues) push(t *turn, s *sender, l *lane, from, to string) {
	if s == nil {
		s = q.newSender(from)
	}
	if l == nil {
		l = q.newLane(s, to)
	}
	t.lane = l
	if l.tail == nil {
		l.head = t
	} else {
		l.tail.next = t
	}
	l.tail = t
	l.held++
	s.held++
	s.bytes += t.size
	q.held++
	q.waiting++
	q.bytes += t.size
	if l.head == t && !l.running {
		q.makeReady(l)
	}
}

// makeReady queues a lane that has a waiting stanza and is not being handled.
func (q *queues) makeReady(l *lane) {
	s := l.sender
	l.nextReady = nil
	if s.readyEnd == nil {
		s.ready = l
	} else {
		s.readyEnd.nextReady = l
	}
	s.readyEnd = l
	q.readies++
	q.enter(s)
}

// enter puts a sender at the end of the ring, if it has a lane to be handled and is allowed to.
func (q *queues) enter(s *sender) {
	if s.inRing || s.ready == nil || s.running >= q.perSender && !s.trusted {
		return
	}
	s.inRing = true
	s.next = nil
	if q.ringEnd == nil {
		q.ring = s
	} else {
		q.ringEnd.next = s
	}
	q.ringEnd = s
}

// pop takes the next stanza to be handled, or returns nil.
func (q *queues) pop() *turn {
	s := q.ring
	if s == nil {
		return nil
	}
	q.ring = s.next
	if q.ring == nil {
		q.ringEnd = nil
	}
	s.next, s.inRing = nil, false
	l := s.ready
	s.ready = l.nextReady
	if s.ready == nil {
		s.readyEnd = nil
	}
	l.nextReady = nil
	q.readies--
	t := l.head
	l.head = t.next
	if l.head == nil {
		l.tail = nil
	}
	t.next = nil
	l.running = true
	s.running++
	q.waiting--
	q.enter(s)
	return t
}

// release takes a turn that was handled out of its lane.
func (q *queues) release(t *turn) {
	l := t.lane
	s := l.sender
	l.running = false
	s.running--
	q.forget(t)
	if l.head != nil {
		q.makeReady(l)
	} else if l.held == 0 {
		q.dropLane(l)
	}
	q.enter(s)
	if s.held == 0 {
		q.dropSender(s)
	}
}

// forget takes a turn off the counts.
func (q *queues) forget(t *turn) {
	l := t.lane
	t.lane = nil
	l.held--
	l.sender.held--
	l.sender.bytes -= t.size
	q.held--
	q.bytes -= t.size
}

// remove takes a waiting turn, which stands behind prev, or first where prev is nil, out of a lane that keeps others.
func (q *queues) remove(prev, t *turn) {
	l := t.lane
	if prev == nil {
		l.head = t.next
	} else {
		prev.next = t.next
	}
	if l.tail == t {
		l.tail = prev
	}
	t.next = nil
	q.waiting--
	q.forget(t)
}

func (q *queues) newSender(addr string) *sender {
	s := q.spareSenders
	if s != nil {
		q.spareSenders = s.next
		q.nSpareSender--
		s.next = nil
	} else {
		s = new(sender)
	}
	s.addr = addr
	s.trusted = q.trusted[addr]
	q.senders[addr] = s
	return s
}

func (q *queues) dropSender(s *sender) {
	delete(q.senders, s.addr)
	*s = sender{}
	if q.nSpareSender < spares {
		s.next = q.spareSenders
		q.spareSenders = s
		q.nSpareSender++
	}
}

func (q *queues) newLane(s *sender, to string) *lane {
	l := q.spareLanes
	if l != nil {
		q.spareLanes = l.nextReady
		q.nSpareLane--
		l.nextReady = nil
	} else {
		l = new(lane)
	}
	l.to, l.sender = to, s
	l.next = s.lanes
	if s.lanes != nil {
		s.lanes.prev = l
	}
	s.lanes = l
	s.count++
	q.lanes++
	switch {
	case s.byTo != nil:
		s.byTo[to] = l
	case s.count > searched:
		s.byTo = make(map[string]*lane, 2*searched)
		for l := s.lanes; l != nil; l = l.next {
			s.byTo[l.to] = l
		}
	}
	return l
}

func (q *queues) dropLane(l *lane) {
	s := l.sender
	if l.prev == nil {
		s.lanes = l.next
	} else {
		l.prev.next = l.next
	}
	if l.next != nil {
		l.next.prev = l.prev
	}
	if s.byTo != nil {
		delete(s.byTo, l.to)
	}
	s.count--
	q.lanes--
	*l = lane{}
	if q.nSpareLane < spares {
		l.nextReady = q.spareLanes
		q.spareLanes = l
		q.nSpareLane++
	}
}
