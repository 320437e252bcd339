package jid_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-im/postern/jid"
)

// What servers route is kept to the byte; the normal form bridges to Parse.
func TestParseRoutedKeeps(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     parts
		normal   string
		enforced bool
	}{
		{"plain", "a@example.com/r", parts{"a", "example.com", "r"}, "a@example.com/r", true},
		{"IRC channel", "#test%irc.example@gw.example/nick", parts{"#test%irc.example", "gw.example", "nick"}, "#test%irc.example@gw.example/nick", true},
		{"upper case", "A@EXAMPLE.com/R", parts{"A", "EXAMPLE.com", "R"}, "a@example.com/R", true},
		{"final dot", "a@example.com./r", parts{"a", "example.com.", "r"}, "a@example.com/r", true},
		{"A-label", "a@xn--mnchen-3ya.example", parts{"a", "xn--mnchen-3ya.example", ""}, "a@münchen.example", true},
		{"decomposed", "e\u0301@example.com", parts{"e\u0301", "example.com", ""}, "é@example.com", true},

		{"leading space in resource", "juliet@example.com/ foo", parts{"juliet", "example.com", " foo"}, "juliet@example.com/ foo", false},
		{"other leading space in resource", "juliet@example.com/\u3000foo", parts{"juliet", "example.com", "\u3000foo"}, "juliet@example.com/ foo", false},
		{"roman numeral", "henryⅣ@example.com", parts{"henryⅣ", "example.com", ""}, "henryⅳ@example.com", false},
		{"symbol in localpart", "♚@Example.com", parts{"♚", "Example.com", ""}, "♚@example.com", false},
		{"quotation marks", `"Juliet"@example.com`, parts{`"Juliet"`, "example.com", ""}, `"juliet"@example.com`, false},
		{"space in localpart", "Foo bar@example.com", parts{"Foo bar", "example.com", ""}, "foo bar@example.com", false},
		{"fullwidth at sign", "A＠b@example.com", parts{"A＠b", "example.com", ""}, "a＠b@example.com", false},
		{"fullwidth solidus", "Ａ／b@example.com", parts{"Ａ／b", "example.com", ""}, "ａ／b@example.com", false},
		{"underscore in domain", "a@My_Host.", parts{"a", "My_Host.", ""}, "a@my_host", false},
		{"symbol in domain", "♚.example/x", parts{"", "♚.example", "x"}, "♚.example/x", false},
		{"two final dots", "a@B..", parts{"a", "B..", ""}, "a@B..", false},
		{"solidus by compatibility", "a℀b.example", parts{"", "a℀b.example", ""}, "a℀b.example", false},
		{"bracket", "[::1", parts{"", "[::1", ""}, "[::1", false},
		{"tab in resource", "a@b/x\ty", parts{"a", "b", "x\ty"}, "a@b/x\ty", false},
		{"label too long", label + "a.example", parts{"", label + "a.example", ""}, label + "a.example", false},
		{"longest parts", a1023 + "@" + a1023 + "/" + a1023, parts{a1023, a1023, a1023}, a1023 + "@" + a1023 + "/" + a1023, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, err := jid.ParseRouted(c.in)
			if err != nil {
				t.Fatalf("ParseRouted(%q): %v", c.in, err)
			}
			if j.String() != c.in {
				t.Errorf("String() = %q, want the text as routed, %q", j, c.in)
			}
			if d := cmp.Diff(c.want, partsOf(j)); d != "" {
				t.Errorf("parts (-want +got):\n%s", d)
			}
			n, ok := j.Normal()
			if n.String() != c.normal || ok != c.enforced {
				t.Errorf("Normal() = %q, %v, want %q, %v", n, ok, c.normal, c.enforced)
			}
			if !j.Equivalent(n) || !n.Equivalent(j) {
				t.Error("not equivalent to its normal form")
			}
		})
	}
}

func TestParseRoutedImpossible(t *testing.T) {
	for _, c := range []struct {
		name, in string
		part     jid.Part
		reason   error
	}{
		{"empty", "", jid.Whole, jid.ErrEmpty},
		{"no domain", "juliet@", jid.Domainpart, jid.ErrEmpty},
		{"resource alone", "/foobar", jid.Domainpart, jid.ErrEmpty},
		{"no domain before resource", "a@/b", jid.Domainpart, jid.ErrEmpty},
		{"empty localpart", "@example.com", jid.Localpart, jid.ErrEmpty},
		{"empty resource", "a@example.com/", jid.Resourcepart, jid.ErrEmpty},
		{"two at signs", "a@b@c", jid.Domainpart, jid.ErrForbidden},
		{"localpart too long", a1024 + "@b", jid.Localpart, jid.ErrTooLong},
		{"domain too long", "a@" + a1024, jid.Domainpart, jid.ErrTooLong},
		{"resource too long", "a@b/" + a1024, jid.Resourcepart, jid.ErrTooLong},
		{"past 16 bits", strings.Repeat("a", 1<<16+1) + "@b", jid.Localpart, jid.ErrTooLong},
		{"not UTF-8", "a@b/\xff", jid.Whole, jid.ErrEncoding},
		{"NUL", "a@b/\x00", jid.Whole, jid.ErrEncoding},
		{"escape character", "a\x1b@b", jid.Whole, jid.ErrEncoding},
		{"not a character of XML", "a@b/\ufffe", jid.Whole, jid.ErrEncoding},
		{"nor this", "a@b/\uffff", jid.Whole, jid.ErrEncoding},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, err := jid.ParseRouted(c.in)
			e, ok := errors.AsType[*jid.Error](err)
			if !ok || e.Part != c.part || !errors.Is(err, c.reason) || !j.IsZero() {
				t.Errorf("ParseRouted(%.40q) = %v, %v, want %v in %v", c.in, j, err, c.reason, c.part)
			}
			if _, err := jid.Parse(c.in); err == nil {
				t.Error("but Parse accepts it")
			}
		})
	}
}
