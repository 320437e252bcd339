package disco_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/form"
	"github.com/postern-im/postern/xep/rsm"
	"github.com/postern-im/postern/xmltree"
)

func element(t testing.TB, xml string) xmltree.Element {
	t.Helper()
	el, err := xmltree.Parse([]byte(xml), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return el
}

var jidByText = cmp.Comparer(func(a, b jid.JID) bool { return a == b })

// serverInfo is the form of XEP-0128 example 1.
func serverInfo() form.Form {
	return *form.Result("http://jabber.org/network/serverinfo",
		form.Answer("c2s_port", "5222"), form.Answer("c2s_port_ssl", "5223"), form.Answer("http_access", "http://shakespeare.lit/jabber"),
		form.Answer("ip_version", "ipv4", "ipv6"), form.Answer("info_url", "http://shakespeare.lit/support.php"))
}

// TestInfoBothWays holds the examples of XEP-0030 and XEP-0128.
func TestInfoBothWays(t *testing.T) {
	if err := stanza.Check[disco.Info](); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		value disco.Info
		xml   string
	}{
		{"XEP-0030 example 1, question", disco.Info{}, `<query xmlns='http://jabber.org/protocol/disco#info'/>`},
		{
			"XEP-0030 example 2, answer",
			disco.Info{
				Identities: []disco.Identity{{Category: "conference", Type: "text", Name: "Play-Specific Chatrooms"}, {Category: "directory", Type: "chatroom", Name: "Play-Specific Chatrooms"}},
				Features:   []string{disco.NSInfo, disco.NSItems, "http://jabber.org/protocol/muc", "jabber:iq:register"},
			},
			`<query xmlns='http://jabber.org/protocol/disco#info'><identity category='conference' type='text' name='Play-Specific Chatrooms'/>` +
				`<identity category='directory' type='chatroom' name='Play-Specific Chatrooms'/><feature var='http://jabber.org/protocol/disco#info'/>` +
				`<feature var='http://jabber.org/protocol/disco#items'/><feature var='http://jabber.org/protocol/muc'/><feature var='jabber:iq:register'/></query>`,
		},
		{"XEP-0030 example 12, node", disco.Info{Node: "http://jabber.org/protocol/commands"}, `<query xmlns='http://jabber.org/protocol/disco#info' node='http://jabber.org/protocol/commands'/>`},
		{
			"XEP-0128 example 1, form",
			disco.Info{Identities: []disco.Identity{{Category: "server", Type: "im", Name: "shakespeare.lit jabber server"}}, Features: []string{"jabber:iq:register"}, Forms: []form.Form{serverInfo()}},
			`<query xmlns='http://jabber.org/protocol/disco#info'><identity category='server' type='im' name='shakespeare.lit jabber server'/><feature var='jabber:iq:register'/>` +
				`<x xmlns='jabber:x:data' type='result'><field type='hidden' var='FORM_TYPE'><value>http://jabber.org/network/serverinfo</value></field>` +
				`<field var='c2s_port'><value>5222</value></field><field var='c2s_port_ssl'><value>5223</value></field><field var='http_access'><value>http://shakespeare.lit/jabber</value></field>` +
				`<field var='ip_version'><value>ipv4</value><value>ipv6</value></field><field var='info_url'><value>http://shakespeare.lit/support.php</value></field></x></query>`,
		},
		{
			"languages",
			disco.Info{Identities: []disco.Identity{{Category: "client", Type: "pc", Name: "Ψ 0.11", Lang: "el"}, {Category: "client", Type: "pc", Name: "Psi 0.11", Lang: "en"}}},
			`<query xmlns='http://jabber.org/protocol/disco#info'><identity xml:lang='el' category='client' type='pc' name='Ψ 0.11'/><identity xml:lang='en' category='client' type='pc' name='Psi 0.11'/></query>`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			el, err := stanza.Element(c.value)
			if err != nil || el.String() != c.xml {
				t.Errorf("written\n got %v, %v\nwant %s", el, err, c.xml)
			}
			got, err := stanza.Decode[disco.Info](element(t, c.xml))
			if d := cmp.Diff(c.value, got); err != nil || d != "" {
				t.Errorf("read, %v (-want +got):\n%s", err, d)
			}
		})
	}
}

func TestItemsBothWays(t *testing.T) {
	if err := stanza.Check[disco.Items](); err != nil {
		t.Fatal(err)
	}
	catalog := jid.MustParse("catalog.shakespeare.lit")
	for _, c := range []struct {
		name  string
		value disco.Items
		xml   string
	}{
		{"XEP-0030 example 16, question", disco.Items{}, `<query xmlns='http://jabber.org/protocol/disco#items'/>`},
		{
			"XEP-0030 example 22, nodes",
			disco.Items{Items: []disco.Item{{JID: catalog, Node: "books", Name: "Books by and about Shakespeare"}, {JID: catalog, Node: "music"}}},
			`<query xmlns='http://jabber.org/protocol/disco#items'><item jid='catalog.shakespeare.lit' node='books' name='Books by and about Shakespeare'/><item jid='catalog.shakespeare.lit' node='music'/></query>`,
		},
		{
			"XEP-0059 example, page",
			disco.Items{Node: "n", Items: []disco.Item{{JID: catalog}}, Set: &rsm.Set{First: &rsm.First{UID: "a", Index: new(0)}, Last: "a", Count: new(150)}},
			`<query xmlns='http://jabber.org/protocol/disco#items' node='n'><item jid='catalog.shakespeare.lit'/><set xmlns='http://jabber.org/protocol/rsm'><first index='0'>a</first><last>a</last><count>150</count></set></query>`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			el, err := stanza.Element(c.value)
			if err != nil || el.String() != c.xml {
				t.Errorf("written\n got %v, %v\nwant %s", el, err, c.xml)
			}
			got, err := stanza.Decode[disco.Items](element(t, c.xml))
			if d := cmp.Diff(c.value, got, jidByText); err != nil || d != "" {
				t.Errorf("read, %v (-want +got):\n%s", err, d)
			}
		})
	}
}

func TestHostilePayloads(t *testing.T) {
	info := func(inner string) (disco.Info, error) {
		return stanza.Decode[disco.Info](element(t, `<query xmlns='http://jabber.org/protocol/disco#info'>`+inner+`</query>`))
	}
	for name, inner := range map[string]string{
		"features":   strings.Repeat("<feature var='a'/>", 5000),
		"identities": strings.Repeat("<identity/>", 5000),
		"anything":   strings.Repeat("<x/>", 5000),
		"forms":      strings.Repeat("<x xmlns='jabber:x:data'/>", 65),
		"one form":   "<x xmlns='jabber:x:data'>" + strings.Repeat("<field var='a'/>", form.MaxParts+1) + "</x>",
	} {
		if _, err := info(inner); !errors.Is(err, stanza.NotAcceptable) {
			t.Errorf("too many %s: %v", name, err)
		}
	}
	got, err := info(`<identity/><feature/><feature xmlns='urn:x' var='y'/><identity category='a'><feature var='z'/></identity>text`)
	if d := cmp.Diff(disco.Info{Identities: []disco.Identity{{}, {Category: "a"}}, Features: []string{""}}, got); err != nil || d != "" {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	items, err := stanza.Decode[disco.Items](element(t, `<query xmlns='http://jabber.org/protocol/disco#items'><item/><item jid='@'/><item jid='a@b' name='x'>text<y/></item><item xmlns='urn:x' jid='z'/></query>`))
	if d := cmp.Diff(disco.Items{Items: []disco.Item{{JID: jid.MustParse("a@b"), Name: "x"}}}, items, jidByText); err != nil || d != "" {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	if _, err := stanza.Decode[disco.Items](element(t, `<query xmlns='http://jabber.org/protocol/disco#items'><set xmlns='http://jabber.org/protocol/rsm'><max>-1</max></set></query>`)); !errors.Is(err, stanza.BadRequest) {
		t.Errorf("error %v", err)
	}
}

func TestInfoAnswersQuestions(t *testing.T) {
	i := disco.Info{Identities: []disco.Identity{{Category: "gateway", Type: "irc"}}, Features: []string{"urn:xmpp:ping"}, Forms: []form.Form{serverInfo()}}
	if !i.Has("urn:xmpp:ping") || !i.Has(disco.NSInfo) || i.Has("urn:xmpp:time") {
		t.Error("features")
	}
	if !i.Is("gateway", "irc") || i.Is("gateway", "sms") || i.Is("client", "irc") {
		t.Error("identities")
	}
	if f, ok := i.Form("http://jabber.org/network/serverinfo"); !ok || f.Fields.Value("c2s_port") != "5222" {
		t.Error("forms")
	}
	if _, ok := i.Form("urn:other"); ok {
		t.Error("a form that is not there")
	}
}
