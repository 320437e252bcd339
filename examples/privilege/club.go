package main

import (
	"context"
	"strings"

	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/outbox"
	"github.com/postern-im/postern/privilege"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// Club is a network whose members invite others, each in her own name: "invite romeo@example.org".
type Club struct {
	door      jid.JID // the club's address
	privilege *privilege.Manager
	outbox    *outbox.Outbox
}

// UseDomain implements gateway.Addressed.
func (c *Club) UseDomain(domain jid.JID) { c.door = domain }

// UsePrivilege implements gateway.Privileged.
func (c *Club) UsePrivilege(m *privilege.Manager) { c.privilege = m }

// UseOutbox implements gateway.Durable.
func (c *Club) UseOutbox(o *outbox.Outbox) { c.outbox = o }

// Routes implements gateway.Network.
func (c *Club) Routes(out stanza.Sender) []router.Route {
	return []router.Route{router.HandleMessage(stanza.MessageChat, func(ctx context.Context, m *stanza.Message) error {
		command, address, _ := strings.Cut(m.Body.String(), " ")
		guest, err := jid.Parse(strings.TrimSpace(address))
		if command != "invite" || err != nil {
			return out.Send(ctx, c.say(m.To, m.From, "Say: invite romeo@example.org"))
		}
		return c.invite(ctx, guest.Bare())
	})}
}

// invite acts for who sent the message at hand. Whom she invites is hers to write; as whom is not. The invitation is not lost, whatever
// happens to us or the server meanwhile.
func (c *Club) invite(ctx context.Context, guest jid.JID) error {
	member, err := c.privilege.For(ctx)
	if err != nil {
		return err
	}
	if err := member.SetContact(ctx, privilege.Item{Contact: c.door, Name: "The club"}); err != nil {
		return err
	}
	_, err = member.PutMessage(ctx, c.outbox, c.say(member.JID(), guest, "Come to the club: "+c.door.String()))
	return err
}

func (c *Club) say(from, to jid.JID, text string) *stanza.Message {
	return &stanza.Message{Header: stanza.Header{From: from, To: to}, Type: stanza.MessageChat, Body: stanza.NewText(text)}
}

// Serve implements gateway.Network.
func (*Club) Serve(context.Context, stanza.Sender) error { return nil }

// Identities implements gateway.Identified.
func (*Club) Identities() []disco.Identity {
	return []disco.Identity{{Category: "client", Type: "bot", Name: "The club"}}
}
