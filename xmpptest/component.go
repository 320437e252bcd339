package xmpptest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/postern-im/postern/internal/xmppserver"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// Component is the server's side of a component under test: what it sends goes to the component, and what the component sends
// is expected here. Its queue is armed from the start, so a test may act first and expect later without missing anything.
//
// Stanzas from the component are routed as by any server; those to addresses that nobody has end in the queue alone.
// Probes that the component sends to itself (IQs to its own domain) are not queued. The methods that
// take expectations are called by the test's own goroutine.
type Component struct {
	t    testing.TB
	srv  *Server
	side *xmppserver.Component

	mu     sync.Mutex
	queue  []xmltree.Element
	lost   int      // stanzas that no longer had room in queue
	all    []string // everything received, for the failing test to show
	more   chan struct{}
	endErr []error
	last   stanza.Header // of what was sent last
	serial int
}

const (
	keepReceived = 1000    // how many stanzas a failing test shows at most
	keepQueued   = 100_000 // how many may wait; a test of load that expects nothing may send more
)

func newComponent(s *Server, c *xmppserver.Component) *Component {
	return &Component{t: s.t, srv: s, side: c, more: make(chan struct{}, 1)}
}

// received queues a stanza from the component.
func (c *Component) received(el xmltree.Element) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.all) < keepReceived {
		c.all = append(c.all, el.String())
	}
	if c.ownProbe(el) {
		return
	}
	if len(c.queue) >= keepQueued {
		c.lost++
		return
	}
	c.queue = append(c.queue, el)
	c.poke()
}

func (c *Component) ended(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		err = errors.New("the component closed its stream")
	}
	c.endErr = append(c.endErr, err)
	c.poke()
}

func (c *Component) poke() {
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// ownProbe reports whether the component talks to itself: keepalive and barrier.
func (c *Component) ownProbe(el xmltree.Element) bool {
	to, _, _ := strings.Cut(el.Attr("to"), "/")
	return el.Name().Local == "iq" && to == c.side.Domain().String()
}

func (c *Component) deadline() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), c.srv.wait)
}

// Connected waits until the component is connected.
func (c *Component) Connected() {
	c.t.Helper()
	c.waitFor(true)
}

// Disconnected waits until the component is not connected.
func (c *Component) Disconnected() {
	c.t.Helper()
	c.waitFor(false)
}

// ConnectedAfter waits until the component is connected and has had more than this many links, as [Component.Links] counts
// them: until it has come back.
func (c *Component) ConnectedAfter(links int) {
	c.t.Helper()
	ctx, cancel := c.deadline()
	defer cancel()
	if err := c.side.WaitAfter(ctx, links); err != nil {
		c.t.Fatalf("xmpptest: waiting for link %d of the component: %v\n%s", links+1, err, c.history())
	}
}

func (c *Component) waitFor(online bool) {
	c.t.Helper()
	ctx, cancel := c.deadline()
	defer cancel()
	if err := c.side.Wait(ctx, online); err != nil {
		c.t.Fatalf("xmpptest: waiting for the component to be %s: %v\n%s", map[bool]string{true: "online", false: "offline"}[online], err, c.history())
	}
}

// Send sends one or more stanzas, given as XML, to the component. Without a namespace of their own they are in that of the
// stream. It waits for the component to be connected.
func (c *Component) Send(xml string) {
	c.t.Helper()
	els, err := xmppserver.ParseStanzas(xml)
	if err != nil {
		c.t.Fatalf("xmpptest: Send: %v in %s", err, xml)
	}
	for _, el := range els {
		c.SendElement(el)
	}
}

// SendStanza sends a stanza to the component.
func (c *Component) SendStanza(s stanza.Stanza) {
	c.t.Helper()
	b, err := stanza.Append(nil, s)
	if err != nil {
		c.t.Fatalf("xmpptest: SendStanza: %v", err)
	}
	c.Send(string(b))
}

// SendElement sends a stanza to the component.
func (c *Component) SendElement(el xmltree.Element) {
	c.t.Helper()
	if s, err := stanza.Parse(el); err == nil {
		c.last = *s.Head()
	}
	ctx, cancel := c.deadline()
	defer cancel()
	if err := c.side.Send(ctx, el); err != nil {
		c.t.Fatalf("xmpptest: Send: %v\n%s", err, c.history())
	}
}

// SendRaw writes bytes to the component, whatever they are.
func (c *Component) SendRaw(s string) {
	c.t.Helper()
	ctx, cancel := c.deadline()
	defer cancel()
	if err := c.side.SendRaw(ctx, []byte(s)); err != nil {
		c.t.Fatalf("xmpptest: SendRaw: %v\n%s", err, c.history())
	}
}

// Expect waits for the next stanza of the component and fails the test unless it matches.
func (c *Component) Expect(m Matcher) xmltree.Element {
	c.t.Helper()
	el, ok := c.next()
	if !ok {
		c.t.Fatalf("xmpptest: no stanza came; expected %s\n%s", m, c.history())
	}
	if err := m.Match(el); err != nil {
		c.t.Fatalf("xmpptest: %v\n%s", err, c.history())
	}
	return el
}

// ExpectXML is Expect of [XML].
func (c *Component) ExpectXML(want string) xmltree.Element {
	c.t.Helper()
	return c.Expect(XML(want))
}

// Await waits for the first stanza that matches, whatever comes before it; that stays in the queue.
func (c *Component) Await(m Matcher) xmltree.Element {
	c.t.Helper()
	ctx, cancel := c.deadline()
	defer cancel()
	for seen := 0; ; {
		c.mu.Lock()
		for ; seen < len(c.queue); seen++ {
			if el := c.queue[seen]; m.Match(el) == nil {
				c.queue = append(c.queue[:seen:seen], c.queue[seen+1:]...)
				c.mu.Unlock()
				return el
			}
		}
		c.mu.Unlock()
		select {
		case <-c.more:
		case <-ctx.Done():
			c.t.Fatalf("xmpptest: nothing came that matches %s\n%s", m, c.history())
		}
	}
}

// ExpectNone fails the test if the component sends anything in response to what was sent to it. It does not wait for time to
// pass: it sends an IQ that must be answered on the same conversation as the last stanza, and so behind everything else.
func (c *Component) ExpectNone() {
	c.t.Helper()
	c.serial++
	id := fmt.Sprintf("xmpptest-barrier-%d", c.serial)
	from, to := c.srv.Host, c.side.Domain().String()
	if !c.last.From.IsZero() {
		from, to = c.last.From.BareString()+"/"+id, c.last.To.BareString()
	}
	last := c.last
	c.Send("<iq type='get' id='" + id + "'" + attr("from", from) + attr("to", to) + "><ping xmlns='urn:xmpp:ping'/></iq>")
	c.last = last
	el, ok := c.next()
	if !ok {
		c.t.Fatalf("xmpptest: the component does not answer an IQ\n%s", c.history())
	}
	if el.Attr("id") != id {
		c.t.Fatalf("xmpptest: expected nothing, got\n%s\n%s", canonical(el), c.history())
	}
}

// next takes the next stanza from the queue; false means that none came in time.
func (c *Component) next() (xmltree.Element, bool) {
	ctx, cancel := c.deadline()
	defer cancel()
	for {
		c.mu.Lock()
		if len(c.queue) > 0 {
			el := c.queue[0]
			c.queue = c.queue[1:]
			c.mu.Unlock()
			return el, true
		}
		lost := c.lost
		c.mu.Unlock()
		if lost > 0 { // what comes next is not what came next
			return xmltree.Element{}, false
		}
		select {
		case <-c.more:
		case <-ctx.Done():
			return xmltree.Element{}, false
		}
	}
}

// Clear forgets what is queued.
func (c *Component) Clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue, c.lost = nil, 0
}

// history tells what the component has sent so far, for the report of a failure.
func (c *Component) history() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	open, ever := c.side.Links()
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d connections open, %d ever; received:", c.side.Domain(), open, ever)
	for _, s := range c.all {
		b.WriteString("\n  " + s)
	}
	if len(c.all) == 0 {
		b.WriteString(" nothing")
	}
	if c.lost > 0 {
		fmt.Fprintf(&b, "\n%d more had no room in the queue", c.lost)
	}
	for _, err := range c.endErr {
		fmt.Fprintf(&b, "\nstream ended: %v", err)
	}
	return b.String()
}
