// Program disco is a gateway that can be looked around in by service discovery: what it is, what it can do, what belongs to it, what
// belongs to that, and what there is to know of each.
//
//	go run ./examples/disco demo
package main

import "github.com/postern-im/postern/app"

func main() { app.Main(NewLibrary(), app.WithName("library")) }
