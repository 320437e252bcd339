package gateway

import "github.com/postern-im/postern/delegation"

// Delegated is a network that handles requests which the server leaves to the gateway (XEP-0355).
type Delegated interface {
	// Delegations returns the namespaces and who handles them. It is called once, after Routes; "gateway check" calls nothing
	// but UseDomain before it. It must not block.
	Delegations() []delegation.Namespace
}
