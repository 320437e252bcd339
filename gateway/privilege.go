package gateway

import "github.com/postern-im/postern/privilege"

// Privileged is a network that acts for the users of the server, as far as the server grants it (XEP-0356).
type Privileged interface {
	// UsePrivilege hands over the means to do so. It is called once, before Routes.
	UsePrivilege(m *privilege.Manager)
}
