// Program gateway puts a network behind an XMPP server. What it can do is in package app; which network it is, in network.go.
package main

import (
	_ "golang.org/x/crypto/x509roots/fallback" // authorities for TLS where the system has none, such as in an empty container

	"github.com/postern-im/postern/app"
)

func main() { app.Main(echo{}, app.WithName("gateway")) }
