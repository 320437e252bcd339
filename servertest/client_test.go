//go:build integration

package servertest_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/postern-im/postern/servertest"
)

func TestClient(t *testing.T) {
	servers.Each(t, func(t *testing.T, s *servertest.Server) {
		test, user2 := s.Client(t, "test"), s.Client(t, "user2")

		t.Run("discovery", func(t *testing.T) {
			info, err := test.DiscoInfo(t, s.Host, "")
			if err != nil {
				t.Fatal(err)
			}
			if !info.Has("urn:xmpp:ping") || info.Has("urn:example:nothing") {
				t.Errorf("features: %q", info.Features)
			}
			if !slices.ContainsFunc(info.Identities, func(i servertest.Identity) bool { return i.Category == "server" && i.Type == "im" }) {
				t.Errorf("identities: %+v", info.Identities)
			}
			items, err := test.DiscoItems(t, s.Host, "")
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(items, func(i servertest.Item) bool { return i.JID == "muc."+s.Host }) {
				t.Errorf("items: %+v", items)
			}
		})
		t.Run("ping", func(t *testing.T) {
			if err := test.Ping(t, s.Host); err != nil {
				t.Error(err)
			}
		})
		t.Run("version", func(t *testing.T) {
			v, err := test.Version(t, s.Host)
			if err != nil {
				t.Fatal(err)
			}
			if v.Name == "" || v.Version == "" {
				t.Errorf("got %+v", v)
			}
		})
		t.Run("any IQ", func(t *testing.T) {
			const ping = "<ping xmlns='urn:xmpp:ping'/>"
			if got := test.IQ(t, "get", s.Host, ping); !strings.Contains(got, `type="result"`) {
				t.Errorf("got %s", got)
			}
			if got := test.IQ(t, "set", "", "<x xmlns='urn:example:nothing'>&lt;</x>"); !strings.Contains(got, `type="error"`) || !strings.Contains(got, "<service-unavailable ") {
				t.Errorf("got %s", got)
			}
		})
		t.Run("stanza error", func(t *testing.T) {
			err := test.Ping(t, "nowhere."+s.Host)
			var e *servertest.StanzaError
			if !errors.As(err, &e) || e.Condition == "" {
				t.Errorf("got %v", err)
			}
		})
		t.Run("messages", func(t *testing.T) {
			id := test.SendMessage(t, user2.JID, "a <b> & \u2603\n")
			got := user2.AwaitMessage(t, "test@"+s.Host)
			if got.Body != "a <b> & \u2603\n" || got.Type != "chat" || got.ID != id || got.From != test.JID {
				t.Errorf("got %+v", got)
			}
		})
		t.Run("subscription", func(t *testing.T) {
			test.SendPresence(t, "user2@"+s.Host, "subscribe")
			user2.AwaitPresence(t, "test@"+s.Host, "subscribe")
			user2.SendPresence(t, "test@"+s.Host, "subscribed")
			test.AwaitPresence(t, "user2@"+s.Host, "subscribed")
			test.AwaitPresence(t, user2.JID, "")
			if got, want := test.Roster(t), (servertest.Contact{JID: "user2@" + s.Host, Subscription: "to"}); !slices.Contains(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	})
}
