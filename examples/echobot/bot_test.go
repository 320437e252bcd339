package main

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/stanza"
)

// start runs a bot until the test ends, and returns when it is there.
func start(t *testing.T, cfg client.Config) *client.Client {
	t.Helper()
	bot, answer, err := newBot(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- bot.Serve(ctx, answer) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	there, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	if err := bot.AwaitOnline(there); err != nil {
		t.Fatalf("%v: %+v", err, bot.State())
	}
	if err := bot.Barrier(there); err != nil { // the server has taken its presence
		t.Fatal(err)
	}
	return bot
}

// testBot has somebody talk to the bot.
func testBot(t *testing.T, s usertest.Server) {
	said := usertest.NewInbox[string]() // what the bot says
	account := s.Account(t, "bot").JID
	bot := start(t, client.Config{
		JID: account, Credentials: sasl.Credentials{Password: sasl.NewSecret("secret")}, Addr: s.Addr, TLS: s.TLS,
		WireLog: func(d client.Direction, xml []byte) {
			if d == client.Out && bytes.Contains(xml, []byte(" type='chat'>")) { // and no refusal of a server's notice
				said <- string(xml)
			}
		},
	})
	heard, routes := usertest.Bodies()
	me := s.Account(t, "me").SignIn(t, routes...)
	// What has no text has no echo: the echo of what follows comes first.
	silent := &stanza.Message{Header: stanza.Header{To: account}, Type: stanza.MessageChat, Thread: stanza.Thread{ID: "t"}}
	loud := &stanza.Message{Header: silent.Header, Type: silent.Type, Thread: silent.Thread}
	loud.Body = stanza.Text{{Text: "hello & <goodbye>"}, {Lang: "de", Text: "hallo"}}
	me.Out(silent, loud)
	if m := heard.Next(t); m.From != bot.JID() || m.Thread.ID != "t" || m.Body.String() != "hello & <goodbye>" || m.Body.In("de") != "hallo" {
		t.Errorf("%+v", m)
	}
	// What the bot says to itself comes back to its account, and has no echo: that would have one as well, and so on.
	if err := bot.Send(t.Context(), usertest.Chat(account, "am I?")); err != nil {
		t.Fatal(err)
	}
	me.Out(usertest.Chat(bot.JID(), "still there?"))
	if m := heard.Next(t); m.Body.String() != "still there?" {
		t.Errorf("%+v", m)
	}
	for range 3 {
		said.Next(t)
	}
	said.None(t)
}
