// Program gateway puts a network behind an XMPP server. What it can do is in package app; which network it is, in network.go.
package main

import "github.com/postern-im/postern/app"

func main() { app.Main(echo{}, app.WithName("gateway")) }
