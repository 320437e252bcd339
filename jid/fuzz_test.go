package jid_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/postern-im/postern/jid"
)

// The seed corpora are in testdata/fuzz.

func FuzzParse(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		j, err := jid.Parse(s)
		if err != nil {
			return
		}
		if again, err := jid.Parse(j.String()); err != nil || again != j {
			t.Fatalf("Parse(%q) = %q, and of that %q, %v", s, j, again, err)
		}
		if n, err := jid.New(j.Local(), j.Domain(), j.Resource()); err != nil || n != j {
			t.Fatalf("New of the parts of %q = %q, %v", j, n, err)
		}
		for _, part := range []string{j.Local(), j.Domain(), j.Resource()} {
			if len(part) > jid.MaxPartLen {
				t.Fatalf("Parse(%q) has a part of %d bytes", s, len(part))
			}
		}
		for _, c := range j.Local() {
			switch c {
			case '"', '&', '\'', '/', ':', '<', '>', '@', ' ':
				t.Fatalf("Parse(%q) has %q in its localpart", s, c)
			}
		}
		checkNormal(t, j)
	})
}

func FuzzParseRouted(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		j, err := jid.ParseRouted(s)
		if err != nil {
			if p, err := jid.Parse(s); err == nil && len(s) <= jid.MaxPartLen {
				t.Fatalf("Parse(%q) = %q, but ParseRouted refuses it", s, p)
			}
			return
		}
		if j.String() != s {
			t.Fatalf("ParseRouted(%q) = %q", s, j)
		}
		text := j.Domain()
		if j.Local() != "" {
			text = j.Local() + "@" + text
		}
		if j.BareString() != text || j.Bare().String() != text {
			t.Fatalf("the bare address of %q is %q", s, j.Bare())
		}
		if j.IsFull() {
			text += "/" + j.Resource()
		}
		if text != s {
			t.Fatalf("the parts of %q make %q", s, text)
		}
		if j.IsFull() != strings.Contains(s, "/") || (j.Local() != "") != strings.Contains(j.BareString(), "@") {
			t.Fatalf("%q has an empty part", s)
		}
		for _, part := range []jid.JID{j.Bare(), j.DomainJID()} {
			if again, err := jid.ParseRouted(part.String()); err != nil || again != part {
				t.Fatalf("of %q, %q reads as %+v, %v", s, part, partsOf(again), err)
			}
		}
		if !utf8.ValidString(s) || strings.ContainsAny(s, "\x00\x1b\ufffe") {
			t.Fatalf("%q cannot have come as XML", s)
		}
		checkNormal(t, j)
	})
}

func FuzzEscape(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		checkEscape(t, s)
		checkForeign(t, s)
		if j, err := jid.New("a", "b", ""); err == nil {
			// Whatever the name is, it stays one localpart or is refused.
			if e, err := jid.EscapeLocal(s); err == nil {
				if w, err := j.WithLocal(e); err == nil && !w.InDomain(j) {
					t.Fatalf("%q made %q", s, w)
				}
			}
		}
	})
}
