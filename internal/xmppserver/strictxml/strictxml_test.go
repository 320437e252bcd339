package strictxml

import (
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const head = `<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='gateway.example'>`

func TestCheckAccepts(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":                 "",
		"handshake and stanzas":   head + "<handshake>aaee</handshake> \n<iq from='a' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq></stream:stream>\n",
		"header in double quotes": strings.ReplaceAll(head, "'", `"`) + "<message/>",
		"cut in a tag":            head + "<message fr",
		"cut in a stanza":         head + "<message><body>x",
		"prefixes":                head + "<message><p:x xmlns:p='urn:p' p:a='1' a='1' xml:lang='de'/></message>",
		"references":              head + "<message><body>&lt;&gt;&amp;&apos;&quot;&#65;&#x1F600;&#xD;</body></message>",
		"CDATA":                   head + "<message><body><![CDATA[<x>&]]></body></message>",
		"forwarded":               head + "<message><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body/></message></forwarded></message>",
		"stream error":            head + "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>",
		"namespace undone":        head + "<message><x xmlns='urn:x'><y xmlns=''/></x></message>",
	} {
		t.Run(name, func(t *testing.T) {
			if err := Check(strings.NewReader(in), "jabber:component:accept"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCheckFindsFaults(t *testing.T) {
	for name, in := range map[string]string{
		"duplicate attribute":               head + "<message a='1' a='2'/>",
		"duplicate by prefixes":             head + "<message xmlns:p='u' xmlns:q='u' p:a='1' q:a='2'/>",
		"duplicate xmlns":                   head + "<message><a xmlns='u' xmlns='u'/></message>",
		"undeclared prefix of an element":   head + "<message><p:x/></message>",
		"undeclared prefix of an attribute": head + "<message p:x='1'/>",
		"prefix out of scope":               head + "<message><p:a xmlns:p='u'/><p:b/></message>",
		"empty prefix binding":              head + "<message xmlns:p=''/>",
		"xml rebound":                       head + "<message xmlns:xml='urn:x'/>",
		"xmlns bound":                       head + "<message xmlns:xmlns='urn:x'/>",
		"name begins with a colon":          head + "<message><:a/></message>",
		"name ends with a colon":            head + "<message><a:/></message>",
		"name of three parts":               head + "<message xmlns:a='u'><a:b:c/></message>",
		"attributes not separated":          head + "<message a='1'b='2'/>",
		"attribute without quotes":          head + "<message a=1/>",
		"less-than in attribute":            head + "<message a='<'/>",
		"bare ampersand":                    head + "<message><body>a & b</body></message>",
		"unknown entity":                    head + "<message><body>&nbsp;</body></message>",
		"reference to a control":            head + "<message><body>&#1;</body></message>",
		"reference to a surrogate":          head + "<message><body>&#xD800;</body></message>",
		"reference to U+FFFE":               head + "<message a='&#xFFFE;'/>",
		"control character":                 head + "<message><body>\x01</body></message>",
		"invalid UTF-8":                     head + "<message><body>\xff</body></message>",
		"encoded surrogate":                 head + "<message><body>\xed\xa0\x80</body></message>",
		"invalid UTF-8 in an attribute":     head + "<message a='\xc0\xbc'/>",
		"U+FFFF":                            head + "<message><body>\uffff</body></message>",
		"]]> in text":                       head + "<message><body>]]></body></message>",
		"comment":                           head + "<!-- x -->",
		"processing instruction":            head + "<?x y?>",
		"late XML declaration":              head + "<?xml version='1.0'?>",
		"DTD":                               "<!DOCTYPE x>" + head,
		"other encoding":                    strings.Replace(head, "?>", " encoding='latin1'?>", 1),
		"tags do not match":                 head + "<message><a></b></message>",
		"end tag without start":             head + "</stream:stream></a>",
		"element after the end":             head + "</stream:stream><message/>",
		"text after the end":                head + "</stream:stream>x",
		"text between stanzas":              head + "<message/>300",
		"text before the header":            "x" + head,
		"root is no stream":                 "<message xmlns='jabber:component:accept'/>",
		"wrong content namespace":           strings.Replace(head, "component:accept", "client", 1),
		"jabber:client stanza":              head + "<message xmlns='jabber:client'/>",
		"jabber:client body":                head + "<message><body xmlns='jabber:client'/></message>",
		"stream's namespace in a payload":   head + "<message><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:component:accept'/></forwarded></message>",
		"no stanza":                         head + "<foo xmlns='urn:x'/>",
		"unknown element":                   head + "<foo/>",
	} {
		t.Run(name, func(t *testing.T) {
			if err := Check(strings.NewReader(in+" <message/>"), "jabber:component:accept"); !errors.Is(err, ErrFault) {
				t.Errorf("accepted %q: %v", in, err)
			}
		})
	}
}

func TestChecker(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		want int
	}{
		"sound":  {head + "<message/></stream:stream>", 0},
		"broken": {head + "<message/><a></b><c></d>" + strings.Repeat("x", 10_000), 1},
	} {
		t.Run(name, func(t *testing.T) {
			faults := 0
			c := New("jabber:component:accept", func(error) { faults++ })
			for i := range len(tc.in) {
				if _, err := c.Write([]byte(tc.in[i : i+1])); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			if faults != tc.want {
				t.Errorf("%d faults, want %d", faults, tc.want)
			}
		})
	}
}
