// Package loopback joins a router to a stream that never leaves the process: stanzas are written as XML and read by the
// parser of streams, in both directions. It serves tests and examples of packages that a stream uses but that use none.
package loopback

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

const contentNS = "jabber:component:accept"

// Stream is the far end of a component's stream: what is given to it reaches the routes, and what these send is kept as XML.
type Stream struct {
	router *router.Router

	mu   sync.Mutex
	sent []string
	ids  int
}

// New returns a stream to these routes.
func New(routes ...router.Route) (*Stream, error) {
	r, err := router.New(router.Config{Routes: routes})
	if err != nil {
		return nil, err
	}
	return &Stream{router: r}, nil
}

// Must is New for routes that are known to be right.
func Must(routes ...router.Route) *Stream {
	s, err := New(routes...)
	if err != nil {
		panic(err)
	}
	return s
}

// Exchange gives the routes the stanzas of this XML, waits until they are handled, and returns what was sent meanwhile, one
// stanza each. XML that no stream would take is the error.
func (s *Stream) Exchange(ctx context.Context, xml string) ([]string, error) {
	batch, err := Read(xml)
	if err != nil {
		return nil, err
	}
	s.router.HandleStanzas(ctx, s, batch)
	if err := s.router.Drain(ctx); err != nil {
		return nil, err
	}
	return s.Take(), nil
}

// Ask is Exchange for one stanza with at most one answer, which it returns; an error is returned as text. It makes examples
// short.
func (s *Stream) Ask(xml string) string {
	sent, err := s.Exchange(context.Background(), xml)
	if err != nil {
		return err.Error()
	}
	return strings.Join(sent, "\n")
}

// Take returns what was sent since the last call, as XML.
func (s *Stream) Take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := s.sent
	s.sent = nil
	return sent
}

// Send implements stanza.Sender: it keeps the stanza.
func (s *Stream) Send(_ context.Context, st stanza.Stanza) error {
	out, err := stanza.Append(nil, st)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, string(out))
	return nil
}

// Request implements stanza.Sender. Nobody is there to answer.
func (s *Stream) Request(context.Context, *stanza.IQ) (*stanza.IQ, error) {
	return nil, errors.New("loopback: nobody answers a request of the routes")
}

// From returns the stream as somebody else sees it: what is sent goes to the routes, and a request is answered by them.
func (s *Stream) From(from jid.JID) stanza.Sender { return &remote{s, from} }

type remote struct {
	stream *Stream
	from   jid.JID
}

// Send implements stanza.Sender.
func (r *remote) Send(ctx context.Context, s stanza.Stanza) error {
	s.Head().From = r.from
	out, err := stanza.Append(nil, s)
	if err != nil {
		return err
	}
	_, err = r.stream.Exchange(ctx, string(out))
	return err
}

// Request implements stanza.Sender.
func (r *remote) Request(ctx context.Context, iq *stanza.IQ) (*stanza.IQ, error) {
	ask := *iq
	ask.From = r.from
	if ask.ID == "" {
		r.stream.mu.Lock()
		r.stream.ids++
		ask.ID = "loopback" + strconv.Itoa(r.stream.ids)
		r.stream.mu.Unlock()
	}
	out, err := stanza.Append(nil, &ask)
	if err != nil {
		return nil, err
	}
	sent, err := r.stream.Exchange(ctx, string(out))
	if err != nil {
		return nil, err
	}
	return Reply(ask.ID, sent)
}

// Reply returns the result among these stanzas that answers the request with this id, or the error.
func Reply(id string, sent []string) (*stanza.IQ, error) {
	answers, err := Read(strings.Join(sent, ""))
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(answers, func(s stanza.Stanza) bool { return s.Kind() == stanza.KindIQ && s.Head().ID == id })
	if i < 0 {
		return nil, fmt.Errorf("loopback: no answer to %s among %q", id, sent)
	}
	if e := answers[i].Failure(); e != nil {
		return nil, e
	}
	return answers[i].(*stanza.IQ), nil
}

// Read returns the stanzas of this XML, as they come from a component's stream.
func Read(xml string) ([]stanza.Stanza, error) {
	p := xmltree.NewParser(xmltree.Config{ContentNS: contentNS, ContentAs: stanza.NS})
	in := strings.NewReader("<stream:stream xmlns='" + contentNS + "' xmlns:stream='" + stanza.NSStream + "'>" + xml + "</stream:stream>")
	var out []stanza.Stanza
	for {
		tok, err := p.Next()
		switch {
		case err != nil:
			return nil, err
		case tok == xmltree.TokenElement:
			s, err := stanza.Parse(p.Element())
			if err != nil {
				return nil, err
			}
			out = append(out, s)
		case tok == xmltree.TokenTooLarge:
			return nil, fmt.Errorf("loopback: a stanza has too many %s", p.Excess())
		case tok == xmltree.TokenClose:
			return out, nil
		case tok == xmltree.TokenNone:
			if _, err := p.Fill(in); err != nil {
				return nil, err
			}
		}
	}
}
