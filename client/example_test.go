package client_test

import (
	"context"
	"fmt"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/internal/xmppserver"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/stanza"
)

// A client signs in and writes a note to its own account. At a server of the world it needs neither Addr nor TLS.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	server, addr := startServer(ctx)
	defer server.Close()

	c, err := client.New(client.Config{
		JID:         jid.MustParse("juliet@xmpp.test"),
		Credentials: sasl.Credentials{Password: sasl.NewSecret("r0m30")},
		Addr:        addr,
		TLS:         server.ClientTLS(),
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	read := make(chan string)
	done := make(chan error)
	go func() {
		done <- c.Serve(ctx, handler(func(batch []stanza.Stanza) {
			for _, s := range batch {
				if m, ok := s.(*stanza.Message); ok {
					read <- m.Body.String()
				}
			}
		}))
	}()
	if err := c.AwaitOnline(ctx); err != nil {
		fmt.Println(err)
		return
	}
	note := &stanza.Message{Header: stanza.Header{To: c.JID()}, Type: stanza.MessageChat, Body: stanza.NewText("wherefore?")}
	if err := c.Send(ctx, note); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(<-read)
	cancel()
	fmt.Println(<-done)
	// Output:
	// wherefore?
	// <nil>
}

// startServer starts a server in this process, with one account.
func startServer(ctx context.Context) (*xmppserver.Server, string) {
	s, err := xmppserver.New(xmppserver.Config{Domain: "xmpp.test", SASL2: true, Listen: xmppserver.Listen{Client: "127.0.0.1:0"}}, nil)
	if err == nil {
		err = s.AddUser("juliet", "r0m30")
	}
	if err == nil {
		err = s.Start(ctx)
	}
	if err != nil {
		panic(err)
	}
	return s, s.ClientAddr()
}
