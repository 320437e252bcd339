package jid_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/postern-im/postern/jid"
)

var gateway = jid.MustParse("irc.example.com")

func TestSEC12_ForeignNameNeverLeavesOurDomain(t *testing.T) {
	for _, c := range []struct{ name, foreign, local, back string }{
		{"plain", "nick", "nick", "nick"},
		{"upper case", "Nick[Away]", "nick[away]", "nick[away]"},
		{"separators", "a@b/c", `a\40b\2fc`, "a@b/c"},
		{"address", "boss@corp.example", `boss\40corp.example`, "boss@corp.example"},
		{"channel", "#postern", "#postern", "#postern"},
		{"channel beyond ASCII", "#café", "#café", "#café"},
		{"spaces inside", "Jean Luc", `jean\20luc`, "jean luc"},
		{"accents", "André", "andré", "andré"},
		{"decomposed", "Andre\u0301", "andré", "andré"},
		{"fullwidth separators", "a＠b／c", `a\40b\2fc`, "a@b/c"},
		{"looks escaped", `a\2fb`, `a\5c2fb`, `a\2fb`},
		{"looks escaped, upper case", `a\2Fb`, `a\5c2fb`, `a\2fb`},
		{"looks escaped, fullwidth", "a＼２ｆb", `a\5c2fb`, `a\2fb`},
		{"looks like our hexadecimal form", `\5cx6e69636b`, `\5c5cx6e69636b`, `\5cx6e69636b`},
		{"looks like our hexadecimal form unescaped", `\x6e69636b`, `\x6e69636b`, `\x6e69636b`},
		{"Cyrillic", "Боб", "боб", "боб"},
		{"Hebrew", "אבג", "אבג", "אבג"},

		{"spaces at the ends", " x ", `\5cx207820`, " x "},
		{"emoji", "😀", `\5cxf09f9880`, "😀"},
		{"symbol", "♥", `\5cxe299a5`, "♥"},
		{"zero width space", "a\u200bb", `\5cx61e2808b62`, "a\u200bb"},
		{"ligature", "ﬁ", `\5cxefac81`, "ﬁ"},
		{"right-to-left override", "\u202ea", `\5cxe280ae61`, "\u202ea"},
		{"Hebrew and Latin", "אx", `\5cxd79078`, "אx"},
		{"folded by servers: sharp s", "Fuß", `\5cx6675c39f`, "fuß"},
		{"folded by servers: final sigma", "ΝΊΚΟς", `\5cxcebdceafcebacebfcf82`, "νίκος"},
		{"refused by servers: young letter", "\u0221", `\5cxc8a1`, "\u0221"},
		{"refused by servers: Hebrew before a digit", "אב1", `\5cxd790d79131`, "אב1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, err := jid.FromForeign(c.foreign, gateway)
			if err != nil {
				t.Fatal(err)
			}
			if want := (parts{c.local, gateway.Domain(), ""}); partsOf(j) != want {
				t.Errorf("FromForeign(%q) = %+v, want %+v", c.foreign, partsOf(j), want)
			}
			if back, err := jid.ForeignName(j); err != nil || back != c.back {
				t.Errorf("ForeignName(%v) = %q, %v, want %q", j, back, err, c.back)
			}
			checkForeign(t, c.foreign)
		})
	}
}

func TestSEC12_ForeignNameRefused(t *testing.T) {
	for _, c := range []struct {
		name, foreign string
		reason        error
	}{
		{"empty", "", jid.ErrEmpty},
		{"5000 characters", strings.Repeat("a", 5000), jid.ErrTooLong},
		{"too long", a1024, jid.ErrTooLong},
		{"too long in both forms", strings.Repeat("@", 510), jid.ErrTooLong},
		{"too long in hexadecimal", strings.Repeat("😀", 128), jid.ErrTooLong},
		{"line break", "a\r\nQUIT", jid.ErrForbidden},
		{"NUL", "a\x00", jid.ErrForbidden},
		{"C1 control", "a\u0085", jid.ErrForbidden},
		{"not UTF-8", "a\xff", jid.ErrEncoding},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, err := jid.FromForeign(c.foreign, gateway)
			if !errors.Is(err, c.reason) || !j.IsZero() {
				t.Errorf("FromForeign(%.20q) = %v, %v, want %v", c.foreign, j, err, c.reason)
			}
		})
	}
	for _, domain := range []string{"a@example.com", "example.com/r"} {
		if j, err := jid.FromForeign("x", jid.MustParse(domain)); err == nil {
			t.Errorf("FromForeign under %s = %v", domain, j)
		}
	}
	if j, err := jid.FromForeign("x", jid.JID{}); err == nil {
		t.Errorf("FromForeign under no domain = %v", j)
	}
}

// One name has one address: others that unescape to it are refused.
func TestForeignNameIsCanonical(t *testing.T) {
	for _, c := range []struct{ name, address string }{
		{"needless escape", `foo\5cbar@irc.example.com`},
		{"plain name in hexadecimal", `\5cx6e69636b@irc.example.com`},
		{"hexadecimal of nothing", `\5cx@irc.example.com`},
		{"no hexadecimal", `\5cxzz@irc.example.com`},
		{"odd hexadecimal", `\5cx1@irc.example.com`},
		{"hexadecimal that is not UTF-8", `\5cxff@irc.example.com`},
		{"line break in hexadecimal", `\5cx610d0a@irc.example.com`},
		{"upper case in hexadecimal", `\5cx41e2808b62@irc.example.com`},
		{"space at an end", `\20a@irc.example.com`},
		{"not portable", "fuß@irc.example.com"},
		{"malformed", "♥@irc.example.com"},
		{"domain", "irc.example.com"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if name, err := jid.ForeignName(routed(t, c.address)); !errors.Is(err, jid.ErrNotCanonical) {
				t.Errorf("ForeignName(%s) = %q, %v", c.address, name, err)
			}
		})
	}
	if name, err := jid.ForeignName(routed(t, `A\40B@irc.example.com/x`)); err != nil || name != "a@b" {
		t.Errorf("ForeignName of an address as routed = %q, %v", name, err)
	}
}

// checkForeign holds the promises of FromForeign against one name.
func checkForeign(t testing.TB, name string) {
	t.Helper()
	j, err := jid.FromForeign(name, gateway)
	if err != nil {
		return
	}
	if p, err := jid.Parse(j.String()); err != nil || p != j {
		t.Fatalf("FromForeign(%q) = %q, which parses as %q, %v", name, j, p, err)
	}
	if !j.InDomain(gateway) || j.Local() == "" || j.IsFull() || !j.Portable() {
		t.Fatalf("FromForeign(%q) = %q", name, j)
	}
	back, err := jid.ForeignName(j)
	if err != nil {
		t.Fatalf("FromForeign(%q) = %q: %v", name, j, err)
	}
	if again, err := jid.FromForeign(back, gateway); err != nil || again != j {
		t.Fatalf("%q -> %q -> %q -> %q, %v", name, j, back, again, err)
	}
}

func TestFromForeignRoundTrip(t *testing.T) {
	n := 100_000
	if testing.Short() || raceEnabled {
		n /= 20
	}
	r := rand.New(rand.NewPCG(12, 0))
	for range n {
		b := make([]rune, 1+r.IntN(8))
		for i := range b {
			b[i] = alphabet[r.IntN(len(alphabet))]
		}
		checkForeign(t, string(b))
	}
}
