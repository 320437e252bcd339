package sasl_test

import (
	"context"
	"crypto/tls"
	"fmt"

	"github.com/postern-im/postern/sasl"
)

// What a server offers decides, within what the policy allows, and an error says why nothing fits.
func ExampleChoose() {
	alice := sasl.Credentials{Username: "alice", Password: sasl.NewSecret("wonderland")}
	channel := sasl.Channel{Secure: true, Bindings: []sasl.Binding{{Type: sasl.TLSExporter}, {Type: sasl.TLSServerEndPoint}}}

	choice, err := sasl.Choose(sasl.Offer{
		Mechanisms: []string{"PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"},
		Bindings:   []string{"tls-server-end-point", "tls-exporter"},
	}, channel, alice, sasl.Policy{})
	fmt.Println(choice, err)

	_, err = sasl.Choose(sasl.Offer{Mechanisms: []string{"PLAIN"}}, channel, alice, sasl.Policy{})
	fmt.Println(err)
	// Output:
	// SCRAM-SHA-256-PLUS p tls-exporter <nil>
	// sasl: no mechanism can be used: the server offers PLAIN; this connection has tls-exporter, tls-server-end-point; PLAIN: shows the server the password; needs Policy.AllowPlain
}

// A client sends what Start and Next return, base64 and XML around them, until the server tells of its success.
func ExampleMechanism() {
	signIn := func(ctx context.Context, connection *tls.Conn, offer sasl.Offer, ask func(mechanism string, message []byte) (challenge, success []byte, err error)) error {
		state := connection.ConnectionState()
		credentials := sasl.Credentials{Username: "alice", Domain: "example.org", Password: sasl.NewSecret("wonderland")}
		choice, err := sasl.Choose(offer, sasl.NewChannel(&state, true), credentials, sasl.Policy{})
		if err != nil {
			return err
		}
		mechanism, err := choice.New()
		if err != nil {
			return err
		}
		message, err := mechanism.Start()
		for err == nil {
			var challenge, success []byte
			if challenge, success, err = ask(mechanism.Name(), message); err != nil {
				break // the server refused: a sasl.Condition
			}
			if challenge == nil {
				return mechanism.Done(success)
			}
			message, err = mechanism.Next(ctx, challenge)
		}
		return err
	}
	_ = signIn
}
