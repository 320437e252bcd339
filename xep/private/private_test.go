package private_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"iter"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/postern-im/postern/internal/loopback"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/xep/private"
	"github.com/postern-im/postern/xmltree"
)

// memory is a private.Store without a database.
type memory struct {
	mu    sync.Mutex
	data  map[storage.DatumID]string
	reads int
	fail  error
}

func newMemory() *memory { return &memory{data: make(map[storage.DatumID]string)} }

func (m *memory) InTx(ctx context.Context, f func(context.Context) error) error {
	before := maps.Clone(m.data)
	err := f(ctx)
	if err != nil {
		m.data = before
	}
	return err
}

func (m *memory) Datum(_ context.Context, id storage.DatumID) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	if m.fail != nil {
		return nil, m.fail
	}
	if d, ok := m.data[id]; ok {
		return []byte(d), nil
	}
	return nil, storage.ErrNotFound
}

func (m *memory) PutDatum(_ context.Context, id storage.DatumID, data []byte, quota int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := storage.CheckDatum(id, data, quota); err != nil || m.fail != nil {
		return errors.Join(err, m.fail)
	}
	used := len(id.Key) + len(data)
	for k, d := range m.data {
		if k.Owner == id.Owner && k != id {
			used += len(k.Key) + len(d)
		}
	}
	if used > quota {
		return storage.ErrFull
	}
	m.data[id] = string(data)
	return nil
}

func (m *memory) DeleteDatum(_ context.Context, id storage.DatumID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.data, id)
	return m.fail
}

func (*memory) EachDatum(context.Context, jid.JID, string) iter.Seq2[storage.Datum, error] {
	return nil
}

func ask(typ, from, to, content string) string {
	return fmt.Sprintf("<iq from='%s' to='%s' id='1' type='%s'><query xmlns='jabber:iq:private'>%s</query></iq>", from, to, typ, content)
}

func result(content string) string {
	if content != "" {
		content = "<query xmlns='jabber:iq:private'>" + content + "</query>"
	}
	if content == "" {
		return "<iq from='hamlet@shakespeare.lit' to='hamlet@shakespeare.lit/denmark' id='1' type='result'/>"
	}
	return "<iq from='hamlet@shakespeare.lit' to='hamlet@shakespeare.lit/denmark' id='1' type='result'>" + content + "</iq>"
}

func refused(to, from, typ, condition, text string) string {
	if text != "" {
		text = "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>" + text + "</text>"
	}
	return fmt.Sprintf("<iq from='%s' to='%s' id='1' type='error'><error type='%s'><%s xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>%s</error></iq>", from, to, typ, condition, text)
}

const (
	hamlet = "hamlet@shakespeare.lit"
	prefs  = "<exodus xmlns='exodus:prefs'><defaultnick>Hamlet</defaultnick></exodus>"
)

// TestExamplesOfXEP0049 holds the examples of section 2.3, and what lies between them.
func TestExamplesOfXEP0049(t *testing.T) {
	if err := stanza.Check[private.Query](); err != nil {
		t.Fatal(err)
	}
	s := loopback.Must(private.NewKeeper(newMemory(), 0).Routes()...)
	own := func(typ, content string) string { return ask(typ, hamlet+"/denmark", hamlet, content) }
	no := func(typ, condition, text string) string {
		return refused(hamlet+"/denmark", hamlet, typ, condition, text)
	}
	for _, c := range []struct{ name, in, want string }{
		{"nothing yet", own("get", "<exodus xmlns='exodus:prefs'/>"), result("<exodus xmlns='exodus:prefs'/>")},
		{"stores", own("set", prefs), result("")},
		{"retrieves", own("get", "<exodus xmlns='exodus:prefs'/>"), result(prefs)},
		{"another name of that namespace", own("get", "<other xmlns='exodus:prefs'/>"), result("<other xmlns='exodus:prefs'/>")},
		{"several of one namespace", own("set", "<a xmlns='urn:a' n='1'/><b xmlns='urn:a'>2</b><a xmlns='urn:a' n='3'/>"), result("")},
		{"all of a name", own("get", "<a xmlns='urn:a'/>"), result("<a xmlns='urn:a' n='1'/><a xmlns='urn:a' n='3'/>")},
		{"several names", own("get", "<b xmlns='urn:a'/><c xmlns='urn:a'/>"), result("<b xmlns='urn:a'>2</b><c xmlns='urn:a'/>")},
		{"replaces", own("set", "<a xmlns='urn:a'>4</a>"), result("")},
		{"replaced", own("get", "<a xmlns='urn:a'/>"), result("<a xmlns='urn:a'>4</a>")},
		{"empties", own("set", "<a xmlns='urn:a'/>"), result("")},
		{"emptied", own("get", "<a xmlns='urn:a'/>"), result("<a xmlns='urn:a'/>")},
		{"any XML", own("set", "<x xmlns='urn:x' xml:lang='de' a='&lt;&#10;'>&lt;<y xmlns='urn:y'/> z<x/></x>"), result("")},
		{"as it was", own("get", "<x xmlns='urn:x'/>"), result("<x xmlns='urn:x' xml:lang='de' a='&lt;&#xA;'>&lt;<y xmlns='urn:y'/> z<x/></x>")},

		{"of another account", ask("set", "macbeth@shakespeare.lit/x", hamlet, prefs), refused("macbeth@shakespeare.lit/x", hamlet, "cancel", "service-unavailable", "")},
		{"of a server", ask("get", hamlet+"/denmark", "shakespeare.lit", prefs), refused(hamlet+"/denmark", "shakespeare.lit", "cancel", "service-unavailable", "")},
		{"of a stranger of that name", ask("get", "hamlet@elsewhere.lit/x", hamlet, prefs), refused("hamlet@elsewhere.lit/x", hamlet, "cancel", "service-unavailable", "")},
		{"without element", own("get", ""), no("modify", "bad-request", "name an element")},
		{"without element to store", own("set", ""), no("modify", "not-acceptable", "name an element")},
		{"in our namespace", own("set", "<a/>"), no("modify", "not-acceptable", "an element needs a namespace of its own")},
		{"in none", own("set", "<a xmlns=''/>"), no("modify", "not-acceptable", "an element needs a namespace of its own")},
		{"in two", own("set", prefs+"<a xmlns='urn:a'/>"), no("modify", "not-acceptable", "all elements must be in one namespace")},
		{"too deep", own("set", "<a xmlns='urn:a'>"+strings.Repeat("<b>", 24)+"x"+strings.Repeat("</b>", 24)+"</a>"), no("modify", "not-acceptable", "too large or too deep to be kept")},
		{"a name too long", own("set", "<a xmlns='urn:"+strings.Repeat("a", 1024)+"'>x</a>"), no("modify", "not-acceptable", "")},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := s.Ask(c.in); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
	if got := s.Ask(own("get", strings.Repeat("<a xmlns='urn:a'/>", 101))); !strings.Contains(got, "not-acceptable") {
		t.Errorf("too many: %s", got)
	}
}

// TestQuota: an account has so much and no more, and a request that does not fit changes nothing.
func TestQuota(t *testing.T) {
	m := newMemory()
	s := loopback.Must(private.NewKeeper(m, 300).Routes()...)
	set := func(els ...string) string {
		return s.Ask(ask("set", hamlet+"/denmark", hamlet, strings.Join(els, "")))
	}
	el := func(name string, n int) string {
		return "<" + name + " xmlns='urn:a'>" + strings.Repeat("x", n) + "</" + name + ">"
	}
	full := refused(hamlet+"/denmark", hamlet, "wait", "resource-constraint", "no more is kept for this account")
	for _, step := range []struct {
		els  []string
		want string
	}{
		{[]string{el("a", 100)}, result("")},
		{[]string{el("b", 150)}, full},
		{[]string{el("b", 10), el("c", 100)}, full},
		{[]string{el("a", 150)}, result("")},
		{[]string{"<a xmlns='urn:a'/>", el("b", 150)}, result("")}, // room is made first
		{[]string{el("a", 150), el("b", 1)}, result("")},           // also by what gets smaller, whatever comes first
		{[]string{el("a", 1), el("b", 150)}, result("")},
		{[]string{"<a xmlns='urn:a'/>"}, result("")},
		{[]string{el("c", 400)}, full},
	} {
		if got := set(step.els...); got != step.want {
			t.Errorf("%.60q: %s", step.els, got)
		}
	}
	if len(m.data) != 1 {
		t.Errorf("kept are %q", m.data)
	}
}

// TestAskedTwice: what is named again and again in one request is read and answered once, so that few bytes cannot ask for many.
func TestAskedTwice(t *testing.T) {
	m := newMemory()
	s := loopback.Must(private.NewKeeper(m, 0).Routes()...)
	if got := s.Ask(ask("set", hamlet+"/denmark", hamlet, prefs)); got != result("") {
		t.Fatal(got)
	}
	if got := s.Ask(ask("get", hamlet+"/denmark", hamlet, strings.Repeat("<exodus xmlns='exodus:prefs'/>", 100))); got != result(prefs) {
		t.Errorf("%.300s", got)
	}
	if m.reads != 1 {
		t.Errorf("read %d times", m.reads)
	}
}

// TestStoreIsAway: who asks learns that she may try again, and nothing else.
func TestStoreIsAway(t *testing.T) {
	m := newMemory()
	m.fail = fmt.Errorf("no route to host: %w", storage.ErrUnavailable)
	s := loopback.Must(private.NewKeeper(m, 0).Routes()...)
	want := refused(hamlet+"/denmark", hamlet, "wait", "internal-server-error", "")
	for _, typ := range []string{"get", "set"} {
		if got := s.Ask(ask(typ, hamlet+"/denmark", hamlet, prefs)); got != want {
			t.Errorf("%s: %s", typ, got)
		}
	}
	m.fail = nil
	m.data[storage.DatumID{Owner: jid.MustParse(hamlet), Namespace: private.NS, Key: "exodus:prefs exodus"}] = "<broken"
	if got := s.Ask(ask("get", hamlet+"/denmark", hamlet, prefs)); got != refused(hamlet+"/denmark", hamlet, "cancel", "internal-server-error", "") {
		t.Errorf("broken: %s", got)
	}
}

// TestSEC76_PrivateData: another's data are like nobody's, whatever let the request in.
func TestSEC76_PrivateData(t *testing.T) {
	s := loopback.Must(private.NewKeeper(newMemory(), 0).Routes()...)
	if got := s.Ask(ask("set", hamlet+"/denmark", hamlet, prefs)); got != result("") {
		t.Fatal(got)
	}
	for _, content := range []string{prefs, "<none xmlns='urn:none'/>", "", "<a/>"} {
		there := s.Ask(ask("get", "macbeth@shakespeare.lit/x", hamlet, content))
		if not := s.Ask(ask("get", "macbeth@shakespeare.lit/x", "nobody@shakespeare.lit", content)); strings.ReplaceAll(not, "nobody", "hamlet") != there {
			t.Errorf("\n%s\n%s", there, not)
		}
	}
}

func TestGetAndSet(t *testing.T) {
	us := jid.MustParse(hamlet)
	out := loopback.Must(private.NewKeeper(newMemory(), 0).Routes()...).From(us)
	el, err := xmltree.Parse([]byte(prefs), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	name := xml.Name{Space: "exodus:prefs", Local: "exodus"}
	if got, err := private.Get(t.Context(), out, us, name); err != nil || len(got) != 1 || got[0].String() != "<exodus xmlns='exodus:prefs'/>" {
		t.Errorf("%v, %v", got, err)
	}
	if err := private.Set(t.Context(), out, us, el); err != nil {
		t.Error(err)
	}
	if got, err := private.Get(t.Context(), out, us, name); err != nil || len(got) != 1 || got[0].String() != prefs {
		t.Errorf("%v, %v", got, err)
	}
	if err := private.Set(t.Context(), out, us); !errors.Is(err, stanza.NotAcceptable) {
		t.Errorf("%v", err)
	}
	if _, err := private.Get(t.Context(), out, us, xml.Name{Local: " "}); err == nil {
		t.Error("asked for no name")
	}
}
