package main

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/delegation"
	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/storage/sqlite"
	"github.com/postern-im/postern/xep/ping"
	"github.com/postern-im/postern/xep/private"
	"github.com/postern-im/postern/xmpptest"
)

// drawer is a cabinet at work.
type drawer struct {
	addr, domain, secret, server string
	file                         string // of its database
}

// open runs the cabinet behind a server and returns when the server has delegated the namespace to it. stop ends it and closes its
// database.
func (d drawer) open(t *testing.T) (stop func()) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), d.file, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	network := &Cabinet{Quota: 1000}
	network.UseStorage(store)
	us := jid.MustParse(d.domain)
	m, err := delegation.New(delegation.Config{
		JID: us, Servers: []jid.JID{jid.MustParse(d.server)}, Namespaces: network.Delegations(), Store: store,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	granted := make(chan struct{}, 100)
	m.OnGrants(func(_ jid.JID, grants []delegation.Grant) {
		if len(grants) > 0 {
			granted <- struct{}{}
		}
	})
	routes := append(ping.Routes(), m.Routes()...)
	info, err := disco.New(disco.Config{
		JID: us, Identities: []disco.Identity{{Category: "store", Type: "file"}}, Features: router.Features(routes), Sources: []disco.Source{m},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := router.New(router.Config{Routes: append(routes, info.Routes()...), Unwrap: []router.Unwrap{m.Unwrap}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := component.New(component.Config{Addr: d.addr, Domain: us, Secret: component.Secret(d.secret)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- c.Serve(ctx, r) }()
	go func() { done <- m.Serve(ctx) }()
	<-granted
	return func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}

const bookmarks = "<storage xmlns='storage:bookmarks'><conference name='The Globe' jid='globe@muc.localhost' autojoin='true'/></storage>"

func query(content string) string { return "<query xmlns='jabber:iq:private'>" + content + "</query>" }

// until asks until the answer is as wanted.
func until(t *testing.T, ask func() string, wanted func(answer string) bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; {
		got := ask()
		if wanted(got) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("at last: %s", got)
		}
	}
}

// forwarded: ejabberd advertises a namespace a moment before it forwards what is asked of accounts.
func forwarded(answer string) bool { return !strings.Contains(answer, "<service-unavailable ") }

// TestCabinet: what an account has put in is there again after a restart, and nobody else gets at it.
func TestCabinet(t *testing.T) {
	for name, like := range map[string]xmpptest.Option{"prosody": xmpptest.LikeProsody(), "ejabberd": xmpptest.LikeEjabberd()} {
		t.Run(name, func(t *testing.T) {
			s := xmpptest.NewServer(t, like, xmpptest.WithDelegation(private.NS), xmpptest.WithUser("romeo", "r"), xmpptest.WithUser("tybalt", "t"))
			d := drawer{s.Addr, s.Domain, s.Secret, s.Host, filepath.Join(t.TempDir(), "cabinet.db")}
			stop := d.open(t)
			romeo, tybalt := s.User(t, "romeo", "r"), s.User(t, "tybalt", "t")
			ask := func(u *xmpptest.User, typ, to, content, want string) {
				t.Helper()
				if got := u.Ask("<iq type='" + typ + "'" + to + ">" + query(content) + "</iq>").String(); !strings.Contains(got, want) {
					t.Errorf("no %s in %s", want, got)
				}
			}
			opened := func() {
				t.Helper()
				until(t, func() string {
					return romeo.Ask("<iq type='get'>" + query("<storage xmlns='storage:bookmarks'/>") + "</iq>").String()
				}, forwarded)
			}
			opened()
			ask(romeo, "get", "", "<storage xmlns='storage:bookmarks'/>", "<storage xmlns='storage:bookmarks'/>")
			ask(romeo, "set", "", bookmarks, "type='result'")
			ask(romeo, "set", "", "<a xmlns='urn:a'>"+strings.Repeat("x", 1000)+"</a>", "<resource-constraint ")
			ask(tybalt, "get", "", "<storage xmlns='storage:bookmarks'/>", "<storage xmlns='storage:bookmarks'/>")
			ask(tybalt, "get", " to='romeo@localhost'", "<storage xmlns='storage:bookmarks'/>", "<service-unavailable ")
			stop()
			ask(romeo, "get", "", "<storage xmlns='storage:bookmarks'/>", "<service-unavailable ")
			stop = d.open(t)
			opened()
			ask(romeo, "get", "", "<storage xmlns='storage:bookmarks'/>", "<conference name='The Globe' jid='globe@muc.localhost' autojoin='true'/>")
			stop()
		})
	}
}
