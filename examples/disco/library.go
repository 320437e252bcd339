package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/form"
)

// Library is a network of books. Shelves are nodes of the gateway, books are nodes below shelves, librarians have addresses of their
// own, and one node shows each reader what she has borrowed.
type Library struct {
	domain  jid.JID
	catalog disco.Tree // what everybody may see

	mu       sync.Mutex
	borrowed map[jid.JID][]disco.Item // by reader
}

// loans is the node that is different for each reader.
const loans = "loans"

// NewLibrary returns a library without books.
func NewLibrary() *Library { return &Library{borrowed: make(map[jid.JID][]disco.Item)} }

// UseDomain implements gateway.Addressed. Now that there are addresses the catalog can be filled.
func (l *Library) UseDomain(domain jid.JID) {
	l.domain = domain
	for _, shelf := range []struct {
		node, name string
		books      [][2]string
	}{
		{"plays", "Plays", [][2]string{{"Hamlet", "Shakespeare"}, {"Faust", "Goethe"}}},
		{"music", "Music", [][2]string{{"The Book of the Oud", "al-Kindi"}}},
	} {
		l.add(disco.Address{JID: domain}, disco.Item{JID: domain, Node: shelf.node, Name: shelf.name}, disco.Info{})
		for _, b := range shelf.books {
			title, author := b[0], b[1]
			l.add(disco.Address{JID: domain, Node: shelf.node}, disco.Item{JID: domain, Node: shelf.node + "/" + title, Name: title}, disco.Info{
				// More about a book than identities and features can say (XEP-0128).
				Forms: []form.Form{*form.Result("urn:example:library#book", form.TextSingle("author", "Author", author))},
			})
		}
	}
	for _, name := range []string{"alberto", "hypatia"} {
		librarian, err := domain.WithLocal(name)
		if err != nil {
			panic(err) // the names are those above
		}
		l.add(disco.Address{JID: domain}, disco.Item{JID: librarian, Name: "Librarian"}, disco.Info{
			Identities: []disco.Identity{{Category: "account", Type: "registered", Name: name}},
		})
	}
}

func (l *Library) add(parent disco.Address, item disco.Item, info disco.Info) {
	if err := l.catalog.Add(parent, item, info); err != nil {
		panic(fmt.Sprintf("catalog: %v", err)) // it is written above
	}
}

// Borrow notes that a reader has a book.
func (l *Library) Borrow(reader jid.JID, title string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	reader = reader.Bare()
	l.borrowed[reader] = append(l.borrowed[reader], disco.Item{JID: l.domain, Node: "copy/" + title, Name: title})
}

// Routes implements gateway.Network. A library does not talk.
func (*Library) Routes(stanza.Sender) []router.Route { return nil }

// Serve implements gateway.Network.
func (*Library) Serve(context.Context, stanza.Sender) error { return nil }

// Identities implements gateway.Identified: one identity, with a name in two languages.
func (*Library) Identities() []disco.Identity {
	return []disco.Identity{
		{Category: "store", Type: "file", Name: "Library", Lang: "en"},
		{Category: "store", Type: "file", Name: "Bibliothek", Lang: "de"},
	}
}

// Features implements gateway.Featured.
func (*Library) Features() []string { return []string{"urn:example:library"} }

// DiscoInfo implements gateway.Discoverable.
func (l *Library) DiscoInfo(ctx context.Context, q disco.Query) (disco.Info, error) {
	if q.To == l.domain && q.Node == loans {
		return disco.Info{Identities: []disco.Identity{{Category: "hierarchy", Type: "branch", Name: "Your loans"}}}, nil
	}
	return l.catalog.DiscoInfo(ctx, q)
}

// DiscoItems implements gateway.Discoverable. Who asks is as sure as the server is: it vouches for q.From.
func (l *Library) DiscoItems(ctx context.Context, q disco.Query) ([]disco.Item, error) {
	if q.To == l.domain && q.Node == loans {
		l.mu.Lock()
		defer l.mu.Unlock()
		return append([]disco.Item(nil), l.borrowed[q.From.Bare()]...), nil
	}
	return l.catalog.DiscoItems(ctx, q)
}
