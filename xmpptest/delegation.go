package xmpptest

import "github.com/postern-im/postern/internal/xmppserver"

// WithDelegation has the server delegate a namespace to the component, the first where there are several (XEP-0355): what accounts and
// others ask in that namespace of the server or of accounts is forwarded, if its payload has all of these attributes, and what the
// component wants shown for it appears in the server's answers of service discovery. A server that is like ejabberd takes no
// notice of attributes.
func WithDelegation(namespace string, attributes ...string) Option {
	return func(o *options) {
		o.cfg.Delegations = append(o.cfg.Delegations, xmppserver.Delegation{Namespace: namespace, Attributes: attributes})
	}
}

// delegate fills in to whom.
func (o *options) delegate() {
	for i := range o.cfg.Delegations {
		o.cfg.Delegations[i].Component = o.domain
	}
}
