package jid_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/quick"

	"github.com/postern-im/postern/jid"
)

func TestSEC62_EscapeVectors(t *testing.T) {
	for _, c := range []struct{ name, source, escaped string }{
		// XEP-0106 section 3.1 and 4.2.
		{"apostrophe", "d'artagnan", `d\27artagnan`},
		{"mail address", "tréville@musketeers.lit", `tréville\40musketeers.lit`},
		// Section 5.1, the table of addresses.
		{"table 1", "space cadet", `space\20cadet`},
		{"table 2", `call me "ishmael"`, `call\20me\20\22ishmael\22`},
		{"table 3", "at&t guy", `at\26t\20guy`},
		{"table 5", "/.fanboy", `\2f.fanboy`},
		{"table 6", "::foo::", `\3a\3afoo\3a\3a`},
		{"table 7", "<foo>", `\3cfoo\3e`},
		{"table 8", "user@host", `user\40host`},
		{"table 9", `c:\net`, `c\3a\net`},
		{"table 10", `c:\\net`, `c\3a\\net`},
		{"table 11", `c:\cool stuff`, `c\3a\cool\20stuff`},
		{"table 12", `c:\5commas`, `c\3a\5c5commas`},
		// Sections 5.2 to 5.7.
		{"wild mail address", "here's_a_wild_&_/cr%zy/_address", `here\27s_a_wild_\26_\2fcr%zy\2f_address`},
		{"IMPS", `here's_a_wild_&_/cr%zy/_address_for:<wv>("IMPS")`, `here\27s_a_wild_\26_\2fcr%zy\2f_address_for\3a\3cwv\3e(\22IMPS\22)`},
		{"IMPS tail", `..address_for:<wv>("IMPS")`, `..address_for\3a\3cwv\3e(\22IMPS\22)`},
		{"looks escaped", `\3and\2is\5cool`, `\5c3and\2is\5c5cool`},
		{"LDAP", `CN=D'Artagnan Saint-Andr\E9,O=Example & Company, Inc.,DC=example,DC=com`, `CN=D\27Artagnan\20Saint-Andr\E9,O=Example\20\26\20Company,\20Inc.,DC=example,DC=com`},
		{"IRC", `somenick!user"&'/:<>\3address`, `somenick!user\22\26\27\2f\3a\3c\3e\5c3address`},
		// Section 4.3, not in the list.
		{"partial escape", `\2plus\2is\4`, `\2plus\2is\4`},
		{"not an escape", `foo\bar`, `foo\bar`},
		{"not an escape of the list", `foob\41r`, `foob\41r`},

		{"escape at the end", `a\27`, `a\5c27`},
		{"half an escape at the end", `a\2`, `a\2`},
		{"backslash at the end", `a\`, `a\`},
		{"escaped backslash", `a\5cb`, `a\5c5cb`},
		{"twice escaped", `\5c27`, `\5c5c27`},
		{"escaped space first", `\20a`, `\5c20a`},
		{"upper-case digits", `a\2Fb\5C`, `a\5c2Fb\5c5C`},
		{"backslash before backslash", `\\27`, `\\5c27`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := jid.EscapeLocal(c.source)
			if err != nil || got != c.escaped {
				t.Errorf("EscapeLocal(%q) = %q, %v, want %q", c.source, got, err, c.escaped)
			}
			if got := jid.UnescapeLocal(c.escaped); got != c.source {
				t.Errorf("UnescapeLocal(%q) = %q, want %q", c.escaped, got, c.source)
			}
		})
	}
}

// Unescaping happens once, left to right, and only for the ten sequences.
func TestSEC62_Unescape(t *testing.T) {
	for _, c := range []struct{ name, local, want string }{
		{"every escape", `\20\22\26\27\2f\3a\3c\3e\40\5c`, ` "&'/:<>@\`},
		{"not twice", `\5c27`, `\27`},
		{"not twice, backslash", `\5c5c27`, `\5c27`},
		{"upper case is none", `\2F\5C`, `\2F\5C`},
		{"others", `\00\0a\21\41\7f\ff`, `\00\0a\21\41\7f\ff`},
		{"short", `\`, `\`},
		{"short by one", `\2`, `\2`},
		{"nothing", ``, ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := jid.UnescapeLocal(c.local); got != c.want {
				t.Errorf("UnescapeLocal(%q) = %q, want %q", c.local, got, c.want)
			}
		})
	}
}

func TestSEC62_EscapeRefuses(t *testing.T) {
	for _, c := range []struct {
		name, source string
		reason       error
	}{
		{"empty", "", jid.ErrEmpty},
		{"space", " ", jid.ErrForbidden},
		{"space first", " a", jid.ErrForbidden},
		{"space last", "a ", jid.ErrForbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := jid.EscapeLocal(c.source); !errors.Is(err, c.reason) {
				t.Errorf("EscapeLocal(%q) = %q, %v", c.source, got, err)
			}
		})
	}
}

// Two addresses whose unescaped forms are alike stay two.
func TestSEC62_UnescapedFormsAreNotCompared(t *testing.T) {
	a, b := jid.MustParse(`foo\5cbar@example.com`), jid.MustParse(`foo\bar@example.com`)
	if jid.UnescapeLocal(a.Local()) != jid.UnescapeLocal(b.Local()) {
		t.Fatal("the example of XEP-0106 section 7 is wrong")
	}
	if a.Equivalent(b) || a.RoutedAs(b) {
		t.Errorf("%v and %v are taken for one", a, b)
	}
}

// checkEscape holds the promises of escaping against one name.
func checkEscape(t testing.TB, s string) {
	t.Helper()
	e, err := jid.EscapeLocal(s)
	if err != nil {
		if s != "" && s[0] != ' ' && s[len(s)-1] != ' ' {
			t.Fatalf("EscapeLocal(%q): %v", s, err)
		}
		return
	}
	if u := jid.UnescapeLocal(e); u != s {
		t.Fatalf("%q -> %q -> %q", s, e, u)
	}
	if strings.ContainsAny(e, ` "&'/:<>@`) {
		t.Fatalf("EscapeLocal(%q) = %q", s, e)
	}
	if strings.HasPrefix(e, `\20`) || strings.HasSuffix(e, `\20`) && !strings.HasSuffix(e, `\5c20`) {
		t.Fatalf("EscapeLocal(%q) = %q: \\20 at an end", s, e)
	}
	// The case mapping that follows must not make new escapes.
	if u := jid.UnescapeLocal(asciiLower(e)); u != asciiLower(s) {
		t.Fatalf("in lower case %q unescapes to %q", e, u)
	}
}

func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

func TestSEC62_RoundTrip(t *testing.T) {
	check := func(s string) bool { checkEscape(t, s); return true }
	if err := quick.Check(check, &quick.Config{MaxCount: 2000}); err != nil {
		t.Error(err)
	}
	// Few characters, so that escapes come about by chance.
	const letters = `\\\\\22567fFaAcCeE03 @'x`
	r := rand.New(rand.NewPCG(62, 0))
	for range 200_000 {
		b := make([]byte, r.IntN(12))
		for i := range b {
			b[i] = letters[r.IntN(len(letters))]
		}
		checkEscape(t, string(b))
	}
}
