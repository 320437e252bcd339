package disco_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/form"
)

// exodus and psi are the answers of XEP-0115 sections 5.2 and 5.3.
const exodus = `<query xmlns='http://jabber.org/protocol/disco#info' node='http://code.google.com/p/exodus#QgayPKawpkPSDYmwT/WM94uAlu0='>
    <identity category='client' name='Exodus 0.9.1' type='pc'/>
    <feature var='http://jabber.org/protocol/caps'/>
    <feature var='http://jabber.org/protocol/disco#info'/>
    <feature var='http://jabber.org/protocol/disco#items'/>
    <feature var='http://jabber.org/protocol/muc'/>
  </query>`

const psi = `<query xmlns='http://jabber.org/protocol/disco#info'
         node='http://psi-im.org#q07IKJEyjvHSyhy//CH0CxmKi8w='>
    <identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>
    <identity xml:lang='el' category='client' name='&#936; 0.11' type='pc'/>
    <feature var='http://jabber.org/protocol/caps'/>
    <feature var='http://jabber.org/protocol/disco#info'/>
    <feature var='http://jabber.org/protocol/disco#items'/>
    <feature var='http://jabber.org/protocol/muc'/>
    <x xmlns='jabber:x:data' type='result'>
      <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>
      <field var='ip_version' type='text-multi' ><value>ipv6</value><value>ipv4</value></field>
      <field var='os'><value>Mac</value></field>
      <field var='os_version'><value>10.5.1</value></field>
      <field var='software'><value>Psi</value></field>
      <field var='software_version'><value>0.11</value></field>
    </x>
  </query>`

func info(t testing.TB, xml string) disco.Info {
	t.Helper()
	i, err := stanza.Decode[disco.Info](element(t, xml))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// TestVectorsOfXEP0115 holds sections 5.2 and 5.3, and the other hashes for the former as another implementation computes them.
func TestVectorsOfXEP0115(t *testing.T) {
	for _, c := range []struct{ name, hash, answer, ver string }{
		{"simple", "sha-1", exodus, "QgayPKawpkPSDYmwT/WM94uAlu0="},
		{"complex", "sha-1", psi, "q07IKJEyjvHSyhy//CH0CxmKi8w="},
		{"simple, sha-224", "sha-224", exodus, "eRTRaZXdg2D07A6LJ66hyY2s7f5jZLiTkgLEvA=="},
		{"simple, sha-256", "sha-256", exodus, "Wr6IGEKhx6b9627gBmi/cCmpxXBc/GYq5zWuYfWGWoc="},
		{"simple, sha-384", "sha-384", exodus, "Nf8JigpWSRF8x8Bvhy7Vzz09f1ZRpn+UWA1rfZ+HYBW+bUsD7RZWpWzMwUIPRIvP"},
		{"simple, sha-512", "sha-512", exodus, "fRSVSbrOODMrPDQyHoSWoR+RemysUcEeGGhMh+kl/hGp9UrJxyDnrh9BymsL57Am/eToRZ/T4s6QBqeC6LVmoQ=="},
	} {
		t.Run(c.name, func(t *testing.T) {
			i := info(t, c.answer)
			before, err := stanza.Element(i)
			if err != nil {
				t.Fatal(err)
			}
			got, err := disco.Hash(c.hash, i)
			if err != nil || got != c.ver {
				t.Errorf("got %s, %v, want %s", got, err, c.ver)
			}
			if err := (disco.Caps{Hash: c.hash, Node: "n", Ver: c.ver}).Verify(i); err != nil {
				t.Error(err)
			}
			if after, err := stanza.Element(i); err != nil || !after.Equal(before) {
				t.Errorf("the answer was changed to %s", after)
			}
		})
	}
}

func TestCapsBothWays(t *testing.T) {
	if err := stanza.Check[disco.Caps](); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		value disco.Caps
		xml   string
	}{
		{"XEP-0115 example 1", disco.Caps{Hash: "sha-1", Node: "http://code.google.com/p/exodus", Ver: "QgayPKawpkPSDYmwT/WM94uAlu0="}, `<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://code.google.com/p/exodus' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/>`},
		{"from before version 1.4", disco.Caps{Node: "http://exodus.jabberstudio.org/caps", Ver: "0.9", Ext: "jingle ftrans"}, `<c xmlns='http://jabber.org/protocol/caps' node='http://exodus.jabberstudio.org/caps' ver='0.9' ext='jingle ftrans'/>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			el, err := stanza.Element(c.value)
			if err != nil || el.String() != c.xml {
				t.Errorf("written as %v, %v", el, err)
			}
			if got, err := stanza.Decode[disco.Caps](element(t, c.xml)); err != nil || got != c.value {
				t.Errorf("read as %+v, %v", got, err)
			}
		})
	}
	if got := (disco.Caps{Node: "http://psi-im.org", Ver: "a="}).InfoNode(); got != "http://psi-im.org#a=" {
		t.Errorf("node %s", got)
	}
}

// TestSEC64_AmbiguousAnswers: nothing that XEP-0115 calls ill-formed, and none of the known ways to pass one answer off as
// another one, has a hash.
func TestSEC64_AmbiguousAnswers(t *testing.T) {
	base := func(change func(i *disco.Info)) disco.Info {
		i := disco.Info{
			Identities: []disco.Identity{{Category: "client", Type: "pc", Name: "X"}, {Category: "client", Type: "pc", Lang: "el", Name: "Ψ"}},
			Features:   []string{"a", "b", "http://jabber.org/protocol/muc", "urn:xmpp:ping"},
			Forms:      []form.Form{*form.Result("urn:t", form.Answer("os", "Mac"))},
		}
		change(&i)
		return i
	}
	if _, err := disco.Hash("sha-1", base(func(*disco.Info) {})); err != nil {
		t.Fatal(err)
	}
	for name, i := range map[string]disco.Info{
		"separator in a feature":    base(func(i *disco.Info) { i.Features = []string{"a<b"} }),
		"separator in a name":       base(func(i *disco.Info) { i.Identities[0].Name = "<3" }),
		"separator in a value":      base(func(i *disco.Info) { i.Forms[0].Fields[1].Values = []string{"Mac<os_version<1"} }),
		"separator in a field":      base(func(i *disco.Info) { i.Forms[0].Fields[1].Var = "a<b" }),
		"separator in FORM_TYPE":    base(func(i *disco.Info) { i.Forms[0].Fields[0].Values = []string{"a<b"} }),
		"identity twice":            base(func(i *disco.Info) { i.Identities[1] = i.Identities[0] }),
		"identity without type":     base(func(i *disco.Info) { i.Identities[0].Type = "" }),
		"identity without category": base(func(i *disco.Info) { i.Identities[0].Category = "" }),
		"slash in a category":       base(func(i *disco.Info) { i.Identities[0].Category = "client/pc" }),
		"slash in a language":       base(func(i *disco.Info) { i.Identities[0].Lang = "en/X" }),
		"identity made of a feature": base(func(i *disco.Info) {
			i.Identities[0] = disco.Identity{Category: "http:", Lang: "jabber.org", Name: "protocol/muc"}
		}),
		"feature made of an identity": base(func(i *disco.Info) { i.Features = []string{"client/pc/en/X"} }),
		"feature twice":               base(func(i *disco.Info) { i.Features = []string{"a", "b", "a"} }),
		"feature without name":        base(func(i *disco.Info) { i.Features = []string{""} }),
		"form twice":                  base(func(i *disco.Info) { i.Forms = append(i.Forms, *form.Result("urn:t", form.Answer("x", "y"))) }),
		"FORM_TYPE with two values":   base(func(i *disco.Info) { i.Forms[0].Fields[0].Values = []string{"a", "b"} }),
		"FORM_TYPE without value":     base(func(i *disco.Info) { i.Forms[0].Fields[0].Values = nil }),
		"FORM_TYPE twice":             base(func(i *disco.Info) { i.Forms[0].Fields = append(i.Forms[0].Fields, form.Hidden("FORM_TYPE", "urn:u")) }),
		"form made of a feature":      base(func(i *disco.Info) { i.Forms = []form.Form{*form.Result("urn:xmpp:ping")} }),
		"form made of two features": base(func(i *disco.Info) {
			i.Forms = []form.Form{*form.Result("urn:xmpp:ping", form.Answer("urn:xmpp:time"))}
		}),
		"form made of three features": base(func(i *disco.Info) {
			i.Forms = []form.Form{*form.Result("urn:xmpp:ping", form.Answer("urn:xmpp:time", "vcard-temp"))}
		}),
		"field twice": base(func(i *disco.Info) { i.Forms[0].Fields = append(i.Forms[0].Fields, form.Answer("os", "Linux")) }),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := disco.Hash("sha-1", i); !errors.Is(err, disco.ErrIllFormed) {
				t.Errorf("hash %s, %v", got, err)
			}
		})
	}
	// XEP-0115 section 5.4, rules 3.5 and 3.6: these do not make the answer ill-formed.
	want, err := disco.Hash("sha-1", base(func(i *disco.Info) { i.Forms = nil }))
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]form.Form{
		"FORM_TYPE not hidden": {Type: form.TypeResult, Fields: form.Fields{form.Answer("FORM_TYPE", "urn:t"), form.Answer("a", "b")}},
		"no FORM_TYPE":         {Type: form.TypeResult, Fields: form.Fields{form.Answer("a", "b")}},
	} {
		if got, err := disco.Hash("sha-1", base(func(i *disco.Info) { i.Forms = []form.Form{f} })); err != nil || got != want {
			t.Errorf("form with %s counts: %s, %v", name, got, err)
		}
	}
	same := base(func(i *disco.Info) { i.Forms[0].Fields[0].Values = []string{"urn:t", "urn:t"} })
	if _, err := disco.Hash("sha-1", same); err != nil {
		t.Errorf("FORM_TYPE with one value twice: %v", err)
	}
}

func TestSEC64_Verify(t *testing.T) {
	for _, c := range []struct {
		name string
		caps disco.Caps
		err  error
	}{
		{"right", disco.Caps{Hash: "sha-1", Ver: "QgayPKawpkPSDYmwT/WM94uAlu0="}, nil},
		{"another hash", disco.Caps{Hash: "sha-1", Ver: "q07IKJEyjvHSyhy//CH0CxmKi8w="}, disco.ErrMismatch},
		{"empty hash", disco.Caps{Hash: "sha-1"}, disco.ErrMismatch},
		{"hash that nobody knows", disco.Caps{Hash: "md5", Ver: "QgayPKawpkPSDYmwT/WM94uAlu0="}, disco.ErrUnknownHash},
		{"from before version 1.4", disco.Caps{Ver: "QgayPKawpkPSDYmwT/WM94uAlu0="}, disco.ErrUnknownHash},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.caps.Verify(info(t, exodus)); !errors.Is(err, c.err) {
				t.Errorf("error %v, want %v", err, c.err)
			}
		})
	}
}

// FuzzHash: an answer that has a hash is, read from the parts that were hashed, no other answer by the ways that are known.
func FuzzHash(f *testing.F) {
	f.Add("client", "pc", "", "X", "a", "b", "urn:t", "os", "Mac")
	f.Add("http:", "", "jabber.org", "protocol/muc", "client/pc/en/X", "urn:xmpp:ping", "urn:x", "urn:y", "v")
	f.Fuzz(func(t *testing.T, cat, typ, lang, name, f1, f2, formType, v, val string) {
		i := disco.Info{
			Identities: []disco.Identity{{Category: cat, Type: typ, Lang: lang, Name: name}}, Features: []string{f1, f2},
			Forms: []form.Form{*form.Result(formType, form.Answer(v, val))},
		}
		ver, err := disco.Hash("sha-1", i)
		if err != nil {
			return
		}
		asFeature := disco.Info{Features: []string{cat + "/" + typ + "/" + lang + "/" + name, f1, f2}, Forms: i.Forms}
		hidden := disco.Info{Identities: i.Identities, Features: slices.Sorted(slices.Values([]string{f1, f2}))[:1]}
		hidden.Forms = []form.Form{*form.Result(max(f1, f2))}
		for _, other := range []disco.Info{asFeature, hidden} {
			if got, err := disco.Hash("sha-1", other); err == nil && got == ver {
				t.Errorf("%+v and %+v have the same hash", i, other)
			}
		}
	})
}
