package xmppserver

import "testing"

// TestClientState holds presence back from a client that nobody uses: the last from each address comes when somebody does again, or when
// something comes that she should see.
func TestClientState(t *testing.T) {
	s := newUserServer(t, nil)
	alice, bob := available(t, s, "alice", "home", ""), available(t, s, "bob", "work", "")
	inactive := func() {
		alice.write("<inactive xmlns='urn:xmpp:csi:0'/>")
		alice.sync()
		if !s.Inactive("alice", "home") || s.Inactive("bob", "work") {
			t.Fatal("who is inactive")
		}
		for _, status := range []string{"1", "2"} {
			bob.write("<presence to='alice@xmpp.test/home'><status>" + status + "</status></presence>")
		}
		bob.sync()
	}
	const last = "<presence from='bob@xmpp.test/work' to='alice@xmpp.test/home' xml:lang='*'><status>2</status></presence>"
	inactive()
	alice.write("<active xmlns='urn:xmpp:csi:0'/>")
	alice.expect(last)
	inactive()
	bob.write("<message to='alice@xmpp.test/home' type='chat'><body>hi</body></message>")
	alice.expect(last)
	alice.expect("<message from='bob@xmpp.test/work' to='alice@xmpp.test/home' type='chat' xml:lang='*'><body>hi</body></message>")
}
