package rsm_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/rsm"
	"github.com/postern-im/postern/xmltree"
)

// search is a protocol that pages by struct tags.
type search struct {
	Nick string   `xml:"nick,omitempty"`
	Set  *rsm.Set `xml:"http://jabber.org/protocol/rsm set"`
}

func (search) PayloadName() xml.Name { return xml.Name{Space: "jabber:iq:search", Local: "query"} }

func element(t *testing.T, s string) xmltree.Element {
	t.Helper()
	el, err := xmltree.Parse([]byte(s), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return el
}

// TestBothWays holds the examples of XEP-0059.
func TestBothWays(t *testing.T) {
	if err := stanza.Check[search](); err != nil {
		t.Fatal(err)
	}
	first := func(uid string, index int) *rsm.First { return &rsm.First{UID: uid, Index: new(index)} }
	for _, c := range []struct {
		name  string
		value *rsm.Set
		xml   string
	}{
		{"example 1, a limit", &rsm.Set{Max: new(10)}, `<max>10</max>`},
		{"example 4, first page", &rsm.Set{First: first("stpeter@jabber.org", 0), Last: "peterpan@neverland.lit", Count: new(800)}, `<first index='0'>stpeter@jabber.org</first><last>peterpan@neverland.lit</last><count>800</count>`},
		{"example 5, second page", &rsm.Set{Max: new(10), After: new("peterpan@neverland.lit")}, `<max>10</max><after>peterpan@neverland.lit</after>`},
		{"example 7, empty page", &rsm.Set{Count: new(790)}, `<count>790</count>`},
		{"example 8, previous page", &rsm.Set{Max: new(10), Before: new("peter@pixyland.org")}, `<max>10</max><before>peter@pixyland.org</before>`},
		{"example 11, last page", &rsm.Set{Max: new(10), Before: new("")}, `<max>10</max><before/>`},
		{"example 12, by index", &rsm.Set{Max: new(10), Index: new(371)}, `<max>10</max><index>371</index>`},
		{"example 15, count", &rsm.Set{Max: new(0)}, `<max>0</max>`},
		{"result without index and count", &rsm.Set{First: &rsm.First{UID: "a"}, Last: "b"}, `<first>a</first><last>b</last>`},
		{"nothing", &rsm.Set{}, ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := `<query xmlns='jabber:iq:search'><nick>Pete</nick><set xmlns='http://jabber.org/protocol/rsm'>` + c.xml + `</set></query>`
			in = strings.Replace(in, "rsm'></set>", "rsm'/>", 1)
			got, err := stanza.Decode[search](element(t, in))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.value, got.Set); d != "" {
				t.Errorf("read (-want +got):\n%s", d)
			}
			found, err := rsm.Find(element(t, in))
			if d := cmp.Diff(c.value, found); err != nil || d != "" {
				t.Errorf("found (-want +got), %v:\n%s", err, d)
			}
			out, err := stanza.Element(search{"Pete", c.value})
			if err != nil || out.String() != in {
				t.Errorf("written\n got %s, %v\nwant %s", out, err, in)
			}
		})
	}
	if s, err := rsm.Find(element(t, `<query xmlns='jabber:iq:search'><set xmlns='urn:x'/></query>`)); s != nil || err != nil {
		t.Errorf("found %v, %v where none is", s, err)
	}
}

func TestHostile(t *testing.T) {
	for _, in := range []string{
		`<max>ten</max>`, `<max/>`, `<max>-1</max>`, `<max>2147483648</max>`, `<max>99999999999999999999999</max>`, `<max>1e3</max>`,
		`<index>+1</index>`, `<count>0x10</count>`, `<first index='a'>x</first>`, `<first index=''>x</first>`,
	} {
		s, err := rsm.Find(element(t, `<q><set xmlns='http://jabber.org/protocol/rsm'>`+in+`</set></q>`))
		if s != nil || !errors.Is(err, stanza.BadRequest) {
			t.Errorf("%s: %+v, %v", in, s, err)
		}
	}
	s, err := rsm.Find(element(t, `<q><set xmlns='http://jabber.org/protocol/rsm'><max> 5 </max><max>6</max><after>a</after><after>b</after>`+
		`<last>c</last><last>d</last><max xmlns='urn:x'>7</max><future/>text</set><set xmlns='http://jabber.org/protocol/rsm'><max>8</max></set></q>`))
	if d := cmp.Diff(&rsm.Set{Max: new(5), After: new("a"), Last: "c"}, s); err != nil || d != "" {
		t.Errorf("twice (-want +got), %v:\n%s", err, d)
	}
}

func self(s string) string { return s }

func letters(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("%c", 'a'+i))
	}
	return out
}

func TestPage(t *testing.T) {
	type set = rsm.Set
	for _, c := range []struct {
		name  string
		total int
		req   *set
		limit int
		page  string
		index int // of the first item, where there is one
	}{
		{"no request, all fits", 3, nil, 5, "abc", -1},
		{"no request, too many", 7, nil, 5, "abcde", 0},
		{"empty request", 3, &set{}, 5, "abc", 0},
		{"max", 7, &set{Max: new(2)}, 5, "ab", 0},
		{"max above the limit", 7, &set{Max: new(1000)}, 5, "abcde", 0},
		{"max 0", 7, &set{Max: new(0)}, 5, "", 0},
		{"after", 7, &set{Max: new(2), After: new("b")}, 5, "cd", 2},
		{"after the last but one", 7, &set{Max: new(2), After: new("f")}, 5, "g", 6},
		{"after the last", 7, &set{Max: new(2), After: new("g")}, 5, "", 0},
		{"before", 7, &set{Max: new(2), Before: new("d")}, 5, "bc", 1},
		{"before the second", 7, &set{Max: new(2), Before: new("b")}, 5, "a", 0},
		{"before the first", 7, &set{Max: new(2), Before: new("a")}, 5, "", 0},
		{"last page", 7, &set{Max: new(2), Before: new("")}, 5, "fg", 5},
		{"last page, no max", 7, &set{Before: new("")}, 5, "cdefg", 2},
		{"index", 7, &set{Max: new(2), Index: new(3)}, 5, "de", 3},
		{"index 0", 7, &set{Max: new(2), Index: new(0)}, 5, "ab", 0},
		{"index behind the end", 7, &set{Max: new(2), Index: new(7)}, 5, "", 0},
		{"index far behind the end", 7, &set{Index: new(2147483647)}, 5, "", 0},
		{"between", 7, &set{After: new("b"), Before: new("f")}, 5, "cde", 2},
		{"between, limited", 7, &set{Max: new(2), After: new("b"), Before: new("f")}, 5, "cd", 2},
		{"between, the wrong way round", 7, &set{After: new("f"), Before: new("b")}, 5, "", 0},
		{"limit below 1", 7, &set{}, 0, "a", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			items := letters(c.total)
			for _, f := range []func([]string, func(string) string, *rsm.Set, int) ([]string, *rsm.Set, error){rsm.Page[string], rsm.PageSorted[string]} {
				page, res, err := f(items, self, c.req, c.limit)
				if err != nil || strings.Join(page, "") != c.page {
					t.Fatalf("page %v, %v", page, err)
				}
				want := &rsm.Set{Count: new(c.total)}
				switch {
				case c.index < 0:
					want = nil
				case c.page != "":
					want.First, want.Last = &rsm.First{UID: c.page[:1], Index: new(c.index)}, c.page[len(c.page)-1:]
				}
				if d := cmp.Diff(want, res); d != "" {
					t.Errorf("result (-want +got):\n%s", d)
				}
			}
		})
	}
}

// TestPageOfNothing: whoever has no items says so in the protocol at hand alone.
func TestPageOfNothing(t *testing.T) {
	for _, req := range []*rsm.Set{nil, {}, {Max: new(0)}, {Before: new("")}, {After: new("x")}} {
		if page, res, err := rsm.Page(nil, self, req, 5); len(page) != 0 || res != nil || err != nil {
			t.Errorf("%+v: %v, %v, %v", req, page, res, err)
		}
	}
}

func TestPageItemGone(t *testing.T) {
	items := []string{"a", "c", "e", "g"}
	for _, req := range []*rsm.Set{{After: new("d")}, {Before: new("d")}} {
		if _, _, err := rsm.Page(items, self, req, 5); !errors.Is(err, stanza.ItemNotFound) {
			t.Errorf("error %v", err)
		}
	}
	for _, c := range []struct {
		req  *rsm.Set
		want string
	}{
		{&rsm.Set{After: new("d"), Max: new(1)}, "e"},
		{&rsm.Set{Before: new("d"), Max: new(1)}, "c"},
		{&rsm.Set{After: new("z")}, ""},
		{&rsm.Set{Before: new("0")}, ""},
	} {
		page, _, err := rsm.PageSorted(items, self, c.req, 5)
		if err != nil || strings.Join(page, "") != c.want {
			t.Errorf("%+v: %v, %v", c.req, page, err)
		}
	}
}

// TestBothSides walks through a set page by page, forwards and with a set that changes on the way.
func TestBothSides(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 4, 6, 7, 26} {
		items := letters(n)
		var got []string
		req, more := &rsm.Set{Max: new(3)}, true
		for pages := 0; more; pages++ {
			if pages > 10 {
				t.Fatal("no end")
			}
			page, res, err := rsm.Page(items, self, req, 100)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, page...)
			req, more = res.Next(len(page), 3)
		}
		if !slices.Equal(got, items) {
			t.Errorf("%d items: got %v", n, got)
		}
	}
	if req, more := (*rsm.Set)(nil).Next(7, 3); more {
		t.Errorf("without a set: %+v", req)
	}
	if req, more := (&rsm.Set{Last: "x"}).Next(3, 3); !more || *req.After != "x" || *req.Max != 3 {
		t.Errorf("without count and index: %+v, %v", req, more)
	}
	if _, more := (&rsm.Set{Last: "x"}).Next(0, 3); more {
		t.Error("an empty page goes on")
	}
}

func ExamplePage() {
	rooms := []string{"barn", "forest", "tavern", "tower"}
	page, set, err := rsm.Page(rooms, func(room string) string { return room }, &rsm.Set{Max: new(2), After: new("barn")}, 100)
	fmt.Println(page, set.Last, *set.Count, err)
	// Output: [forest tavern] tavern 4 <nil>
}
