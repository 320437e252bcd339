package xmppserver

import (
	"crypto/rand"
	"encoding/xml"
	"slices"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/delay"
	"github.com/postern-im/postern/xep/form"
	"github.com/postern-im/postern/xep/rsm"
	"github.com/postern-im/postern/xmltree"
)

// Namespaces of archives.
const (
	nsMAM      = "urn:xmpp:mam:2" // XEP-0313
	nsStanzaID = "urn:xmpp:sid:0" // XEP-0359
)

// Bounds of an archive: of messages that are kept, the oldest going first, and of those in one page.
const (
	maxArchive     = 1000
	maxArchivePage = 50
)

// archived is a message in an account's archive.
type archived struct {
	id    string
	stamp time.Time
	with  jid.JID
	el    xmltree.Element
}

// archive keeps a message of a conversation with somebody, and returns it as the user gets it: with its id in the archive, and without
// any that somebody else has put there in our name (XEP-0313 section 3.1, XEP-0359 section 6).
func (a *account) archive(p *packet, with jid.JID) *packet {
	if !a.srv.cfg.Archive || p.kind != stanza.KindMessage || !archives(p) {
		return p
	}
	q := *p
	q.el = without(p.tree(), func(c xmltree.Element) bool { return c.Is(nsStanzaID, "stanza-id") && c.Attr("by") == a.jid.String() })
	it := archived{id: rand.Text(), stamp: time.Now().UTC().Truncate(time.Microsecond), with: with, el: q.el}
	if len(a.messages) == maxArchive {
		a.messages = slices.Delete(a.messages, 0, 1)
	}
	a.messages = append(a.messages, it)
	q.extra = element{space: nsStanzaID, local: "stanza-id", attrs: []string{"by", a.jid.String(), "id", it.id}}.tree()
	return &q
}

// archiveSent keeps what a user sends.
func (s *Server) archiveSent(ss *session, p *packet) {
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	if p.to.Bare() != ss.user.jid { // what comes back is kept then
		ss.user.archive(p, p.to)
	}
}

func archives(p *packet) bool {
	switch p.typ {
	case "", "normal", "chat":
		_, ok := p.el.Child(stanza.NS, "body")
		return ok
	}
	return false
}

// without returns an element without some of its children.
func without(el xmltree.Element, drop func(xmltree.Element) bool) xmltree.Element {
	enc := xmltree.NewEncoder(nil, stanza.NS)
	enc.SetLimits(relaySize, relayDepth)
	enc.Start(el.Name())
	for name, v := range el.Attrs() {
		enc.AttrNS(name, v)
	}
	for n := range el.Nodes() {
		switch {
		case n.Element.IsZero():
			enc.Text(n.Text)
		case !drop(n.Element):
			enc.Element(n.Element)
		}
	}
	enc.End()
	els, err := ParseStanzas(string(enc.Bytes()))
	if err != nil {
		panic("xmppserver: a stanza that was read: " + err.Error())
	}
	return els[0]
}

// queryArchive sends the messages that are asked for, and returns what ends them (XEP-0313 section 4).
func (a *account) queryArchive(p *packet, q xmltree.Element) (stanza.Payload, error) {
	ss := a.sessions[p.from.Resource()]
	if ss == nil {
		return nil, stanza.NotAllowed
	}
	found := a.messages
	if x, ok := q.Child("jabber:x:data", "x"); ok {
		f, err := stanza.Decode[form.Form](x)
		if err != nil {
			return nil, stanza.BadRequest
		}
		with, _ := jid.ParseRouted(f.Fields.Value("with"))
		start, _ := delay.ParseStamp(f.Fields.Value("start"))
		end, _ := delay.ParseStamp(f.Fields.Value("end"))
		found = slices.DeleteFunc(slices.Clone(found), func(it archived) bool {
			return !with.IsZero() && it.with != with && it.with.Bare() != with || it.stamp.Before(start) || !end.IsZero() && it.stamp.After(end)
		})
	}
	set, err := rsm.Find(q)
	if err != nil {
		return nil, stanza.BadRequest
	}
	if set == nil {
		set = &rsm.Set{}
	}
	page, res, err := rsm.Page(found, func(it archived) string { return it.id }, set, maxArchivePage)
	if err != nil {
		return nil, err
	}
	for _, it := range page {
		ss.send(packetOf(&stanza.Message{Header: stanza.Header{From: a.jid, To: ss.jid}, Payloads: []stanza.Payload{carrier{
			name: xml.Name{Space: nsMAM, Local: "result"}, attrs: []string{"queryid", q.Attr("queryid"), "id", it.id}, inner: it.el,
			delay: element{space: delay.NS, local: "delay", attrs: []string{"stamp", delay.FormatDateTime(it.stamp)}}.tree(),
		}}}))
	}
	f := fin{set: res, complete: len(page) == 0}
	if len(page) > 0 {
		f.complete = page[len(page)-1].id == found[len(found)-1].id
		if set.Before != nil {
			f.complete = page[0].id == found[0].id
		}
	}
	return f, nil
}

// fin ends the results of a query.
type fin struct {
	set      *rsm.Set
	complete bool
}

// PayloadName implements stanza.Payload.
func (fin) PayloadName() xml.Name { return xml.Name{Space: nsMAM, Local: "fin"} }

// EncodeXML implements xmltree's own encoding.
func (f fin) EncodeXML(enc *xmltree.Encoder) {
	if f.complete {
		enc.Attr("complete", "true")
	}
	set := rsm.Set{}
	if f.set != nil {
		set = *f.set
	}
	stanza.EncodePayload(enc, set)
}
