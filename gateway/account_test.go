package gateway_test

import (
	"context"
	"encoding/xml"
	"errors"
	"strings"
	"testing"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/gateway"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/sqlite"
	"github.com/postern-im/postern/xmltree"
	"github.com/postern-im/postern/xmpptest"
)

// registration is a request of XEP-0077, as far as the test needs it.
type registration struct {
	Username string
	Remove   bool
}

func (registration) PayloadName() xml.Name {
	return xml.Name{Space: "jabber:iq:register", Local: "query"}
}

// EncodeXML implements xmltree.Marshaler; nobody sends one.
func (registration) EncodeXML(*xmltree.Encoder) {}

func (r *registration) DecodeXML(el xmltree.Element) error {
	if name, ok := el.Child("jabber:iq:register", "username"); ok {
		r.Username = name.Text()
	}
	_, r.Remove = el.Child("jabber:iq:register", "remove")
	return nil
}

// office registers users.
type office struct {
	accounts storage.Accounts
	keys     chan jid.JID // under which it looked
}

func (o *office) register(ctx context.Context, _ *stanza.IQ, r registration) (stanza.Payload, error) {
	user, err := gateway.AccountOf(ctx)
	if err != nil {
		return nil, err
	}
	o.keys <- user
	if r.Remove {
		_, err = o.accounts.DeleteAccount(ctx, user)
		return nil, err
	}
	return nil, o.accounts.PutAccount(ctx, storage.Account{User: user, Name: r.Username})
}

// TestSEC15_Registration has strangers register, and unregister, in the name of a user.
func TestSEC15_Registration(t *testing.T) {
	srv := xmpptest.NewServer(t, xmpptest.WithUser("victim", "v"), xmpptest.WithUser("mallory", "m"))
	st, err := sqlite.Open(t.Context(), sqlite.Memory, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	o := &office{st, make(chan jid.JID, 1)}
	r, err := router.New(router.Config{Routes: []router.Route{router.HandleIQ(stanza.IQSet, o.register)}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := component.New(component.Config{Domain: jid.MustParse(srv.Domain), Secret: component.Secret(srv.Secret), Addr: srv.Addr}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Serve(ctx, r) }()
	defer func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}()
	side := srv.Component(srv.Domain)
	side.Connected()

	records := func() (all []string) {
		for a, err := range st.EachAccount(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, a.User.String()+"="+a.Name)
		}
		return all
	}
	ask := func(u *xmpptest.User, content string) string {
		return u.Ask("<iq type='set' to='" + srv.Domain + "'><query xmlns='jabber:iq:register'>" + content + "</query></iq>").String()
	}
	victim, mallory := srv.User(t, "victim", "v"), srv.User(t, "mallory", "m")
	for _, step := range []struct {
		name    string
		by      *xmpptest.User
		content string
		want    string
	}{
		{"the victim registers", victim, "<username>victim</username>", "victim@localhost=victim"},
		{"mallory as the victim", mallory, "<username>victim</username>", "mallory@localhost=victim victim@localhost=victim"},
		{"mallory as the victim's address", mallory, "<username>victim@localhost/x</username>", "mallory@localhost=victim@localhost/x victim@localhost=victim"},
		{"mallory removes the victim", mallory, "<username>victim</username><remove/>", "victim@localhost=victim"},
		{"from another client", victim, "<username>vic</username>", "victim@localhost=vic"},
	} {
		if got := ask(step.by, step.content); !strings.Contains(got, "type='result'") {
			t.Errorf("%s: %s", step.name, got)
		}
		if key := <-o.keys; key.String() != jid.MustParse(step.by.JID).BareString() {
			t.Errorf("%s: the key is %s", step.name, key)
		}
		if got := strings.Join(records(), " "); got != step.want {
			t.Errorf("%s: %s", step.name, got)
		}
	}

	// Of other servers, and servers themselves.
	side.Clear()
	for from, want := range map[string]string{
		"victim@localhost.evil.example/x": "type='result'",
		"evil.example":                    "<forbidden ",
		"evil.example/victim@localhost":   "<forbidden ",
	} {
		side.Send("<iq type='set' id='1' from='" + from + "' to='" + srv.Domain + "'><query xmlns='jabber:iq:register'><username>victim</username><remove/></query></iq>")
		if got := side.Expect(xmpptest.Kind(stanza.KindIQ, "")).String(); !strings.Contains(got, want) {
			t.Errorf("%s: %s", from, got)
		}
	}
	if got := strings.Join(records(), " "); got != "victim@localhost=vic" {
		t.Errorf("at last: %s", got)
	}
	if _, err := gateway.AccountOf(t.Context()); !errors.Is(err, gateway.ErrNoStanza) {
		t.Errorf("outside a handler: %v", err)
	}
}
