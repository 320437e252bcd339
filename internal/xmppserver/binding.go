package xmppserver

import (
	"crypto/x509"
	"strings"

	"github.com/xdg-go/scram"

	"github.com/postern-im/postern/sasl"
)

const (
	nsCB       = "urn:xmpp:sasl-cb:0" // XEP-0440
	plusSuffix = "-PLUS"
)

// channel returns what the connection can be bound with, as the server sees it.
func (s *Server) channel(l *link) sasl.Channel {
	if l.tls == nil {
		return sasl.Channel{}
	}
	state := l.tls.ConnectionState()
	c := sasl.NewChannel(&state, true)
	if cert, err := x509.ParseCertificate(s.certs.server.Certificate[0]); err == nil {
		if b, err := sasl.ServerEndPoint(cert); err == nil {
			c.Bindings = append(c.Bindings, b)
		}
	}
	return c
}

// offerBindings is the stream feature of XEP-0440.
func (s *Server) offerBindings(l *link) element {
	e := element{space: nsCB, local: "sasl-channel-binding"}
	for _, b := range s.channel(l).Bindings {
		e.children = append(e.children, element{local: "channel-binding", attrs: []string{"type", b.Type}})
	}
	return e
}

// binding returns what a mechanism is to be bound with; the zero Binding for none.
func binding(c sasl.Channel, typ string) sasl.Binding {
	for _, b := range c.Bindings {
		if b.Type == typ {
			return b
		}
	}
	return sasl.Binding{}
}

// scramBinding returns the binding that the client's first message asks for, and any where it asks for none.
func scramBinding(c sasl.Channel, first []byte) scram.ChannelBinding {
	flag, _, _ := strings.Cut(string(first), ",")
	b := binding(c, strings.TrimPrefix(flag, "p="))
	if b.Type == "" && len(c.Bindings) > 0 {
		b = c.Bindings[0]
	}
	return scram.ChannelBinding{Type: scram.ChannelBindingType(b.Type), Data: b.Data}
}
