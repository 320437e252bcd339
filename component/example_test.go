package component_test

import (
	"context"
	"fmt"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/internal/xmppserver"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// A component that takes messages, behind a server on the same machine. Here it writes the first one to itself, and stops.
func Example() {
	addr, closeServer := server("hello.localhost", "secret")
	defer closeServer()

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	c, err := component.New(component.Config{Domain: jid.MustParse("hello.localhost"), Secret: "secret", Addr: addr}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := router.New(router.Config{Routes: []router.Route{
		router.HandleMessage(stanza.MessageChat, func(_ context.Context, m *stanza.Message) error {
			fmt.Printf("%s writes: %s\n", m.From, m.Body)
			stop()
			return nil
		}),
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	c.OnState(func(s component.State) {
		if s.Phase == component.PhaseOnline {
			to := jid.MustParse("bot@hello.localhost")
			_ = c.Send(ctx, &stanza.Message{Header: stanza.Header{To: to}, Type: stanza.MessageChat, Body: stanza.NewText("Hello, world")})
		}
	})
	if err := c.Serve(ctx, r); err != nil { // until ctx ends
		fmt.Println(err)
	}
	// Output: hello.localhost writes: Hello, world
}

// server starts a server in this process that takes one component.
func server(domain, secret string) (addr string, stop func()) {
	s, err := xmppserver.New(xmppserver.Config{
		Components: map[string]string{domain: secret}, Listen: xmppserver.Listen{Component: "127.0.0.1:0"},
	}, nil)
	if err == nil {
		err = s.Start(context.Background())
	}
	if err != nil {
		panic(err)
	}
	return s.ComponentAddr(), func() { _ = s.Close() }
}
