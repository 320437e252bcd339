package gateway

import "github.com/postern-im/postern/storage/secret"

// Confidential is a network that keeps secrets of its users, such as passwords (XEP-0100 section 8.2).
type Confidential interface {
	// UseVault hands over where they are kept, sealed. It is called once, before Routes.
	UseVault(v *secret.Vault)
}
