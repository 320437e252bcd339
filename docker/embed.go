// Package docker carries the folders of the server images, one folder per image, so that [servertest] finds them wherever
// the module is: in a clone, in a fork, or in the module cache of a project that imports it.
//
// [servertest]: https://pkg.go.dev/github.com/postern-im/postern/servertest
package docker

import "embed"

// Files holds the build context of each server image: certificates.sh and healthy.sh, which the two XMPP servers share, and
// the folders base, prosody, ejabberd, postgres and slixmpp.
//
//go:embed certificates.sh healthy.sh base prosody ejabberd postgres slixmpp
var Files embed.FS
