package logging

import (
	"strings"
	"testing"
)

func TestSEC57_CredentialsAreRedacted(t *testing.T) {
	for _, tt := range []struct {
		name, xml      string
		redacted, full string
	}{
		{
			"message", `<message from='a@b' to='c@d' id='1'><body>hello</body></message>`,
			`<message from='a@b' to='c@d' id='1'><body>[5 bytes]</body></message>`,
			`<message from='a@b' to='c@d' id='1'><body>hello</body></message>`,
		},
		{
			"registration", `<iq type='set'><query xmlns='jabber:iq:register'><username>bill</username><password>hunter2</password></query></iq>`,
			`<iq type='set'><query xmlns='jabber:iq:register'><username>[4 bytes]</username><password>[7 bytes]</password></query></iq>`,
			`<iq type='set'><query xmlns='jabber:iq:register'><username>bill</username><password>[redacted]</password></query></iq>`,
		},
		{
			"form", `<iq><x xmlns='jabber:x:data'><field var='nick'><value>bill</value></field><field type='text-private' var='pw'><value>hunter2</value></field><field var='irc_password'><value>hunter2</value></field></x></iq>`,
			`<iq><x xmlns='jabber:x:data'><field var='nick'><value>[4 bytes]</value></field><field type='text-private' var='pw'><value>[7 bytes]</value></field><field var='irc_password'><value>[7 bytes]</value></field></x></iq>`,
			`<iq><x xmlns='jabber:x:data'><field var='nick'><value>bill</value></field><field type='text-private' var='pw'><value>[redacted]</value></field><field var='irc_password'><value>[redacted]</value></field></x></iq>`,
		},
		{
			"password of a room", `<presence><x xmlns='http://jabber.org/protocol/muc'><password>hunter2</password></x></presence>`,
			`<presence><x xmlns='http://jabber.org/protocol/muc'><password>[7 bytes]</password></x></presence>`,
			`<presence><x xmlns='http://jabber.org/protocol/muc'><password>[redacted]</password></x></presence>`,
		},
		{
			"legacy authentication", `<iq><query xmlns='jabber:iq:auth'><digest>48fc78</digest></query></iq>`,
			`<iq><query xmlns='jabber:iq:auth'>[redacted]</query></iq>`,
			`<iq><query xmlns='jabber:iq:auth'>[redacted]</query></iq>`,
		},
		{
			"attributes", `<presence><x xmlns='u' password='hunter2' name='Bill' node='n'/></presence>`,
			`<presence><x xmlns='u' password='[redacted]' name='[4 bytes]' node='n'/></presence>`,
			`<presence><x xmlns='u' password='[redacted]' name='Bill' node='n'/></presence>`,
		},
		{
			"upload slot", `<iq><slot xmlns='urn:xmpp:http:upload:0'><put url='https://u'><header name='Authorization'>Basic Zm9v</header></put></slot></iq>`,
			`<iq><slot xmlns='urn:xmpp:http:upload:0'><put url='[9 bytes]'><header name='[13 bytes]'>[10 bytes]</header></put></slot></iq>`,
			`<iq><slot xmlns='urn:xmpp:http:upload:0'><put url='https://u'><header name='Authorization'>[redacted]</header></put></slot></iq>`,
		},
		{"not XML", `<message><body>secret`, `(21 bytes, not shown: `, `(21 bytes, not shown: `},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for full, want := range map[bool]string{false: tt.redacted, true: tt.full} {
				got := Redact([]byte(tt.xml), full)
				if got != want && !(strings.HasPrefix(want, "(") && strings.HasPrefix(got, want)) {
					t.Errorf("full %v:\n got %s\nwant %s", full, got, want)
				}
			}
		})
	}
}
