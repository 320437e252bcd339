package jid_test

import (
	"strings"
	"testing"

	"github.com/postern-im/postern/jid"
)

const (
	plainFull = "romeo.montague+x@conference.example.com/Balcony 7"
	upperFull = "Romeo.Montague@Example.com/Balcony"
	otherFull = "jürgen@münchen.example/Küche"
)

// sink keeps results alive, so that the compiler cannot drop a call.
var sink struct {
	j  jid.JID
	s  string
	ok bool
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	full := jid.MustParse(plainFull)
	// A copy in other memory: nothing may depend on the pointer.
	same := jid.MustParse(strings.Clone(plainFull))
	other := jid.MustParse("juliet@example.com/Balcony 7")
	domain := full.DomainJID()
	buf := make([]byte, 0, 128)
	for _, c := range []struct {
		name string
		want float64
		f    func()
	}{
		{"Parse", 0, func() { sink.j, _ = jid.Parse(plainFull) }},
		{"Parse domain", 0, func() { sink.j, _ = jid.Parse("conference.example.com") }},
		{"ParseRouted", 0, func() { sink.j, _ = jid.ParseRouted(plainFull) }},
		{"ParseRouted upper case", 0, func() { sink.j, _ = jid.ParseRouted(upperFull) }},
		{"ParseRouted beyond ASCII", 0, func() { sink.j, _ = jid.ParseRouted(otherFull) }},
		{"New", 1, func() { sink.j, _ = jid.New("romeo", "example.com", "Balcony 7") }},
		{"parts", 0, func() { sink.s = full.Local(); sink.s = full.Domain(); sink.s = full.Resource() }},
		{"Bare", 0, func() { sink.j = full.Bare(); sink.s = full.BareString() }},
		{"DomainJID", 0, func() { sink.j = full.DomainJID() }},
		{"InDomain", 0, func() { sink.ok = full.InDomain(domain) }},
		{"String", 0, func() { sink.s = full.String() }},
		{"Normal", 0, func() { sink.j, sink.ok = full.Normal() }},
		{"Equivalent, same", 0, func() { sink.ok = full.Equivalent(same) }},
		{"Equivalent, other", 0, func() { sink.ok = full.Equivalent(other) }},
		{"RoutedAs, other", 0, func() { sink.ok = full.RoutedAs(other) }},
		{"Portable", 0, func() { sink.ok = full.Portable() }},
		{"AppendText", 0, func() { buf, _ = full.AppendText(buf[:0]) }},
		{"WithResource", 1, func() { sink.j, _ = full.WithResource("Orchard") }},
		{"EscapeLocal without need", 0, func() { sink.s, _ = jid.EscapeLocal("romeo") }},
		{"UnescapeLocal without need", 0, func() { sink.s = jid.UnescapeLocal("romeo") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if n := testing.AllocsPerRun(100, c.f); n != c.want {
				t.Errorf("%v allocations, want %v", n, c.want)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, c := range []struct{ name, in string }{
		{"plain", plainFull}, {"upper", upperFull}, {"unicode", otherFull},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sink.j, _ = jid.Parse(c.in)
			}
		})
	}
}

func BenchmarkParseRouted(b *testing.B) {
	for _, c := range []struct{ name, in string }{
		{"plain", plainFull}, {"upper", upperFull}, {"unicode", otherFull},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sink.j, _ = jid.ParseRouted(c.in)
			}
		})
	}
}

func BenchmarkBare(b *testing.B) {
	j := jid.MustParse(plainFull)
	b.ReportAllocs()
	for b.Loop() {
		sink.j = j.Bare()
	}
}

func BenchmarkEquivalent(b *testing.B) {
	j := jid.MustParse(plainFull)
	for _, c := range []struct {
		name string
		o    jid.JID
	}{
		{"same", jid.MustParse(strings.Clone(plainFull))},
		{"other", jid.MustParse("juliet@conference.example.com/Balcony 7")},
		{"unicode", jid.MustParse(otherFull)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sink.ok = j.Equivalent(c.o)
			}
		})
	}
}

func BenchmarkFromForeign(b *testing.B) {
	for _, c := range []struct{ name, in string }{
		{"plain", "nick"}, {"escaped", "Jean Luc/42"}, {"unicode", "André"}, {"hexadecimal", "😀"},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sink.j, _ = jid.FromForeign(c.in, gateway)
			}
		})
	}
}
