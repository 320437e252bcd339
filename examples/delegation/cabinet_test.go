package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/internal/programtest"
	"github.com/postern-im/postern/xep/private"
	"github.com/postern-im/postern/xmpptest"
)

// drawer is a cabinet at work.
type drawer struct {
	addr, domain, secret string
	database             string // its URL
}

// open runs the cabinet behind a server and returns when the server has delegated the namespace to it. stop ends it.
func (d drawer) open(t *testing.T) (stop func()) {
	t.Helper()
	p := programtest.Start(t, []string{
		"POSTERN_COMPONENT_ADDRESS=" + d.addr, "POSTERN_COMPONENT_DOMAIN=" + d.domain, "POSTERN_COMPONENT_SECRET=" + d.secret,
		"POSTERN_DATABASE_URL=" + d.database, "POSTERN_ADMIN_LISTEN=off", "POSTERN_CABINET_QUOTA=1000",
	}, "run")
	p.Await("delegated to us")
	return p.Stop
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
			d := drawer{s.Addr, s.Domain, s.Secret, "sqlite:" + filepath.Join(t.TempDir(), "cabinet.db")}
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
