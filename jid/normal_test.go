package jid_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/postern-im/postern/jid"
)

func routed(t testing.TB, s string) jid.JID {
	t.Helper()
	j, err := jid.ParseRouted(s)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestSEC60_OneAccountPerEnforcedForm(t *testing.T) {
	for _, c := range []struct {
		name, a, b string
		want       bool
	}{
		{"upper case", "JULIET@example.com", "juliet@example.com", true},
		{"Kelvin sign", "\u212a@example.com", "k@example.com", true},
		{"fullwidth", "Ａｂ@example.com", "ab@example.com", true},
		{"composition", "e\u0301@example.com", "é@example.com", true},
		{"dotted capital I", "\u0130@example.com", "i\u0307@example.com", true},
		{"capital sigma", "Σ@example.com/foo", "σ@example.com/foo", true},
		{"capital sharp s", "\u1e9e@example.com", "ß@example.com", true},
		{"domain case and dot", "a@EXAMPLE.com.", "a@example.com", true},
		{"A-label", "a@xn--mnchen-3ya.example", "a@MÜNCHEN.example", true},
		{"spaces in resource", "a@b/x\u00a0y", "a@b/x y", true},
		{"malformed, case", "HenryⅣ@example.com", "henryⅳ@example.com", true},
		{"malformed domain, case", "a@MY_HOST", "a@my_host.", true},

		{"final sigma", "ς@example.com/foo", "σ@example.com/foo", false},
		{"sharp s", "fußball@example.com", "fussball@example.com", false},
		{"sharp s in domain", "a@faß.example", "a@fass.example", false},
		{"dotless i", "ı@example.com", "i@example.com", false},
		{"case of resource", "a@b/R", "a@b/r", false},
		{"bare and full", "a@b", "a@b/r", false},
		{"roman numeral", "henryⅣ@example.com", "henryiv@example.com", false},
		{"zero width space", "ad\u200bmin@example.com", "admin@example.com", false},
		{"soft hyphen", "ad\u00admin@example.com", "admin@example.com", false},
		{"ligature", "ﬁn@example.com", "fin@example.com", false},
		{"fullwidth at sign", "a＠b@example.com", "a@example.com", false},
		{"leading space in resource", "a@b/ r", "a@b/r", false},
		{"two final dots", "a@b..", "a@b", false},
		{"escaped and unescaped", `a\27b@example.com`, "a'b@example.com", false},
		{"Cyrillic a (SEC-61)", "\u0430lice@example.com", "alice@example.com", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := routed(t, c.a), routed(t, c.b)
			if a.Equivalent(b) != c.want || b.Equivalent(a) != c.want {
				t.Errorf("%q and %q: Equivalent is not %v", a, b, c.want)
			}
			na, _ := a.Normal()
			nb, _ := b.Normal()
			if (na == nb) != c.want {
				t.Errorf("normal forms are %q and %q", na, nb)
			}
		})
	}
}

// A list of administrators is compared by Equivalent: no look-alike is on it.
func TestSEC61_HomographIsNoAdmin(t *testing.T) {
	admins := []jid.JID{jid.MustParse("alice@example.com")}
	isAdmin := func(s string) bool { return slices.ContainsFunc(admins, routed(t, s).Bare().Equivalent) }
	if !isAdmin("alice@example.com/x") || !isAdmin("ALICE@Example.com/x") {
		t.Error("the administrator is none")
	}
	for _, s := range []string{
		"\u0430lice@example.com", "al\u0456ce@example.com", "a1ice@example.com", "alice@ex\u0430mple.com",
		"al\u200bice@example.com", "alice\u00ad@example.com", "\u202ealice@example.com", "alıce@example.com",
		"alice@example.com.evil", "alice@sub.example.com", "alice\u3000@example.com", "example.com/alice",
	} {
		if isAdmin(s) {
			t.Errorf("%q is taken for the administrator", s)
		}
	}
}

func TestRoutedAs(t *testing.T) {
	for _, c := range []struct {
		name, a, b string
		want       bool
	}{
		{"same", "a@b/c", "a@b/c", true},
		{"equivalent", "A@b/c", "a@b./c", true},
		{"sharp s", "fußball@example.com", "fussball@example.com", true},
		{"final sigma", "γιώργος@example.com", "γιώργοσ@example.com", true},
		{"roman numeral", "henryⅣ@example.com", "henryiv@example.com", true},
		{"soft hyphen", "a\u00adb@example.com", "ab@example.com", true},
		{"joiner", "نامه\u200cای@example.com", "نامهای@example.com", true},
		{"resource compatibility", "a@b/ﬁ", "a@b/fi", true},
		{"domain", "a@faß.example", "a@fass.example", true},
		{"plain", "a@b", "b@b", false},
		{"case of resource", "é@b/R", "é@b/r", false},
		{"other domain", "ß@a", "ss@b", false},
		{"other resource", "ß@a/x", "ss@a/y", false},
		{"separator by compatibility", "a＠b@c", "a@c", false},
		{"Cyrillic", "\u0430@b", "a@b", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := routed(t, c.a), routed(t, c.b)
			if a.RoutedAs(b) != c.want || b.RoutedAs(a) != c.want {
				t.Errorf("%q and %q: RoutedAs is not %v", a, b, c.want)
			}
		})
	}
}

func TestPortable(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     bool
	}{
		{"ASCII", "a@example.com/R r", true},
		{"accents", "tréville@münchen.example/é", true},
		{"old symbol in resource", "a@b/♚", true},
		{"Hebrew", "אבג@b", true},
		{"not enforced", "A@b", false},
		{"malformed", "♚@b", false},
		{"sharp s", "ß@b", false},
		{"sharp s in domain", "a@faß.example", false},
		{"sharp s in resource", "a@b/ß", true},
		{"final sigma", "γιώργος@b", false},
		{"Hebrew that ends with a digit", "אב1@b", false},
		{"young letter", "\u0221@b", false},
		{"emoji resource", "a@b/😀", false},
		{"roman numeral in resource", "a@b/Ⅳ", false},
		{"mapped to nothing in resource", "a@b/x\u1806y", false}, // RFC 3454 table B.1
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := routed(t, c.in).Portable(); got != c.want {
				t.Errorf("Portable(%q) = %v", c.in, got)
			}
		})
	}
}

// checkNormal holds the promises of Normal against one routed address.
func checkNormal(t testing.TB, j jid.JID) {
	t.Helper()
	n, ok := j.Normal()
	if again, ok2 := n.Normal(); again != n || ok2 != ok {
		t.Fatalf("Normal is not idempotent: %q -> %q, %v -> %q, %v", j, n, ok, again, ok2)
	}
	if r, err := jid.ParseRouted(n.String()); err != nil || r != n {
		t.Fatalf("the normal form %q of %q reads as %q, %v", n, j, r, err)
	}
	if (n.Local() == "") != (j.Local() == "") || n.IsFull() != j.IsFull() {
		t.Fatalf("%q lost or won a part in %q", j, n)
	}
	p, err := jid.Parse(j.String())
	if (err == nil) != ok || err == nil && p != n {
		t.Fatalf("Parse(%q) = %q, %v; Normal = %q, %v", j, p, err, n, ok)
	}
	if p, err := jid.Parse(n.String()); (err == nil) != ok || err == nil && p != n {
		t.Fatalf("Parse of the normal form %q = %q, %v; enforced is %v", n, p, err, ok)
	}
	if !j.Equivalent(n) || !j.RoutedAs(n) {
		t.Fatalf("%q is not equivalent to its normal form %q", j, n)
	}
	if b, _ := j.Bare().Normal(); b != n.Bare() {
		t.Fatalf("normal form of the bare address: %q, want %q", b, n.Bare())
	}
}

// alphabet is made of what breaks normalisers: separators, case, width,
// composition, ignorables, both directions, joiners, and characters that map into
// one of these.
var alphabet = []rune("aAzZ09-._ @/\\27fF'\"&:<>[]%" +
	"éÉe\u0301\u0300\u0327\u0323ßẞſςσΣıİi\u0307K\u212aÅ\u212bΩ\u2126ǅǆŉΐᾳᾼ" +
	"ＡａＫ＠／．。｡＼￦ﾊﾞﾊ\u3099가ᄀ\u1161\u11a8Ⅳﬁ℀½²ªⅰ①㎏﷼" +
	"\u00a0\u3000\u2003\u00ad\u200b\u200c\u200d\u2060\ufeff\u202e\u034f\ufe0f" +
	"אבשׁ\u05b0عربيه١۱\u0640҆क\u094dक्ष· l·l・カア" +
	"♚😀👍\U0001f1e6\U00010400\U00010428\U0001e900\U0001d400\U0002f868\u1806\u0221\ufffd\u2d9e\ua7ae")

func randomAddress(r *rand.Rand) string {
	n := 1 + r.IntN(8)
	var b strings.Builder
	for range n {
		b.WriteRune(alphabet[r.IntN(len(alphabet))])
	}
	s := b.String()
	switch r.IntN(4) {
	case 0:
		return s + "@example.com"
	case 1:
		return "a@example.com/" + s
	case 2:
		return s
	default:
		return "xn--" + s + ".example"
	}
}

func TestSEC60_IdempotentOnAMillionStrings(t *testing.T) {
	n := 1_000_000
	if testing.Short() || raceEnabled {
		n /= 20
	}
	const seed = 60
	r := rand.New(rand.NewPCG(seed, 0))
	read, enforced := 0, 0
	for i := range n {
		j, err := jid.ParseRouted(randomAddress(r))
		if err != nil {
			continue
		}
		read++
		n, ok := j.Normal()
		if again, ok2 := n.Normal(); again != n || ok2 != ok {
			t.Fatalf("Normal is not idempotent: %q -> %q, %v -> %q, %v", j, n, ok, again, ok2)
		}
		if ok {
			enforced++
		}
		// The rest costs ten times as much and is fuzzed besides.
		if i%16 == 0 {
			checkNormal(t, j)
		}
	}
	t.Logf("%d strings, %d routable, %d enforceable", n, read, enforced)
	if read < n/2 || enforced < n/10 {
		t.Errorf("too few of %d strings are routable (%d) or enforceable (%d)", n, read, enforced)
	}
}

// The profiles are shared by all callers.
func TestConcurrentUse(t *testing.T) {
	var wg sync.WaitGroup
	for g := range uint64(4) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(g, 1))
			for range 2000 {
				s := randomAddress(r)
				j, err := jid.ParseRouted(s)
				if err != nil {
					continue
				}
				n, _ := j.Normal()
				if again, _ := n.Normal(); again != n {
					t.Errorf("%q: %q, then %q", s, n, again)
				}
				j.RoutedAs(n)
				j.Portable()
			}
		})
	}
	wg.Wait()
}
