package doctor

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// desk takes what arrives during an examination. It notes what servers grant and answers what they ask before they delegate. All else
// is refused: somebody else may be served soon.
type desk struct {
	servers []jid.JID
	wanted  []Grant
	shown   disco.Source // or nil

	mu      sync.Mutex
	grants  map[jid.JID]map[string][]Grant // by server, then namespace of the advertisement
	others  map[jid.JID]bool               // senders of advertisements that are no servers of ours
	changed chan struct{}
}

func newDesk(cfg Config) *desk {
	return &desk{
		servers: cfg.Servers, wanted: cfg.Grants, shown: cfg.Shown, grants: make(map[jid.JID]map[string][]Grant), others: make(map[jid.JID]bool),
		changed: make(chan struct{}),
	}
}

// HandleStanzas implements stanza.Handler.
func (d *desk) HandleStanzas(ctx context.Context, out stanza.Sender, batch []stanza.Stanza) {
	for _, s := range batch {
		var answer stanza.Stanza
		switch s := s.(type) {
		case *stanza.IQ:
			answer = d.iq(ctx, s)
		case *stanza.Message:
			if d.advertised(s) || s.Type != stanza.MessageChat && s.Type != stanza.MessageNormal {
				continue
			}
			answer = s.Fail(refusal())
		default:
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		_ = out.Send(ctx, answer) // the sender times out in the worst case
		cancel()
	}
}

func refusal() *stanza.Error {
	return &stanza.Error{Type: stanza.ErrorWait, Condition: stanza.ServiceUnavailable, Text: stanza.NewText("the gateway is being checked")}
}

// iq answers a request. The questions about delegated namespaces come first of all; ejabberd delegates nothing until they are answered
// (XEP-0355 section 7.2).
func (d *desk) iq(ctx context.Context, iq *stanza.IQ) stanza.Stanza {
	q, err := stanza.Decode[disco.Info](iq.Payload)
	if err != nil || iq.Type != stanza.IQGet || !d.ours(iq.From) {
		return iq.Fail(refusal())
	}
	if d.shown != nil {
		if info, err := d.shown.DiscoInfo(ctx, disco.Query{To: iq.To, Node: q.Node, From: iq.From}); err == nil {
			info.Node = q.Node
			return iq.Result(info)
		}
	}
	for _, ns := range delegationVersions() {
		rest, ok := strings.CutPrefix(q.Node, ns+":")
		if !ok {
			continue
		}
		about := strings.TrimPrefix(strings.TrimPrefix(rest, ":"), "bare:")
		if slices.ContainsFunc(d.wanted, func(g Grant) bool { return g.Right == RightDelegation && g.Namespace == about }) {
			return iq.Result(disco.Info{Node: q.Node, Features: []string{about}})
		}
	}
	return iq.Fail(refusal())
}

func (d *desk) ours(from jid.JID) bool { return slices.ContainsFunc(d.servers, from.Equivalent) }

// advertised notes an advertisement, and reports whether the message is one.
func (d *desk) advertised(m *stanza.Message) bool {
	if m.Type != stanza.MessageNormal {
		return false
	}
	found := false
	for _, p := range m.Payloads {
		el, ok := element(p)
		if !ok {
			continue
		}
		name := el.Name()
		var list []Grant
		switch {
		case name.Local == "privilege" && name.Space == nsPrivilege:
			list = privileges(el)
		case name.Local == "delegation" && slices.Contains(delegationVersions(), name.Space):
			list = delegations(el)
		default:
			continue
		}
		found = true
		d.note(m.From, name.Space, list)
	}
	return found
}

func element(p stanza.Payload) (xmltree.Element, bool) {
	el, err := stanza.Element(p)
	return el, err == nil
}

func (d *desk) note(from jid.JID, ns string, list []Grant) {
	const most = 16 // strangers
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.ours(from):
		key, _ := from.Normal()
		if d.grants[key] == nil {
			d.grants[key] = make(map[string][]Grant)
		}
		if ns != nsPrivilege { // ejabberd sends a message for each namespace, one after the other
			list = append(list, d.grants[key][ns]...)
		}
		d.grants[key][ns] = sorted(list)
	case len(d.others) < most:
		d.others[from] = true
	}
	close(d.changed)
	d.changed = make(chan struct{})
}

// given returns what a server grants.
func (d *desk) given(server jid.JID) []Grant {
	d.mu.Lock()
	defer d.mu.Unlock()
	key, _ := server.Normal()
	var all []Grant
	for _, list := range d.grants[key] {
		all = append(all, list...)
	}
	return sorted(all)
}

// privileged reports whether a server has said that it grants privileges, be it none.
func (d *desk) privileged(server jid.JID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	key, _ := server.Normal()
	_, ok := d.grants[key][nsPrivilege]
	return ok
}

// strangers returns who else has sent advertisements.
func (d *desk) strangers() []jid.JID {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []jid.JID
	for j := range d.others {
		list = append(list, j)
	}
	slices.SortFunc(list, func(a, b jid.JID) int { return strings.Compare(a.String(), b.String()) })
	return list
}

// await waits until an advertisement has made done true, for patience at most.
func (d *desk) await(ctx context.Context, patience time.Duration, done func() bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		d.mu.Lock()
		changed := d.changed
		d.mu.Unlock()
		if done() {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
