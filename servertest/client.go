package servertest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// answerTimeout is how long a client waits for an answer or an event. It is longer than the limit within the client's program.
const answerTimeout = 30 * time.Second

// Client is an XMPP client that nobody here wrote, slixmpp, signed in as one of the server's accounts. Tests drive a gateway with it
// to learn whether their own reading of the protocols is shared by others. Its methods fail t at once when the client's program
// breaks; a stanza error is returned as a [*StanzaError].
type Client struct {
	// JID is the full address that the client is bound to.
	JID string

	talk *conversation

	mu      sync.Mutex
	next    int
	waiting map[int]chan reply
	events  []Event
	arrived chan struct{} // closed and replaced with each event
	broken  error         // set when the program has ended
	gone    chan struct{} // closed when the program has ended
}

// Event is a message or presence that a [Client] got.
type Event struct {
	// Kind is "message" or "presence", or "disconnected" for the end of the stream. With plugins it may be "receipt", whose ID is that of
	// the message that was received, or "carbon", for the message of which it is a copy.
	Kind string `json:"event"`

	From   string `json:"from"`
	Type   string `json:"type"` // as in the attribute, for messages "normal" where it is absent
	ID     string `json:"id"`
	Body   string `json:"body"`   // message
	Show   string `json:"show"`   // presence
	Status string `json:"status"` // presence
	To     string `json:"to"`     // carbon
	Sent   bool   `json:"sent"`   // carbon: of what another client of the account sent
}

// StanzaError is an error that a client's request was answered with (RFC 6120 section 8.3).
type StanzaError struct {
	Condition string `json:"condition"`
	Type      string `json:"type"`
	Text      string `json:"text"`
}

func (e *StanzaError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("servertest: stanza error %s (%s) %s", e.Condition, e.Type, e.Text))
}

type reply struct {
	ID      int             `json:"id"`
	Result  json.RawMessage `json:"result"`
	Error   *StanzaError    `json:"error"`
	Failure string          `json:"failure"`
}

// Client signs in one of the server's accounts, with presence sent. The client ends with t; its log is attached to t if it fails. Plugins
// are what slixmpp shall do beyond service discovery, versions and pings: PluginReceipts, PluginCarbons.
func (s *Server) Client(t testing.TB, user string, plugins ...string) *Client {
	t.Helper()
	talk, err := s.run.box.beside(t.Context(), "slixmpp")
	if err != nil {
		t.Fatalf("servertest: client: %v", err)
	}
	c := &Client{talk: talk, waiting: make(map[int]chan reply), arrived: make(chan struct{}), gone: make(chan struct{})}
	go c.read()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the client %s:\n%s", user, tail(talk.log(), logTail))
		}
		talk.end()
		<-c.gone
	})
	host, port, err := net.SplitHostPort(s.C2S)
	if err != nil {
		t.Fatalf("servertest: client: %v", err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatalf("servertest: client: %v", err)
	}
	ca, err := s.run.file("certs/ca.crt")
	if err != nil {
		t.Fatalf("servertest: client: %v", err)
	}
	bound, err := call[struct{ JID string }](t, c, "login", map[string]any{
		"jid": user + "@" + s.Host, "password": s.Accounts()[user], "host": host, "port": number, "ca": string(ca),
		"plugins": append([]string{}, plugins...),
	})
	if err != nil {
		t.Fatalf("servertest: client: %v", err)
	}
	c.JID = bound.JID
	return c
}

// Plugins of a [Client].
const (
	PluginReceipts = "xep_0184" // confirms messages that ask for it, and tells of what is confirmed
	PluginCarbons  = "xep_0280" // has the server send copies of what the account's other clients send and get
)

// Info is an answer of service discovery (XEP-0030 section 3).
type Info struct {
	Identities []Identity
	Features   []string // sorted
}

// Identity is one of an [Info].
type Identity struct{ Category, Type, Lang, Name string }

// Has says whether the feature is among those of the answer.
func (i Info) Has(feature string) bool { return slices.Contains(i.Features, feature) }

// DiscoInfo asks an entity, or its node where that is not empty, for its identities and features (XEP-0030 section 3).
func (c *Client) DiscoInfo(t testing.TB, jid, node string) (Info, error) {
	t.Helper()
	return call[Info](t, c, "disco_info", map[string]any{"jid": jid, "node": node})
}

// Item is one that an entity has (XEP-0030 section 4).
type Item struct{ JID, Node, Name string }

// DiscoItems asks an entity, or its node where that is not empty, for its items (XEP-0030 section 4).
func (c *Client) DiscoItems(t testing.TB, jid, node string) ([]Item, error) {
	t.Helper()
	return call[[]Item](t, c, "disco_items", map[string]any{"jid": jid, "node": node})
}

// Ping pings an entity (XEP-0199).
func (c *Client) Ping(t testing.TB, jid string) error {
	t.Helper()
	_, err := call[any](t, c, "ping", map[string]any{"jid": jid})
	return err
}

// Version is what an entity says about its software (XEP-0092).
type Version struct{ Name, Version, OS string }

// Version asks an entity for its software (XEP-0092).
func (c *Client) Version(t testing.TB, jid string) (Version, error) {
	t.Helper()
	return call[Version](t, c, "version", map[string]any{"jid": jid})
}

// IQ sends an IQ of type get or set with any payload, given as XML, to an address or, if to is empty, to the account itself, and returns
// the answer as XML, be it a result or an error.
func (c *Client) IQ(t testing.TB, kind, to, payload string) (answer string) {
	t.Helper()
	args := map[string]any{"type": kind, "payload": payload}
	if to != "" {
		args["to"] = to
	}
	got, err := call[struct{ XML string }](t, c, "iq", args)
	if err != nil {
		t.Fatalf("servertest: client: %v", err)
	}
	return got.XML
}

// Contact is an item of the account's roster (RFC 6121 section 2).
type Contact struct {
	JID          string
	Subscription string // none, to, from or both
	Ask          string // subscribe, while the contact has not answered
}

// Roster fetches the account's roster (RFC 6121 section 2).
func (c *Client) Roster(t testing.TB) []Contact {
	t.Helper()
	roster, err := call[[]Contact](t, c, "roster", nil)
	if err != nil {
		t.Fatalf("servertest: client: %v", err)
	}
	return roster
}

// SendMessage sends a chat message and returns its id.
func (c *Client) SendMessage(t testing.TB, to, body string) (id string) {
	t.Helper()
	sent, err := call[struct{ ID string }](t, c, "send_message", map[string]any{"to": to, "body": body})
	if err != nil {
		t.Fatalf("servertest: client: %v", err)
	}
	return sent.ID
}

// SendMessageWithReceipt is SendMessage that asks for a receipt (XEP-0184).
func (c *Client) SendMessageWithReceipt(t testing.TB, to, body string) (id string) {
	t.Helper()
	sent, err := call[struct{ ID string }](t, c, "send_message", map[string]any{"to": to, "body": body, "receipt": true})
	if err != nil {
		t.Fatalf("servertest: client: %v", err)
	}
	return sent.ID
}

// SendPresence sends presence of a type (RFC 6121 section 4.7.1; empty for available), to everybody if to is empty.
func (c *Client) SendPresence(t testing.TB, to, kind string) {
	t.Helper()
	args := make(map[string]any)
	if to != "" {
		args["to"] = to
	}
	if kind != "" {
		args["type"] = kind
	}
	if _, err := call[any](t, c, "send_presence", args); err != nil {
		t.Fatalf("servertest: client: %v", err)
	}
}

// SendShow sends presence to everybody that says how available the client is (RFC 6121 section 4.7.2.1), such as away.
func (c *Client) SendShow(t testing.TB, show string) {
	t.Helper()
	if _, err := call[any](t, c, "send_presence", map[string]any{"show": show}); err != nil {
		t.Fatalf("servertest: client: %v", err)
	}
}

// Await returns the first event that match takes, of those that came and were not returned before; it waits 30 s for it. Others stay.
func (c *Client) Await(t testing.TB, what string, match func(Event) bool) Event {
	t.Helper()
	timeout := time.NewTimer(answerTimeout)
	defer timeout.Stop()
	for {
		c.mu.Lock()
		if i := slices.IndexFunc(c.events, match); i >= 0 {
			e := c.events[i]
			c.events = slices.Delete(c.events, i, i+1)
			c.mu.Unlock()
			return e
		}
		arrived, rest := c.arrived, slices.Clone(c.events)
		c.mu.Unlock()
		select {
		case <-arrived:
		case <-c.gone:
			t.Fatalf("servertest: client: waiting for %s: %v", what, c.broken)
		case <-timeout.C:
			t.Fatalf("servertest: client: no %s within %v; there were %+v", what, answerTimeout, rest)
		}
	}
}

// AwaitMessage waits for a message from a bare or full address.
func (c *Client) AwaitMessage(t testing.TB, from string) Event {
	t.Helper()
	return c.Await(t, "message from "+from, func(e Event) bool { return e.Kind == "message" && comesFrom(e, from) })
}

// AwaitPresence waits for presence of a type (empty for available) from a bare or full address.
func (c *Client) AwaitPresence(t testing.TB, from, kind string) Event {
	t.Helper()
	return c.Await(t, fmt.Sprintf("presence of type %q from %s", kind, from), func(e Event) bool {
		return e.Kind == "presence" && e.Type == kind && comesFrom(e, from)
	})
}

func comesFrom(e Event, address string) bool {
	bare, _, _ := strings.Cut(e.From, "/")
	return e.From == address || bare == address
}

// call has the program carry out a command.
func call[T any](t testing.TB, c *Client, do string, args map[string]any) (result T, err error) {
	t.Helper()
	answer := make(chan reply, 1)
	c.mu.Lock()
	c.next++
	id := c.next
	c.waiting[id] = answer
	command := map[string]any{"id": id, "do": do}
	for k, v := range args {
		command[k] = v
	}
	line, err := json.Marshal(command)
	if err == nil {
		_, err = c.talk.in.Write(append(line, '\n'))
	}
	c.mu.Unlock()
	if err != nil {
		t.Fatalf("servertest: client: %s: %v", do, err)
	}
	timeout := time.NewTimer(answerTimeout)
	defer timeout.Stop()
	select {
	case r := <-answer:
		switch {
		case r.Error != nil:
			return result, r.Error
		case r.Failure != "":
			t.Fatalf("servertest: client: %s", r.Failure)
		}
		if err := json.Unmarshal(r.Result, &result); err != nil {
			t.Fatalf("servertest: client: %s: %v in %s", do, err, r.Result)
		}
		return result, nil
	case <-c.gone:
		t.Fatalf("servertest: client: %s: %v", do, c.broken)
	case <-timeout.C:
		t.Fatalf("servertest: client: %s: no answer within %v", do, answerTimeout)
	}
	return result, nil
}

// read takes what the program says, until it ends.
func (c *Client) read() {
	defer close(c.gone)
	lines := bufio.NewReader(c.talk.out)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			c.broken = fmt.Errorf("the client has ended: %w", err)
			return
		}
		var event Event
		if err := json.Unmarshal(line, &event); err == nil && event.Kind != "" {
			c.mu.Lock()
			c.events = append(c.events, event)
			close(c.arrived)
			c.arrived = make(chan struct{})
			c.mu.Unlock()
			continue
		}
		var answer reply
		if err := json.Unmarshal(line, &answer); err != nil {
			c.broken = fmt.Errorf("the client said %q: %w", line, err)
			return
		}
		c.mu.Lock()
		if w := c.waiting[answer.ID]; w != nil {
			w <- answer
			delete(c.waiting, answer.ID)
		}
		c.mu.Unlock()
	}
}
