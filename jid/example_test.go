package jid_test

import (
	"fmt"

	"github.com/postern-im/postern/jid"
)

func ExampleParse() {
	j, err := jid.Parse("Juliet@Example.com./Balcony")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(j)
	fmt.Println(j.Local(), j.Domain(), j.Resource())
	fmt.Println(j.Bare())

	_, err = jid.Parse("foo bar@example.com")
	fmt.Println(err)
	// Output:
	// juliet@example.com/Balcony
	// juliet example.com Balcony
	// juliet@example.com
	// jid: forbidden characters: precis: disallowed rune encountered in localpart "foo bar"
}

func ExampleParseRouted() {
	// Servers route what RFC 7622 forbids. The text stays as it came.
	j, err := jid.ParseRouted("henryⅣ@Example.com/ foo")
	fmt.Println(j, err)

	normal, enforced := j.Normal()
	fmt.Println(normal, enforced)
	// Output:
	// henryⅣ@Example.com/ foo <nil>
	// henryⅳ@example.com/ foo false
}

func ExampleJID_Equivalent() {
	admin := jid.MustParse("alice@example.com")
	from, _ := jid.ParseRouted("ALICE@example.com/phone")
	spoof, _ := jid.ParseRouted("\u0430lice@example.com/phone") // Cyrillic а

	fmt.Println(from.Bare().Equivalent(admin), spoof.Bare().Equivalent(admin))
	// Output: true false
}

func ExampleJID_RoutedAs() {
	sent := jid.MustParse("fußball@example.com")
	reply, _ := jid.ParseRouted("fussball@example.com")

	fmt.Println(reply.Equivalent(sent), reply.RoutedAs(sent))
	// Output: false true
}

func ExampleFromForeign() {
	gateway := jid.MustParse("irc.example.com")
	for _, nick := range []string{"Nick", "boss@corp.example", "😀"} {
		j, err := jid.FromForeign(nick, gateway)
		if err != nil {
			fmt.Println(err)
			continue
		}
		name, _ := jid.ForeignName(j)
		fmt.Println(j, name)
	}
	// Output:
	// nick@irc.example.com nick
	// boss\40corp.example@irc.example.com boss@corp.example
	// \5cxf09f9880@irc.example.com 😀
}

func ExampleEscapeLocal() {
	local, _ := jid.EscapeLocal("d'artagnan")
	fmt.Println(local)
	fmt.Println(jid.UnescapeLocal(local))
	// Output:
	// d\27artagnan
	// d'artagnan
}
