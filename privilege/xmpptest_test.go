package privilege_test

import (
	"testing"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmpptest"
)

// peerInbox is a client of the peer.
type peerInbox struct{ c *xmpptest.User }

func (p peerInbox) next(t *testing.T) (from, id, body string) {
	t.Helper()
	el := await(p.c, "message", "")
	b, _ := el.Child(stanza.NS, "body")
	return el.Attr("from"), el.Attr("id"), b.Text()
}

type signedIn struct{ c *xmpptest.User }

func (s signedIn) jid() string        { return s.c.JID }
func (s signedIn) away(*testing.T)    { s.c.Send("<presence><show>away</show></presence>") }
func (s signedIn) leave(t *testing.T) { s.c.Send("<presence type='unavailable'/>") }

func TestInProcessServer(t *testing.T) {
	for kind, manners := range map[string]xmpptest.Option{"prosody": xmpptest.LikeProsody(), "ejabberd": xmpptest.LikeEjabberd()} {
		t.Run(kind, func(t *testing.T) {
			runBehaviours(t, func(t *testing.T) env {
				s := xmpptest.NewServer(t, manners, xmpptest.WithUser("test", "test"), xmpptest.WithUser("peer", "peer"), xmpptest.WithPrivileges(everything()))
				side := s.Component(s.Domain)
				return env{
					kind: kind, place: of(s), user: "test@" + s.Host, peer: "peer@" + s.Host, echoes: kind == "ejabberd", replays: kind == "prosody",
					listen: func(t *testing.T) inbox {
						c := s.User(t, "peer", "peer")
						c.Send("<presence/>")
						await(c, "presence", "")
						return peerInbox{c}
					},
					login: func(t *testing.T) session {
						c := s.User(t, "test", "test")
						c.Send("<presence/>")
						await(c, "presence", "")
						return signedIn{c}
					},
					ungrant: func(*testing.T) { side.Grant(nil); side.Drop() },
					grant:   func(*testing.T) { p := everything(); side.Grant(&p) },
				}
			})
		})
	}
}
