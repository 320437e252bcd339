//go:build fallbackroots

package main

// Authorities for TLS where the system has none, as in an empty container: scripts/image.sh builds with this tag. They take 1 MiB of
// each process, which is saved where the system has authorities.
import _ "golang.org/x/crypto/x509roots/fallback"
