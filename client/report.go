package client

import "github.com/postern-im/postern/sasl"

// SignIn is how a client proved who it is, and what there was to choose from. Its lists must not be changed.
type SignIn struct {
	SASL2     bool
	Mechanism string
	Binding   string // type of channel binding, "" if the exchange was not bound to the TLS connection
	Token     bool   // a token signed in (XEP-0484)
	Early     bool   // it went along with the stream header, before the server said what it offers

	Upgraded []string // the tasks of XEP-0480 that were carried out, for which the server has a better hash now

	Offered  []string // the server's mechanisms
	Tokens   []string // its mechanisms for tokens
	Bindings []string // its types of channel binding (XEP-0440); nil where it says nothing of them
	Ours     []string // the types that the connection has, the strongest first
	Upgrades []string // the tasks of XEP-0480 that the server asks for
}

// SignIn returns how the client signed in last; the zero value before the first time.
func (c *Client) SignIn() SignIn {
	if r := c.signIn.Load(); r != nil {
		return *r
	}
	return SignIn{}
}

// report keeps how an attempt succeeded, with what the server offered on the stream.
func (l *link) report(a *attempt, early bool, offered Features) {
	r := &SignIn{
		SASL2: a.offer != nil, Mechanism: a.choice.Mechanism, Binding: a.choice.Binding, Token: a.choice.IsToken(), Early: early,
		Upgraded: a.upgraded, Offered: offered.Mechanisms, Bindings: offered.Bindings, Ours: types(l.channel),
	}
	if two := offered.SASL2; r.SASL2 && two != nil {
		r.Offered, r.Tokens, r.Upgrades = two.Mechanisms, two.FAST, two.Upgrades
	}
	l.c.signIn.Store(r)
}

func types(c sasl.Channel) []string {
	all := make([]string, len(c.Bindings))
	for i, b := range c.Bindings {
		all[i] = b.Type
	}
	return all
}
