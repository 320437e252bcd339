package jid_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-im/postern/jid"
)

// parts is what the tests look at in an address.
type parts struct{ Local, Domain, Resource string }

func partsOf(j jid.JID) parts { return parts{j.Local(), j.Domain(), j.Resource()} }

var (
	a1023 = strings.Repeat("a", 1023)
	a1024 = strings.Repeat("a", 1024)
	// label is the longest one, name the longest domain name of DNS.
	label = strings.Repeat("a", 63)
	name  = strings.Join([]string{label, label, label, label[:61]}, ".")
)

func TestSEC60_ParseValid(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     parts
	}{
		// RFC 7622 table 1.
		{"example 1 bare", "juliet@example.com", parts{"juliet", "example.com", ""}},
		{"example 2 full", "juliet@example.com/foo", parts{"juliet", "example.com", "foo"}},
		{"example 3 space in resource", "juliet@example.com/foo bar", parts{"juliet", "example.com", "foo bar"}},
		{"example 4 at sign in resource", "juliet@example.com/foo@bar", parts{"juliet", "example.com", "foo@bar"}},
		{"example 5 escaped space", `foo\20bar@example.com`, parts{`foo\20bar`, "example.com", ""}},
		{"example 6 fussball", "fussball@example.com", parts{"fussball", "example.com", ""}},
		{"example 7 sharp s", "fußball@example.com", parts{"fußball", "example.com", ""}},
		{"example 8 pi", "π@example.com", parts{"π", "example.com", ""}},
		{"example 9 capital sigma", "Σ@example.com/foo", parts{"σ", "example.com", "foo"}},
		{"example 10 small sigma", "σ@example.com/foo", parts{"σ", "example.com", "foo"}},
		{"example 11 final sigma", "ς@example.com/foo", parts{"ς", "example.com", "foo"}},
		{"example 12 symbol in resource", "king@example.com/♚", parts{"king", "example.com", "♚"}},
		{"example 13 domain", "example.com", parts{"", "example.com", ""}},
		{"example 14 domain and resource", "example.com/foobar", parts{"", "example.com", "foobar"}},
		{"example 15 at sign behind slash", "a.example.com/b@example.net", parts{"", "a.example.com", "b@example.net"}},

		{"separators in resource", "mercutio@example.net//@//", parts{"mercutio", "example.net", "/@//"}},
		{"all ASCII allowed in a localpart", "!#$%()*+,-.;=?[\\]^_`{|}~@example.com", parts{"!#$%()*+,-.;=?[\\]^_`{|}~", "example.com", ""}},
		{"upper case localpart", "JULIET@example.com", parts{"juliet", "example.com", ""}},
		{"case of resource kept", "juliet@example.com/Foo", parts{"juliet", "example.com", "Foo"}},
		{"capital sharp s", "ẞ@example.com", parts{"ß", "example.com", ""}},
		{"Kelvin sign", "\u212a@example.com", parts{"k", "example.com", ""}},
		{"fullwidth", "Ａｂ@example.com", parts{"ab", "example.com", ""}},
		{"composition", "e\u0301@example.com", parts{"\u00e9", "example.com", ""}},
		{"dotted capital I", "\u0130@example.com", parts{"i\u0307", "example.com", ""}},
		{"non-ASCII space in resource", "a@example.com/x\u00a0y\u3000z", parts{"a", "example.com", "x y z"}},
		{"emoji resource", "a@example.com/😀", parts{"a", "example.com", "😀"}},
		{"right to left", "אבג@example.com", parts{"אבג", "example.com", ""}},
		{"digit before letter beyond ASCII", "2пак@example.com", parts{"2пак", "example.com", ""}},
		{"symbol before letter beyond ASCII", "#café@example.com", parts{"#café", "example.com", ""}},
		{"zero width non-joiner where Persian needs it", "نامه\u200cای@example.com", parts{"نامه\u200cای", "example.com", ""}},

		{"final dot", "example.net.", parts{"", "example.net", ""}},
		{"final dot and case", "A.Example.nEt.", parts{"", "a.example.net", ""}},
		{"final dot before resource", "a@example.net./r", parts{"a", "example.net", "r"}},
		{"final ideographic dot", "例え。jp。", parts{"", "例え.jp", ""}},
		{"unqualified", "localhost", parts{"", "localhost", ""}},
		{"IPv4", "127.0.0.1", parts{"", "127.0.0.1", ""}},
		{"IPv6", "[::1]", parts{"", "[::1]", ""}},
		{"IPv6 canonical", "a@[2001:DB8:0:0::1]/x", parts{"a", "[2001:db8::1]", "x"}},
		{"IPv6 with IPv4 tail", "[::ffff:192.0.2.1]", parts{"", "[::ffff:192.0.2.1]", ""}},
		{"IPv6 zone", "[fe80::1%25eth0]", parts{"", "[fe80::1%25eth0]", ""}},
		{"IPv6 zone percent-encoded", "[fe80::1%25en%2F0.1]", parts{"", "[fe80::1%25en%2F0.1]", ""}},
		{"A-label", "xn--mnchen-3ya.example", parts{"", "münchen.example", ""}},
		{"A-label upper case", "XN--MNCHEN-3YA.example", parts{"", "münchen.example", ""}},
		{"U-label", "MÜNCHEN.example", parts{"", "münchen.example", ""}},
		{"U-label decomposed", "mu\u0308nchen.example", parts{"", "münchen.example", ""}},
		{"U-label sharp s", "faß.example", parts{"", "faß.example", ""}},
		{"fullwidth domain", "ｅxample．com", parts{"", "example.com", ""}},
		{"right to left domain", "אב.example", parts{"", "אב.example", ""}},
		{"digit before letter in domain", "1é.example", parts{"", "1é.example", ""}},
		{"hyphens", "a--b-c.xn-a.example", parts{"", "a--b-c.xn-a.example", ""}},

		{"longest localpart", a1023 + "@example.com", parts{a1023, "example.com", ""}},
		{"longest resource", "example.com/" + a1023, parts{"", "example.com", a1023}},
		{"longest localpart after mapping", strings.Repeat("Ａ", 1023) + "@example.com", parts{a1023, "example.com", ""}},
		{"longest domain name", name, parts{"", name, ""}},
		{"longest domain name with dot", name + ".", parts{"", name, ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, err := jid.Parse(c.in)
			if err != nil {
				t.Fatalf("Parse(%q): %v", c.in, err)
			}
			if d := cmp.Diff(c.want, partsOf(j)); d != "" {
				t.Errorf("Parse(%q) (-want +got):\n%s", c.in, d)
			}
			if n, err := jid.New(c.want.Local, c.want.Domain, c.want.Resource); err != nil || n != j {
				t.Errorf("New(its parts) = %v, %v, want %v", n, err, j)
			}
			if r, err := jid.ParseRouted(j.String()); err != nil || r != j {
				t.Errorf("ParseRouted of the enforced form = %v, %v", r, err)
			}
		})
	}
}

func TestSEC60_ParseInvalid(t *testing.T) {
	for _, c := range []struct {
		name, in string
		part     jid.Part
		reason   error
	}{
		// RFC 7622 table 2.
		{"example 16 quotation marks", `"juliet"@example.com`, jid.Localpart, jid.ErrForbidden},
		{"example 17 space in localpart", "foo bar@example.com", jid.Localpart, jid.ErrForbidden},
		{"example 18 leading space in resource", "juliet@example.com/ foo", jid.Resourcepart, jid.ErrForbidden},
		{"example 19 empty localpart and resource", "@example.com/", jid.Localpart, jid.ErrEmpty},
		{"example 20 roman numeral", "henryⅣ@example.com", jid.Localpart, jid.ErrForbidden},
		{"example 21 symbol in localpart", "♚@example.com", jid.Localpart, jid.ErrForbidden},
		{"example 22 no domain", "juliet@", jid.Domainpart, jid.ErrEmpty},
		{"example 23 resource alone", "/foobar", jid.Domainpart, jid.ErrEmpty},

		{"empty", "", jid.Whole, jid.ErrEmpty},
		{"at sign", "@", jid.Localpart, jid.ErrEmpty},
		{"slash", "/", jid.Resourcepart, jid.ErrEmpty},
		{"no domain before resource", "test@/test", jid.Domainpart, jid.ErrEmpty},
		{"empty resource", "e@example.net/", jid.Resourcepart, jid.ErrEmpty},
		{"empty localpart", "@example.net/x", jid.Localpart, jid.ErrEmpty},
		{"localpart and resource", "lp@/rp", jid.Domainpart, jid.ErrEmpty},
		{"two at signs", "a@b@example.com", jid.Domainpart, jid.ErrForbidden},
		{"other leading space in resource", "a@example.com/\u3000foo", jid.Resourcepart, jid.ErrForbidden},

		{"brackets around IPv4", "[127.0.0.1]", jid.Domainpart, jid.ErrForbidden},
		{"bracket not closed", "[::1", jid.Domainpart, jid.ErrForbidden},
		{"bracket not opened", "::1]", jid.Domainpart, jid.ErrForbidden},
		{"IPv6 without brackets", "::1", jid.Domainpart, jid.ErrForbidden},
		{"IPv6 zone not encoded", "[fe80::1%eth0]", jid.Domainpart, jid.ErrForbidden},
		{"IPv6 zone empty", "[fe80::1%25]", jid.Domainpart, jid.ErrForbidden},
		{"IPv6 zone with bad escape", "[fe80::1%25a%2]", jid.Domainpart, jid.ErrForbidden},
		{"IPv6 too long", "[fe80::1%25" + a1023 + "]", jid.Domainpart, jid.ErrTooLong},
		{"future IP literal", "[v1.x]", jid.Domainpart, jid.ErrForbidden},

		{"not UTF-8", "\xff\xfe\xfd", jid.Domainpart, jid.ErrEncoding},
		{"not UTF-8 in localpart", "a\xff@example.com", jid.Localpart, jid.ErrEncoding},
		{"not UTF-8 in resource", "example.com/\xc3", jid.Resourcepart, jid.ErrEncoding},
		{"surrogate in UTF-8", "\xed\xa0\x80@example.com", jid.Localpart, jid.ErrEncoding},

		{"ampersand", "a&b@example.com", jid.Localpart, jid.ErrForbidden},
		{"apostrophe", "a'b@example.com", jid.Localpart, jid.ErrForbidden},
		{"colon", "a:b@example.com", jid.Localpart, jid.ErrForbidden},
		{"less than", "a<b@example.com", jid.Localpart, jid.ErrForbidden},
		{"greater than", "a>b@example.com", jid.Localpart, jid.ErrForbidden},
		{"fullwidth at sign", "a＠b@example.com", jid.Localpart, jid.ErrForbidden},
		{"fullwidth solidus", "a／b@example.com", jid.Localpart, jid.ErrForbidden},
		{"fullwidth quotation mark", "＂é@example.com", jid.Localpart, jid.ErrForbidden},
		{"control character in localpart", "a\x01@example.com", jid.Localpart, jid.ErrForbidden},
		{"delete in localpart", "a\x7f@example.com", jid.Localpart, jid.ErrForbidden},
		{"control character in resource", "example.com/a\nb", jid.Resourcepart, jid.ErrForbidden},
		{"delete in resource", "example.com/\x7f", jid.Resourcepart, jid.ErrForbidden},
		{"zero width space", "a\u200bb@example.com", jid.Localpart, jid.ErrForbidden},
		{"soft hyphen", "a\u00adb@example.com", jid.Localpart, jid.ErrForbidden},
		{"ligature", "ﬁ@example.com", jid.Localpart, jid.ErrForbidden},
		{"right-to-left override", "\u202eabc@example.com", jid.Localpart, jid.ErrForbidden},
		{"Hebrew and Latin", "אבx@example.com", jid.Localpart, jid.ErrForbidden},
		{"Hebrew behind a digit", "1אב@example.com", jid.Localpart, jid.ErrForbidden},
		{"emoji localpart", "😀@example.com", jid.Localpart, jid.ErrForbidden},

		{"dot", ".", jid.Domainpart, jid.ErrEmpty},
		{"two final dots", "example.com..", jid.Domainpart, jid.ErrEmpty},
		{"final dots of two kinds", "example.com.。", jid.Domainpart, jid.ErrEmpty},
		{"leading dot", ".example.com", jid.Domainpart, jid.ErrEmpty},
		{"empty label", "a..b", jid.Domainpart, jid.ErrEmpty},
		{"leading hyphen", "-a.example", jid.Domainpart, jid.ErrForbidden},
		{"final hyphen", "a-.example", jid.Domainpart, jid.ErrForbidden},
		{"reserved label", "ab--c.example", jid.Domainpart, jid.ErrForbidden},
		{"underscore", "my_host", jid.Domainpart, jid.ErrForbidden},
		{"space in domain", "exa mple.com", jid.Domainpart, jid.ErrForbidden},
		{"symbol in domain", "♚.example", jid.Domainpart, jid.ErrForbidden},
		{"emoji in domain", "😀.example", jid.Domainpart, jid.ErrForbidden},
		{"symbol behind A-label", "xn--i-7iq.example", jid.Domainpart, jid.ErrForbidden},
		{"A-label of ASCII", "xn--abc-.example", jid.Domainpart, jid.ErrForbidden},
		{"A-label that decodes to nothing valid", "xn--a.example", jid.Domainpart, jid.ErrForbidden},
		{"right to left against a digit label", "אב.1com", jid.Domainpart, jid.ErrForbidden},
		{"solidus by compatibility", "a℀b.example", jid.Domainpart, jid.ErrForbidden},

		{"localpart too long", a1024 + "@example.com", jid.Localpart, jid.ErrTooLong},
		{"localpart too long in bytes", strings.Repeat("é", 512) + "@example.com", jid.Localpart, jid.ErrTooLong},
		{"localpart far too long", strings.Repeat("é", 1<<20) + "@example.com", jid.Localpart, jid.ErrTooLong},
		{"resource too long", "example.com/" + a1024, jid.Resourcepart, jid.ErrTooLong},
		{"resource past 16 bits", "example.com/" + strings.Repeat("a", 1<<16+3), jid.Resourcepart, jid.ErrTooLong},
		{"domain too long", a1024, jid.Domainpart, jid.ErrTooLong},
		{"label too long", label + "a.example", jid.Domainpart, jid.ErrTooLong},
		{"domain name too long", name + "a", jid.Domainpart, jid.ErrTooLong},
		{"label too long in A-label form", strings.Repeat("ü", 60) + ".example", jid.Domainpart, jid.ErrTooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, err := jid.Parse(c.in)
			if err == nil {
				t.Fatalf("Parse(%q) = %v, want an error", c.in, j)
			}
			if !j.IsZero() {
				t.Errorf("Parse(%q) = %v besides its error", c.in, j)
			}
			e, ok := errors.AsType[*jid.Error](err)
			if !ok || e.Part != c.part || !errors.Is(err, c.reason) {
				t.Errorf("Parse(%q): %v, want %v in %v", c.in, err, c.reason, c.part)
			}
			if !strings.HasPrefix(err.Error(), "jid: ") || len(err.Error()) > 4*256+200 {
				t.Errorf("error text: %s", err)
			}
		})
	}
}

func TestNew(t *testing.T) {
	for _, c := range []struct {
		name  string
		parts parts
		want  string
	}{
		{"domain", parts{"", "Example.com", ""}, "example.com"},
		{"account", parts{"A", "example.com", ""}, "a@example.com"},
		{"domain with resource", parts{"", "example.com", "a@b/c"}, "example.com/a@b/c"},
		{"full", parts{"a", "example.com", "b"}, "a@example.com/b"},
		{"separator in localpart", parts{"a@evil.example", "example.com", ""}, ""},
		{"slash in localpart", parts{"evil.example/", "example.com", ""}, ""},
		{"separator in domain", parts{"a", "evil.example/x", ""}, ""},
		{"localpart in domain", parts{"", "a@example.com", ""}, ""},
		{"no domain", parts{"a", "", "b"}, ""},
		{"resource with control character", parts{"a", "example.com", "\x00"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, err := jid.New(c.parts.Local, c.parts.Domain, c.parts.Resource)
			if (err != nil) != (c.want == "") || j.String() != c.want {
				t.Fatalf("New = %q, %v, want %q", j, err, c.want)
			}
		})
	}
}

func TestMustParsePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	jid.MustParse("@")
}
