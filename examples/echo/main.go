// Program echo is a whole gateway in miniature: whatever address of its domain somebody writes to says it back.
//
//	go run ./examples/echo demo
package main

import "github.com/postern-im/postern/app"

func main() { app.Main(Echo{}, app.WithName("echo")) }
