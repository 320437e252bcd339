package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/outbox"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
)

// welcome registers a user and tells her, both or neither, and once however often it is called.
func welcome(ctx context.Context, store storage.Store, box *outbox.Outbox, user jid.JID) error {
	return store.InTx(ctx, func(ctx context.Context) error {
		if err := store.PutAccount(ctx, storage.Account{User: user}); err != nil {
			return err
		}
		_, err := box.Put(ctx, &stanza.Message{
			Header: stanza.Header{ID: "welcome", To: user},
			Body:   stanza.NewText("You are registered."),
		})
		return err
	})
}

// run is what a program does: the outbox ends before the stream, unless the lease is lost. The component's Config.Fence is
// owner.Check.
func run(ctx context.Context, owner *outbox.Owner, box *outbox.Outbox, c *component.Component) error {
	return owner.Run(ctx, func(ctx context.Context) error {
		serving, stop := context.WithCancel(context.WithoutCancel(ctx))
		defer stop()
		served := make(chan error, 1)
		go func() { served <- c.Serve(serving, handler{}) }()
		err := box.Run(ctx, c)
		stop()
		return errors.Join(err, <-served)
	})
}

func TestWelcome(t *testing.T) {
	store, err := openSQLite(t.Context(), filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	box, err := outbox.New(outbox.Config{Domain: jid.MustParse(gw)}, store, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := welcome(t.Context(), store, box, jid.MustParse("juliet@capulet.example")); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := store.ListOutbox(t.Context(), 0, 10)
	if err != nil || len(rows) != 1 || rows[0].Conversation != fmt.Sprintf("%s juliet@capulet.example", gw) {
		t.Errorf("%+v %v", rows, err)
	}
}
