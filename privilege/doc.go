// Package privilege acts for the users of our own server: their rosters, messages and IQs in their names, and their presence, as far as
// the server grants it (XEP-0356 v0.4, Privileged Entity; servers that speak version 0.3, urn:xmpp:privilege:1, as well).
//
// # Grants
//
// A server says what it grants at the beginning of each stream. A [Manager] believes only the servers of its configuration, and
// each only for its own domain. What was granted authorises as long as that stream lives; what is missing is refused before the
// wire, with a [*GrantError] that says what the server's operator would have to configure.
//
// # Whom we act for
//
// A gateway with privileges could write to anybody as anybody, so no function takes "as whom" beside "what". A [User] holds it, and
// is made of the stanza that is being handled ([Manager.For]): whoever sent it, whatever is written in it. The one other way has a
// name that reviewers can look for ([Manager.Impersonate]), and leaves a line in the log.
//
//	func (g *Gateway) join(ctx context.Context, m *stanza.Message) error {
//		user, err := g.privilege.For(ctx)
//		if err != nil {
//			return err
//		}
//		return user.SetContact(ctx, privilege.Item{Contact: room, Name: "Room"})
//	}
//
// # Limits
//
// Every call ends: [Config.Timeout] is its longest time, since ejabberd drops what it does not permit without a word. What is kept of
// presence, rosters and messages is bounded; what no longer fits is counted in [Stats]. Nothing that a stranger sends changes
// anything but these counters.
package privilege
