// Program delegation is a gateway that does part of the server's work: it keeps the private XML of the server's accounts, their
// bookmarks for one, in its own database (XEP-0049). The server delegates the namespace jabber:iq:private to it (XEP-0355), and has
// no module of its own for that: neither private nor bookmarks on Prosody, no mod_private on ejabberd.
//
//	go run ./examples/delegation run
package main

import "github.com/postern-im/postern/app"

func main() {
	cabinet := new(Cabinet)
	app.Main(cabinet, app.WithName("cabinet"), app.WithSettings("cabinet", cabinet))
}
