package privilege_test

import (
	"context"
	"testing"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/outbox"
	"github.com/postern-im/postern/privilege"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/xmpptest"
)

// congratulate notes a user's jubilee and writes to her friend as her, both or neither, and once however often it is called.
func congratulate(ctx context.Context, store storage.Store, box *outbox.Outbox, user privilege.User, friend jid.JID) error {
	return store.InTx(ctx, func(ctx context.Context) error {
		if err := store.PutAccount(ctx, storage.Account{User: user.JID(), Name: "ten years with us"}); err != nil {
			return err
		}
		_, err := user.PutMessage(ctx, box, &stanza.Message{
			Header: stanza.Header{ID: "jubilee", To: friend},
			Type:   stanza.MessageChat,
			Body:   stanza.NewText("It is ten years today!"),
		})
		return err
	})
}

func TestCongratulate(t *testing.T) {
	srv := xmpptest.NewServer(t, xmpptest.WithUser("juliet", "j"), xmpptest.WithUser("romeo", "r"), xmpptest.WithPrivileges(everything()))
	q := queued(t, connect(t, of(srv), privilege.Config{}))
	romeo := srv.User(t, "romeo", "r")
	romeo.Send("<presence/>")
	u := q.user("juliet@localhost")
	for range 2 {
		if err := congratulate(t.Context(), q.store, q.box, u, jid.MustParse("romeo@localhost")); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.fate(u, chat("romeo@localhost", "the end")); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"It is ten years today!", "the end"} {
		body, _ := await(romeo, "message", "").Child(stanza.NS, "body")
		if body.Text() != want {
			t.Errorf("%q came in place of %q", body.Text(), want)
		}
	}
}
