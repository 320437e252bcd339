package xmpptest

import "github.com/postern-im/postern/internal/xmppserver"

// Privileges is what a component is granted (XEP-0356 v0.4), in the words of the specification.
type Privileges = xmppserver.Privileges

// WithPrivileges grants the component that Server.Domain names these privileges from the start. It comes behind WithComponent. What the
// server makes of them differs with its manners: like ejabberd 24.12 it drops what it does not permit without an answer, sends IQs to a
// user's own account back, and ignores every other IQ of a component to a bare or host address.
func WithPrivileges(p Privileges) Option {
	return func(o *options) { o.privileges = &p }
}

// Grant changes what the component is granted and tells it, if it is connected. nil takes the whole protocol away, without a word.
func (c *Component) Grant(p *Privileges) { c.side.Grant(p) }
