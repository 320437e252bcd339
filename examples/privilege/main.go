// Program privilege is a gateway that does something in its users' names: who tells it to invite somebody gets the club into her roster,
// and the guest gets an invitation from her. The server grants it both (XEP-0356).
//
//	go run ./examples/privilege run
package main

import "github.com/postern-im/postern/app"

func main() { app.Main(new(Club), app.WithName("club")) }
