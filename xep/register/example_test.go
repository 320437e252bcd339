package register_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/internal/xmppserver"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/register"
)

// signUp makes the account of a configuration, with the password that is in it.
func signUp(ctx context.Context, cfg client.Config) error {
	return client.Register(ctx, cfg, nil, func(ctx context.Context, out stanza.Sender) error {
		err := register.New(ctx, out, jid.JID{}, map[string]string{
			register.Username: cfg.JID.Local(), register.Password: cfg.Credentials.Password.Reveal(),
		})
		if elsewhere := new(register.RedirectError); errors.As(err, &elsewhere) {
			return fmt.Errorf("please register at %s", elsewhere.URL)
		}
		return err // stanza.Conflict: the name is taken
	})
}

func Example() {
	addr, trust, stop := inProcess()
	defer stop()
	cfg := client.Config{
		JID: jid.MustParse("juliet@localhost"), Credentials: sasl.Credentials{Password: sasl.NewSecret("R0m30")}, Addr: addr, TLS: trust,
	}
	for range 2 {
		err := signUp(context.Background(), cfg)
		fmt.Println(err == nil, errors.Is(err, stanza.Conflict))
	}
	// Output:
	// true false
	// false true
}

// inProcess starts a server in this process.
func inProcess() (addr string, trust *tls.Config, stop func()) {
	s, err := xmppserver.New(xmppserver.Config{Registration: true, Listen: xmppserver.Listen{Client: "127.0.0.1:0"}}, nil)
	if err == nil {
		err = s.Start(context.Background())
	}
	if err != nil {
		panic(err)
	}
	return s.ClientAddr(), s.ClientTLS(), func() { _ = s.Close() }
}
