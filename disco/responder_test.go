package disco_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/internal/loopback"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/form"
	"github.com/postern-im/postern/xep/ping"
)

var (
	gw   = jid.MustParse("gw.example")
	user = jid.MustParse("romeo@montague.net/orchard")
	irc  = disco.Identity{Category: "gateway", Type: "irc", Name: "IRC"}
)

func responder(t testing.TB, cfg disco.Config) *disco.Responder {
	t.Helper()
	if cfg.JID.IsZero() {
		cfg.JID = gw
	}
	if cfg.Identities == nil {
		cfg.Identities = []disco.Identity{irc}
	}
	r, err := disco.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ask sends an IQ to a responder and returns the inside of its answer.
func ask(t testing.TB, r *disco.Responder, from, to, query string) string {
	t.Helper()
	head := fmt.Sprintf("<iq from='%s' to='%s' id='1' type=", to, from)
	sent, err := loopback.Must(r.Routes()...).Exchange(t.Context(), fmt.Sprintf("<iq type='get' from='%s' to='%s' id='1'>%s</iq>", from, to, query))
	if err != nil || len(sent) != 1 || !strings.HasPrefix(sent[0], head) {
		t.Fatalf("answers %q, %v", sent, err)
	}
	return strings.TrimPrefix(sent[0], head)
}

func askInfo(t testing.TB, r *disco.Responder, to, node string) string {
	t.Helper()
	if node != "" {
		node = " node='" + node + "'"
	}
	return ask(t, r, user.String(), to, "<query xmlns='http://jabber.org/protocol/disco#info'"+node+"/>")
}

func askItems(t testing.TB, r *disco.Responder, to, node string) string {
	t.Helper()
	if node != "" {
		node = " node='" + node + "'"
	}
	return ask(t, r, user.String(), to, "<query xmlns='http://jabber.org/protocol/disco#items'"+node+"/>")
}

const (
	notFound = `'error'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`
	always   = `<feature var='http://jabber.org/protocol/caps'/><feature var='http://jabber.org/protocol/disco#info'/>` +
		`<feature var='http://jabber.org/protocol/disco#items'/><feature var='http://jabber.org/protocol/rsm'/>`
)

func infoResult(node, inner string) string {
	return `'result'><query xmlns='http://jabber.org/protocol/disco#info'` + node + `>` + inner + `</query></iq>`
}

func itemsResult(node, inner string) string {
	if inner == "" {
		return `'result'><query xmlns='http://jabber.org/protocol/disco#items'` + node + `/></iq>`
	}
	return `'result'><query xmlns='http://jabber.org/protocol/disco#items'` + node + `>` + inner + `</query></iq>`
}

func TestInfo(t *testing.T) {
	r := responder(t, disco.Config{
		Identities: []disco.Identity{irc, {Category: "component", Type: "generic"}, {Category: "gateway", Type: "irc", Name: "IRC-Zugang", Lang: "de"}},
		Features:   append(router.Features(ping.Routes()), "urn:b", "urn:a", "urn:b", disco.NSInfo),
		Forms:      []form.Form{*form.Result("urn:z", form.Answer("n", "2")), serverInfo()},
		Sources: []disco.Source{disco.InfoFunc(func(_ context.Context, q disco.Query) (disco.Info, error) {
			switch {
			case q.To == gw && q.Node == "":
				return disco.Info{Features: []string{"urn:from-source", "urn:a"}}, nil
			case q.To.String() == "contact@gw.example" && q.Node == "":
				return disco.Info{Identities: []disco.Identity{{Category: "account", Type: "registered"}}}, nil
			case q.To.String() == "nameless@gw.example":
				return disco.Info{}, nil
			case q.Node == "for romeo" && q.From.Bare() == user.Bare():
				return disco.Info{Identities: []disco.Identity{{Category: "automation", Type: "command-node"}}}, nil
			case q.Node == "forbidden":
				return disco.Info{}, stanza.NewError(stanza.Forbidden, "members only")
			case q.Node == "broken":
				return disco.Info{}, errors.New("the database is down")
			}
			return disco.Info{}, fmt.Errorf("nothing at %s: %w", q.To, disco.ErrNotFound)
		})},
	})
	for _, c := range []struct{ name, to, node, want string }{
		{
			"the service: sorted, each once, with what a source adds", "gw.example", "", infoResult("",
				`<identity category='component' type='generic'/><identity category='gateway' type='irc' name='IRC'/><identity xml:lang='de' category='gateway' type='irc' name='IRC-Zugang'/>`+
					always+`<feature var='urn:a'/><feature var='urn:b'/><feature var='urn:from-source'/><feature var='urn:xmpp:ping'/>`+
					`<x xmlns='jabber:x:data' type='result'><field type='hidden' var='FORM_TYPE'><value>http://jabber.org/network/serverinfo</value></field>`+
					`<field var='c2s_port'><value>5222</value></field><field var='c2s_port_ssl'><value>5223</value></field><field var='http_access'><value>http://shakespeare.lit/jabber</value></field>`+
					`<field var='ip_version'><value>ipv4</value><value>ipv6</value></field><field var='info_url'><value>http://shakespeare.lit/support.php</value></field></x>`+
					`<x xmlns='jabber:x:data' type='result'><field type='hidden' var='FORM_TYPE'><value>urn:z</value></field><field var='n'><value>2</value></field></x>`),
		},
		{"a contact", "contact@gw.example", "", infoResult("", `<identity category='account' type='registered'/>`+always)},
		{"an address without identity", "nameless@gw.example", "", infoResult("", `<identity category='component' type='generic'/>`+always)},
		{"a node for whoever asks", "gw.example", "for romeo", infoResult(` node='for romeo'`, `<identity category='automation' type='command-node'/><feature var='http://jabber.org/protocol/disco#info'/>`)},
		{"an unknown node", "gw.example", "x", notFound},
		{"an unknown address", "nobody@gw.example", "", notFound},
		{"a resource of the service", "gw.example/x", "", notFound},
		{"a refusal of a source", "gw.example", "forbidden", `'error'><error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>members only</text></error></iq>`},
		{"an error of a source", "gw.example", "broken", `'error'><error type='cancel'><internal-server-error xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := askInfo(t, r, c.to, c.node); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
	t.Run("twice the same", func(t *testing.T) {
		if a, b := askInfo(t, r, "gw.example", ""), askInfo(t, r, "gw.example", ""); a != b {
			t.Errorf("\n%s\n%s", a, b)
		}
	})
	t.Run("the address in capitals", func(t *testing.T) {
		if got := askInfo(t, r, "GW.example", ""); !strings.Contains(got, "gateway") {
			t.Error(got)
		}
	})
}

// TestSEC76_HiddenIsLikeUnknown: whoever may not know of an address gets, byte for byte, what she gets for one that is not there.
func TestSEC76_HiddenIsLikeUnknown(t *testing.T) {
	hide := func(q disco.Query) error {
		if q.To.Local() != "hidden" {
			return disco.ErrNotFound
		}
		if !q.From.IsZero() && q.From.Bare() != user.Bare() {
			return fmt.Errorf("%s may not see %s: %w", q.From, q.To, disco.ErrNotFound)
		}
		return nil
	}
	r := responder(t, disco.Config{Sources: []disco.Source{
		disco.InfoFunc(func(_ context.Context, q disco.Query) (disco.Info, error) {
			return disco.Info{Identities: []disco.Identity{{Category: "account", Type: "registered"}}}, hide(q)
		}),
		disco.ItemsFunc(func(_ context.Context, q disco.Query) ([]disco.Item, error) { return nil, hide(q) }),
	}})
	caps, err := r.Caps(t.Context(), jid.MustParse("hidden@gw.example"))
	if err != nil {
		t.Fatal(err)
	}
	for name, query := range map[string]string{
		"info":  "<query xmlns='http://jabber.org/protocol/disco#info'/>",
		"items": "<query xmlns='http://jabber.org/protocol/disco#items'/>",
		"caps":  "<query xmlns='http://jabber.org/protocol/disco#info' node='" + caps.InfoNode() + "'/>",
	} {
		if got := ask(t, r, user.String(), "hidden@gw.example", query); !strings.HasPrefix(got, "'result'") {
			t.Errorf("%s: who may see it gets %s", name, got)
		}
		hidden, unknown := ask(t, r, "eve@x/y", "hidden@gw.example", query), ask(t, r, "eve@x/y", "unknown@gw.example", query)
		if hidden != unknown || hidden != notFound {
			t.Errorf("%s:\nhidden  %s\nunknown %s", name, hidden, unknown)
		}
	}
}

func TestItems(t *testing.T) {
	room := func(s string) disco.Item { return disco.Item{JID: jid.MustParse(s + "@gw.example"), Name: "Room " + s} }
	r := responder(t, disco.Config{
		Items: []disco.Item{{JID: gw, Node: "z"}, {JID: gw, Node: "a", Name: "A&B"}, room("m")},
		Sources: []disco.Source{
			disco.ItemsFunc(func(_ context.Context, q disco.Query) ([]disco.Item, error) {
				switch {
				case q.To == gw && q.Node == "":
					return []disco.Item{room("x"), room("c"), room("m")}, nil
				case q.Node == "empty":
					return nil, nil
				case q.Node == "refused":
					return nil, stanza.NotAllowed
				}
				return nil, disco.ErrNotFound
			}),
			disco.InfoFunc(func(_ context.Context, q disco.Query) (disco.Info, error) {
				if q.To.Local() == "m" {
					return disco.Info{}, nil
				}
				return disco.Info{}, disco.ErrNotFound
			}),
		},
	})
	for _, c := range []struct{ name, to, node, want string }{
		{
			"of the service, sorted, each once", "gw.example", "", itemsResult("", `<item jid='c@gw.example' name='Room c'/><item jid='gw.example' node='a' name='A&amp;B'/>`+
				`<item jid='gw.example' node='z'/><item jid='m@gw.example' name='Room m'/><item jid='x@gw.example' name='Room x'/>`),
		},
		{"none", "gw.example", "empty", itemsResult(" node='empty'", "")},
		{"of an address that exists and has none", "m@gw.example", "", itemsResult("", "")},
		{"of an unknown node", "gw.example", "x", notFound},
		{"of an unknown address", "nobody@gw.example", "", notFound},
		{"refused", "gw.example", "refused", `'error'><error type='cancel'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := askItems(t, r, c.to, c.node); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
	page := func(set string) string {
		return ask(t, r, user.String(), "gw.example", `<query xmlns='http://jabber.org/protocol/disco#items'><set xmlns='http://jabber.org/protocol/rsm'>`+set+`</set></query>`)
	}
	for _, c := range []struct{ name, set, want string }{
		{"first page", `<max>2</max>`, itemsResult("", `<item jid='c@gw.example' name='Room c'/><item jid='gw.example' node='a' name='A&amp;B'/><set xmlns='http://jabber.org/protocol/rsm'><first index='0'>c@gw.example</first><last>gw.example?;node=a</last><count>5</count></set>`)},
		{"behind an item that is gone", `<max>1</max><after>d@gw.example</after>`, itemsResult("", `<item jid='gw.example' node='a' name='A&amp;B'/><set xmlns='http://jabber.org/protocol/rsm'><first index='1'>gw.example?;node=a</first><last>gw.example?;node=a</last><count>5</count></set>`)},
		{"count", `<max>0</max>`, itemsResult("", `<set xmlns='http://jabber.org/protocol/rsm'><count>5</count></set>`)},
		{"no number", `<max>all</max>`, `'error'><error type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>rsm: max is no number</text></error></iq>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := page(c.set); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestManyItems: an answer is never too large to be sent; the rest is on the next page, also for who does not know pages.
func TestManyItems(t *testing.T) {
	var many, long []disco.Item
	for i := range 5000 {
		many = append(many, disco.Item{JID: gw, Node: fmt.Sprintf("n%05d", i)})
		long = append(long, disco.Item{JID: gw, Node: fmt.Sprintf("n%05d", i), Name: strings.Repeat("'", 5000)})
	}
	for name, items := range map[string][]disco.Item{"many": many, "with long names": long[:60], "one larger than an answer": {{JID: gw, Node: "x", Name: strings.Repeat("x", 200<<10)}}} {
		t.Run(name, func(t *testing.T) {
			r := responder(t, disco.Config{Items: items})
			got, err := disco.NewClient(loopback.Must(r.Routes()...).From(user), disco.ClientConfig{}).GetItems(t.Context(), gw, "")
			if err != nil || !slices.Equal(got, items) {
				t.Errorf("%d items, %v", len(got), err)
			}
		})
	}
	got := askItems(t, responder(t, disco.Config{Items: many}), "gw.example", "")
	if !strings.HasSuffix(got, `<set xmlns='http://jabber.org/protocol/rsm'><first index='0'>gw.example?;node=n00000</first><last>gw.example?;node=n00999</last><count>5000</count></set></query></iq>`) {
		t.Errorf("without asking for a page: ...%s", got[len(got)-300:])
	}
}

// TestOnlyGet: a set is answered by whoever answers what nobody takes, and a result goes to who asked.
func TestOnlyGet(t *testing.T) {
	s := loopback.Must(responder(t, disco.Config{}).Routes()...)
	for _, c := range []struct{ typ, want string }{
		{"set", `<iq from='gw.example' to='a@b/c' id='1' type='error'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`},
		{"result", ""},
		{"error", ""},
	} {
		if got := s.Ask(`<iq type='` + c.typ + `' from='a@b/c' to='gw.example' id='1'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>`); got != c.want {
			t.Errorf("%s: %s", c.typ, got)
		}
	}
}

func TestCapsNode(t *testing.T) {
	extra := "urn:one"
	r := responder(t, disco.Config{CapsNode: "https://example.org/gw", Sources: []disco.Source{
		disco.InfoFunc(func(_ context.Context, q disco.Query) (disco.Info, error) {
			switch {
			case q.To != gw || q.Node != "":
				return disco.Info{}, disco.ErrNotFound
			case !q.From.IsZero():
				return disco.Info{Features: []string{"urn:for-you"}}, nil
			}
			return disco.Info{Features: []string{extra}}, nil
		}),
	}})
	caps, err := r.Caps(t.Context(), gw)
	if err != nil || caps.Node != "https://example.org/gw" || caps.Hash != "sha-1" {
		t.Fatalf("%+v, %v", caps, err)
	}
	answered, err := disco.NewClient(loopback.Must(r.Routes()...).From(user), disco.ClientConfig{}).GetInfo(t.Context(), gw, caps.InfoNode())
	if err != nil || caps.Verify(answered) != nil || answered.Node != caps.InfoNode() || !answered.Has("urn:one") || answered.Has("urn:for-you") {
		t.Errorf("answered %+v, %v", answered, err)
	}
	if got := askInfo(t, r, "gw.example", "https://example.org/gw#other"); got != notFound {
		t.Errorf("another hash: %s", got)
	}
	if got := askInfo(t, r, "nobody@gw.example", caps.InfoNode()); got != notFound {
		t.Errorf("another address: %s", got)
	}
	extra = "urn:two"
	if now, err := r.Caps(t.Context(), gw); err != nil || now == caps {
		t.Errorf("another feature, the same hash: %+v, %v", now, err)
	}
	if got := askInfo(t, r, "gw.example", caps.InfoNode()); got != notFound {
		t.Errorf("the hash of before: %s", got)
	}
	if _, err := r.Caps(t.Context(), jid.MustParse("nobody@gw.example")); !errors.Is(err, stanza.ItemNotFound) {
		t.Errorf("of nobody: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, cfg := range map[string]disco.Config{
		"no identity":              {},
		"identity twice":           {Identities: []disco.Identity{irc, {Category: "gateway", Type: "irc", Name: "another name"}}},
		"identity without type":    {Identities: []disco.Identity{{Category: "gateway"}}},
		"form without FORM_TYPE":   {Identities: []disco.Identity{irc}, Forms: []form.Form{*form.Result("", form.Answer("a", "b"))}},
		"form twice":               {Identities: []disco.Identity{irc}, Forms: []form.Form{serverInfo(), serverInfo()}},
		"feature with a separator": {Identities: []disco.Identity{irc}, Features: []string{"a<b"}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := disco.New(cfg); err == nil {
				t.Error("accepted")
			}
		})
	}
}

// TestClientsOwnInfo: a client is asked at its one address, whatever that is.
func TestClientsOwnInfo(t *testing.T) {
	r, err := disco.New(disco.Config{Identities: []disco.Identity{{Category: "client", Type: "bot"}}, Items: []disco.Item{{JID: gw}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := askInfo(t, r, "bot@x/y", ""); !strings.Contains(got, "<identity category='client' type='bot'/>") {
		t.Error(got)
	}
	if items, err := r.Items(t.Context(), disco.Query{To: user}); err != nil || len(items) != 1 {
		t.Errorf("%v, %v", items, err)
	}
}

// ownNode is a source that has one node for itself.
type ownNode struct{ info disco.Info }

func (ownNode) DiscoExclusive(q disco.Query) bool { return q.Node == "own" }

func (o ownNode) DiscoInfo(_ context.Context, q disco.Query) (disco.Info, error) {
	if q.Node != "own" || q.To != gw {
		return disco.Info{}, disco.ErrNotFound
	}
	return o.info, nil
}

func (o ownNode) DiscoItems(ctx context.Context, q disco.Query) ([]disco.Item, error) {
	_, err := o.DiscoInfo(ctx, q)
	return nil, err
}

// TestExclusive: nothing is added to what a source has for itself, whoever else answers.
func TestExclusive(t *testing.T) {
	everything := disco.InfoFunc(func(context.Context, disco.Query) (disco.Info, error) {
		return disco.Info{Identities: []disco.Identity{irc}, Features: []string{"urn:more"}}, nil
	})
	own := ownNode{disco.Info{Features: []string{"urn:b", "urn:a", "urn:b"}}}
	r := responder(t, disco.Config{JID: gw, Identities: []disco.Identity{irc}, Sources: []disco.Source{everything, own}})
	if got, want := askInfo(t, r, "gw.example", "own"), infoResult(" node='own'", `<feature var='urn:a'/><feature var='urn:b'/>`); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if own.info.Features[0] != "urn:b" {
		t.Error("the source's own slice was sorted")
	}
	if got := askInfo(t, r, "x@gw.example", "own"); got != notFound {
		t.Errorf("another address: %s", got)
	}
	if items, err := r.Items(t.Context(), disco.Query{To: gw, Node: "own"}); err != nil || len(items) != 0 {
		t.Errorf("items: %v, %v", items, err)
	}
	if got := askInfo(t, r, "gw.example", "other"); !strings.Contains(got, "urn:more") {
		t.Errorf("another node: %s", got)
	}
}
