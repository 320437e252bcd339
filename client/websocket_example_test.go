package client_test

import (
	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/sasl"
)

// overWebSocket has an account's server asked for over HTTPS, in place of DNS; with a URL it need not be asked for.
func overWebSocket(account jid.JID, password sasl.Secret, url string) client.Config {
	return client.Config{
		JID: account, Credentials: sasl.Credentials{Password: password},
		WebSocket: true,
		Addr:      url, // such as "wss://example.org/xmpp-websocket", or ""
	}
}
