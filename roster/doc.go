// Package roster is a user's list of contacts, which her server keeps, and the subscriptions to their presence (RFC 6121 sections 2
// and 3).
//
// A Roster holds a copy of the list: [Roster.Load] reads it once in each session, and by what the server pushes it stays what it is.
// Only the server may push: what anybody else sends is refused, or strangers would write into the user's list (CVE-2015-8688,
// CVE-2016-9928, CVE-2019-16236).
//
//	contacts, err := roster.New(roster.Config{Account: account, Versions: func() bool { return c.Features().RosterVersions }}, c)
//	r, err := router.New(router.Config{Routes: contacts.Routes()})
//	go c.Serve(ctx, r)
//	err = contacts.Load(ctx) // in each session
package roster
