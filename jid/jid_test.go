package jid_test

import (
	"testing"
	"unsafe"

	"github.com/postern-im/postern/jid"
)

func TestSize(t *testing.T) {
	if n := unsafe.Sizeof(jid.JID{}); n != 24 {
		t.Errorf("a JID has %d bytes, want 24", n)
	}
}

func TestKinds(t *testing.T) {
	for _, c := range []struct {
		in                       string
		bare, domain             string
		isBare, isFull, isDomain bool
	}{
		{"example.com", "example.com", "example.com", true, false, true},
		{"example.com/r", "example.com", "example.com", false, true, false},
		{"a@example.com", "a@example.com", "example.com", true, false, false},
		{"a@example.com/r/@", "a@example.com", "example.com", false, true, false},
	} {
		t.Run(c.in, func(t *testing.T) {
			j := jid.MustParse(c.in)
			if j.Bare() != jid.MustParse(c.bare) || j.BareString() != c.bare {
				t.Errorf("Bare = %v, %v", j.Bare(), j.BareString())
			}
			if j.DomainJID() != jid.MustParse(c.domain) {
				t.Errorf("DomainJID = %v", j.DomainJID())
			}
			if j.IsBare() != c.isBare || j.IsFull() != c.isFull || j.IsDomain() != c.isDomain || j.IsZero() {
				t.Errorf("IsBare %v, IsFull %v, IsDomain %v, IsZero %v", j.IsBare(), j.IsFull(), j.IsDomain(), j.IsZero())
			}
			if !j.InDomain(jid.MustParse("x@example.com/y")) {
				t.Error("not in its domain")
			}
			for _, other := range []string{"com", "sub.example.com", "notexample.com", "example.com.evil"} {
				if j.InDomain(jid.MustParse(other)) {
					t.Errorf("in domain %s", other)
				}
			}
		})
	}
}

func TestZero(t *testing.T) {
	var z jid.JID
	if !z.IsZero() || z.IsBare() || z.IsFull() || z.IsDomain() || z.Portable() {
		t.Error("the zero value is some kind of address")
	}
	if z.String()+z.Local()+z.Domain()+z.Resource()+z.BareString() != "" {
		t.Error("the zero value has parts")
	}
	if z.Bare() != z || z.DomainJID() != z || z.InDomain(z) {
		t.Error("the zero value has a domain")
	}
	if n, ok := z.Normal(); n != z || ok {
		t.Errorf("Normal = %v, %v", n, ok)
	}
	a := jid.MustParse("a")
	if !z.Equivalent(z) || z.Equivalent(a) || a.Equivalent(z) || z.RoutedAs(a) || a.RoutedAs(z) {
		t.Error("the zero value is equivalent to an address")
	}
	if j, err := z.WithResource("r"); err == nil {
		t.Errorf("WithResource = %v", j)
	}
	if j, err := z.WithLocal("l"); err == nil {
		t.Errorf("WithLocal = %v", j)
	}
}

func TestWith(t *testing.T) {
	full := jid.MustParse("a@example.com/r")
	must := func(j jid.JID, err error) jid.JID {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	for _, c := range []struct {
		name string
		got  jid.JID
		want string
	}{
		{"resource", must(full.WithResource("é/@")), "a@example.com/é/@"},
		{"resource is enforced", must(full.WithResource("e\u0301")), "a@example.com/é"},
		{"no resource", must(full.WithResource("")), "a@example.com"},
		{"resource of a domain", must(full.DomainJID().WithResource("x")), "example.com/x"},
		{"localpart", must(full.WithLocal("B")), "b@example.com/r"},
		{"no localpart", must(full.WithLocal("")), "example.com/r"},
		{"localpart of a domain", must(full.DomainJID().WithLocal("x")), "x@example.com"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.got != jid.MustParse(c.want) {
				t.Errorf("got %v, want %v", c.got, c.want)
			}
		})
	}
	for _, bad := range []string{" x", "\x00", "\xff", a1024} {
		if j, err := full.WithResource(bad); err == nil {
			t.Errorf("WithResource(%.9q) = %v", bad, j)
		}
	}
	for _, bad := range []string{"a@b", "a/b", " ", "\xff", a1024} {
		if j, err := full.WithLocal(bad); err == nil {
			t.Errorf("WithLocal(%.9q) = %v", bad, j)
		}
	}
}

// == must not depend on how an address came to be.
func TestComparable(t *testing.T) {
	want := jid.MustParse("a@example.com")
	n, _ := jid.New("A", "EXAMPLE.com.", "")
	r, _ := jid.ParseRouted("a@example.com")
	normal, _ := jid.MustParse("a@example.com/x").Bare().Normal()
	with, _ := jid.MustParse("example.com").WithLocal("a")
	set := map[jid.JID]bool{want: true}
	for name, j := range map[string]jid.JID{
		"New": n, "ParseRouted": r, "Bare": jid.MustParse("a@example.com/x").Bare(), "Normal": normal, "WithLocal": with,
	} {
		if j != want || !set[j] {
			t.Errorf("%s: %v is not %v", name, j, want)
		}
	}
}
