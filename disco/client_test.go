package disco_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/internal/loopback"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/form"
	"github.com/postern-im/postern/xmltree"
)

// peers is a Sender whose requests are answered by a function, through XML.
type peers struct {
	asked  atomic.Int64
	answer func(ctx context.Context, to jid.JID, node string) (string, error) // XML of the payload
}

func (p *peers) Send(context.Context, stanza.Stanza) error { return nil }

func (p *peers) Request(ctx context.Context, iq *stanza.IQ) (*stanza.IQ, error) {
	p.asked.Add(1)
	q, err := stanza.Decode[disco.Info](iq.Payload)
	if err != nil {
		return nil, err
	}
	out, err := p.answer(ctx, iq.To, q.Node)
	if err != nil {
		return nil, err
	}
	el, err := xmltree.Parse([]byte("<iq xmlns='jabber:client' type='result' id='1'>"+out+"</iq>"), xmltree.Limits{})
	if err != nil {
		return nil, err
	}
	s, err := stanza.Parse(el)
	if err != nil {
		return nil, err
	}
	return s.(*stanza.IQ), nil
}

func fixed(xml string) *peers {
	return &peers{answer: func(context.Context, jid.JID, string) (string, error) { return xml, nil }}
}

var (
	romeo  = jid.MustParse("romeo@montague.lit/orchard")
	nurse  = jid.MustParse("nurse@capulet.lit/chamber")
	exoVer = disco.Caps{Hash: "sha-1", Node: "http://code.google.com/p/exodus", Ver: "QgayPKawpkPSDYmwT/WM94uAlu0="}
)

func TestGetInfo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := fixed(psi)
		c := disco.NewClient(p, disco.ClientConfig{})
		want := info(t, psi)
		for range 3 {
			got, err := c.GetInfo(t.Context(), romeo, "")
			if d := cmp.Diff(want, got); err != nil || d != "" {
				t.Fatalf("%v (-want +got):\n%s", err, d)
			}
		}
		if p.asked.Load() != 1 {
			t.Errorf("asked %d times", p.asked.Load())
		}
		_, _ = c.GetInfo(t.Context(), romeo, "another node")
		_, _ = c.GetInfo(t.Context(), nurse, "")
		if p.asked.Load() != 3 {
			t.Errorf("asked %d times", p.asked.Load())
		}
		<-time.After(10 * time.Minute)
		_, _ = c.GetInfo(t.Context(), romeo, "")
		if p.asked.Load() != 4 {
			t.Errorf("asked %d times when the answer was old", p.asked.Load())
		}
	})
}

func TestGetInfoFails(t *testing.T) {
	for _, c := range []struct {
		name string
		xml  string
		err  error
	}{
		{"another payload", `<query xmlns='jabber:iq:version'/>`, stanza.ErrNoPayload},
		{"no payload", ``, stanza.ErrNoPayload},
		{"SEC-65 an answer above 64 KiB", `<query xmlns='http://jabber.org/protocol/disco#info'><feature var='` + strings.Repeat("x", 64<<10) + `'/></query>`, disco.ErrTooLarge},
		{"SEC-65 above 64 KiB in what nobody reads", `<query xmlns='http://jabber.org/protocol/disco#info'><x xmlns='urn:x'>` + strings.Repeat("x", 64<<10) + `</x></query>`, disco.ErrTooLarge},
		{"too deep", `<query xmlns='http://jabber.org/protocol/disco#info'>` + strings.Repeat("<x>", 61) + strings.Repeat("</x>", 61) + `</query>`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := disco.NewClient(fixed(c.xml), disco.ClientConfig{})
			if _, err := client.GetInfo(t.Context(), romeo, ""); !errors.Is(err, c.err) {
				t.Errorf("GetInfo: %v", err)
			}
			if _, err := client.GetCaps(t.Context(), romeo, exoVer); !errors.Is(err, c.err) {
				t.Errorf("GetCaps: %v", err)
			}
		})
	}
	p := &peers{answer: func(context.Context, jid.JID, string) (string, error) {
		return "", stanza.NewError(stanza.Forbidden, "")
	}}
	c := disco.NewClient(p, disco.ClientConfig{})
	for range 2 {
		if _, err := c.GetInfo(t.Context(), romeo, ""); !errors.Is(err, stanza.Forbidden) {
			t.Errorf("error %v", err)
		}
	}
	if p.asked.Load() != 2 {
		t.Errorf("an error was kept: asked %d times", p.asked.Load())
	}
}

// TestGetCaps holds XEP-0115 section 5.4: what proves right is asked once, whoever announces it.
func TestGetCaps(t *testing.T) {
	p := fixed(exodus)
	c := disco.NewClient(p, disco.ClientConfig{})
	for i := range 100 {
		of := jid.MustParse(fmt.Sprintf("user%d@x/y", i))
		got, err := c.GetCaps(t.Context(), of, disco.Caps{Hash: "sha-1", Node: fmt.Sprintf("http://x/%d", i), Ver: exoVer.Ver})
		if err != nil || !got.Has("http://jabber.org/protocol/muc") {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if p.asked.Load() != 1 {
		t.Errorf("asked %d times", p.asked.Load())
	}
}

// TestSEC64_Poison: an answer that does not prove right is believed of the address that gave it, and of nobody else.
func TestSEC64_Poison(t *testing.T) {
	const poison = `<query xmlns='http://jabber.org/protocol/disco#info'><identity category='client' type='pc' name='Exodus 0.9.1'/><feature var='urn:evil'/></query>`
	const glued = `<query xmlns='http://jabber.org/protocol/disco#info'><identity category='client' type='pc' name='Exodus 0.9.1'/>` +
		`<feature var='http://jabber.org/protocol/caps'/><feature var='http://jabber.org/protocol/disco#info&lt;http://jabber.org/protocol/disco#items&lt;http://jabber.org/protocol/muc'/></query>`
	for _, c := range []struct {
		name   string
		caps   disco.Caps
		answer string
	}{
		{"another answer", exoVer, poison},
		{"features glued together, which have the hash", exoVer, glued},
		{"hash that nobody knows", disco.Caps{Hash: "md5", Node: "n", Ver: "v"}, poison},
		{"from before version 1.4", disco.Caps{Node: "n", Ver: "v"}, poison},
	} {
		t.Run(c.name, func(t *testing.T) {
			evil := jid.MustParse("evil@x/y")
			p := &peers{answer: func(_ context.Context, to jid.JID, node string) (string, error) {
				if node != c.caps.InfoNode() {
					t.Errorf("asked for node %q", node)
				}
				if to == evil {
					return c.answer, nil
				}
				return exodus, nil
			}}
			client := disco.NewClient(p, disco.ClientConfig{})
			want := info(t, c.answer)
			for range 3 {
				got, err := client.GetCaps(t.Context(), evil, c.caps)
				if d := cmp.Diff(want, got); err != nil || d != "" {
					t.Fatalf("of the evil one: %v (-want +got):\n%s", err, d)
				}
			}
			if p.asked.Load() != 1 {
				t.Errorf("the evil one was asked %d times", p.asked.Load())
			}
			got, err := client.GetCaps(t.Context(), romeo, c.caps)
			if d := cmp.Diff(info(t, exodus), got); err != nil || d != "" {
				t.Errorf("of the honest one: %v (-want +got):\n%s", err, d)
			}
			if p.asked.Load() != 2 {
				t.Errorf("asked %d times", p.asked.Load())
			}
		})
	}
}

// TestSEC65_OneQuestionPerHash: however many announce the same at once, one of them is asked; if her answer is wrong, the next.
func TestSEC65_OneQuestionPerHash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open, most atomic.Int64
		p := &peers{}
		p.answer = func(_ context.Context, to jid.JID, _ string) (string, error) {
			most.Store(max(most.Load(), open.Add(1)))
			defer open.Add(-1)
			<-time.After(time.Second)
			if strings.HasPrefix(to.Local(), "evil") {
				return psi, nil
			}
			return exodus, nil
		}
		c := disco.NewClient(p, disco.ClientConfig{})
		var wg sync.WaitGroup
		for i := range 200 {
			local := "good"
			if i%10 != 0 {
				local = "evil"
			}
			of := jid.MustParse(fmt.Sprintf("%s%d@x/y", local, i))
			wg.Go(func() {
				got, err := c.GetCaps(t.Context(), of, exoVer)
				if err != nil || len(got.Features) != 4 {
					t.Errorf("%s: %+v, %v", of, got, err)
				}
			})
		}
		wg.Wait()
		if most.Load() != 1 {
			t.Errorf("%d questions at once", most.Load())
		}
	})
}

// TestWaiterOutlivesTheAsker: who waits for another one's question asks herself when that one gives up, and may give up too.
func TestWaiterOutlivesTheAsker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peers{}
		p.answer = func(ctx context.Context, _ jid.JID, _ string) (string, error) {
			if p.asked.Load() == 1 {
				<-ctx.Done()
				return "", ctx.Err()
			}
			return exodus, nil
		}
		c := disco.NewClient(p, disco.ClientConfig{})
		for _, get := range []func(ctx context.Context) (disco.Info, error){
			func(ctx context.Context) (disco.Info, error) { return c.GetInfo(ctx, romeo, "") },
			func(ctx context.Context) (disco.Info, error) { return c.GetCaps(ctx, romeo, exoVer) },
		} {
			p.asked.Store(0)
			first, cancelFirst := context.WithCancel(t.Context())
			second, cancelSecond := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() {
				if _, err := get(first); !errors.Is(err, context.Canceled) {
					t.Errorf("first: %v", err)
				}
			})
			synctest.Wait()
			wg.Go(func() {
				if _, err := get(second); !errors.Is(err, context.Canceled) {
					t.Errorf("second: %v", err)
				}
			})
			wg.Go(func() {
				if got, err := get(t.Context()); err != nil || len(got.Features) != 4 {
					t.Errorf("third: %+v, %v", got, err)
				}
			})
			synctest.Wait()
			cancelSecond()
			synctest.Wait()
			cancelFirst()
			wg.Wait()
		}
	})
}

// TestSEC65_MemoryIsBounded: twenty thousand invented hashes, and answers as large as they may be, leave what the
// configuration allows.
func TestSEC65_MemoryIsBounded(t *testing.T) {
	var p *peers
	p = &peers{answer: func(context.Context, jid.JID, string) (string, error) {
		if n := p.asked.Load(); n%1000 == 0 {
			return `<query xmlns='http://jabber.org/protocol/disco#info'><feature var='` + strings.Repeat("x", 60<<10) + `'/></query>`, nil
		}
		return fmt.Sprintf(`<query xmlns='http://jabber.org/protocol/disco#info'><identity category='a' type='b'/><feature var='urn:%d'/></query>`, p.asked.Load()), nil
	}}
	c := disco.NewClient(p, disco.ClientConfig{MaxEntries: 1000, MaxBytes: 1 << 20})
	fill := func(n int) uint64 {
		for range n {
			i := p.asked.Load()
			of := jid.MustParse(fmt.Sprintf("u%d@x/y", i))
			i1 := disco.Info{Identities: []disco.Identity{{Category: "a", Type: "b"}}, Features: []string{fmt.Sprintf("urn:%d", i+1)}}
			ver, err := disco.Hash("sha-1", i1)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.GetCaps(t.Context(), of, disco.Caps{Hash: "sha-1", Node: fmt.Sprintf("n%d", i), Ver: ver}); err != nil {
				t.Fatal(err)
			}
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := fill(2_000)
	after := fill(18_000)
	if p.asked.Load() != 20_000 {
		t.Errorf("asked %d times", p.asked.Load())
	}
	if after > before+1<<20 {
		t.Errorf("memory grew from %d KiB to %d KiB", before>>10, after>>10)
	}
	runtime.KeepAlive(c)
}

// TestCacheKeepsNoStanza: a kept answer, and the hash it is kept under, pin nothing of the stanzas they came in.
func TestCacheKeepsNoStanza(t *testing.T) {
	const n, junk = 100, 60 << 10
	p := fixed(`<query xmlns='http://jabber.org/protocol/disco#info'><feature var='a'/><x xmlns='urn:x'>` + strings.Repeat("x", junk) + `</x></query>`)
	c := disco.NewClient(p, disco.ClientConfig{})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		in, err := loopback.Read(fmt.Sprintf("<presence from='u%d@x/y'><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='%d'/><x xmlns='urn:x'>%s</x></presence>", i, i, strings.Repeat("x", junk)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.OfPresence(t.Context(), in[0].(*stanza.Presence)); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > n*junk/8 {
		t.Errorf("%d answers keep %d KiB", n, grown>>10)
	}
	if p.asked.Load() != n {
		t.Errorf("asked %d times", p.asked.Load())
	}
	runtime.KeepAlive(c)
}

func TestOfPresence(t *testing.T) {
	var asked []string
	p := &peers{answer: func(_ context.Context, to jid.JID, node string) (string, error) {
		asked = append(asked, to.String()+" "+node)
		return exodus, nil
	}}
	c := disco.NewClient(p, disco.ClientConfig{})
	for _, x := range []disco.Caps{exoVer, {}} {
		pr := &stanza.Presence{Header: stanza.Header{From: romeo}}
		if x.Node != "" {
			pr.Payloads = []stanza.Payload{x}
		}
		if got, err := c.OfPresence(t.Context(), pr); err != nil || !got.Is("client", "pc") {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if d := cmp.Diff([]string{"romeo@montague.lit/orchard " + exoVer.InfoNode(), "romeo@montague.lit/orchard "}, asked); d != "" {
		t.Errorf("asked (-want +got):\n%s", d)
	}
}

// TestAnswersAreOwned: the copy that is kept says what the answer said, in all its parts.
func TestAnswersAreOwned(t *testing.T) {
	want := disco.Info{
		Node: "n", Identities: []disco.Identity{{"c", "t", "n", "l"}, {Category: "d", Type: "t"}}, Features: []string{"a", "b"},
		Forms: []form.Form{serverInfo(), {
			Type: form.TypeResult, Title: "t", Instructions: []string{"1", "2"}, Reported: form.Fields{{Var: "v", Label: "l", Desc: "d", Required: true}},
			Items: []form.Fields{{form.Answer("v", "1", "2")}}, Fields: form.Fields{form.ListSingle("o", "", []form.Option{{Label: "x", Value: "y"}}, "y")},
		}},
	}
	el, err := stanza.Element(want)
	if err != nil {
		t.Fatal(err)
	}
	c := disco.NewClient(fixed(el.String()), disco.ClientConfig{})
	for range 2 {
		got, err := c.GetInfo(t.Context(), romeo, "n")
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%v (-want +got):\n%s", err, d)
		}
	}
}

// endlessItems answers every question for items with a page of one item and the promise of more.
type endlessItems struct{ asked int }

func (*endlessItems) Send(context.Context, stanza.Stanza) error { return nil }

func (e *endlessItems) Request(context.Context, *stanza.IQ) (*stanza.IQ, error) {
	e.asked++
	return loopback.Reply("1", []string{fmt.Sprintf("<iq type='result' id='1'><query xmlns='http://jabber.org/protocol/disco#items'><item jid='i%d'/><set xmlns='http://jabber.org/protocol/rsm'><last>x</last></set></query></iq>", e.asked)})
}

func TestSEC65_EndlessItems(t *testing.T) {
	e := new(endlessItems)
	items, err := disco.NewClient(e, disco.ClientConfig{}).GetItems(t.Context(), gw, "")
	if !errors.Is(err, disco.ErrTooMany) || len(items) != 500 || e.asked != 500 {
		t.Errorf("%d items in %d pages, %v", len(items), e.asked, err)
	}
	if items, err := disco.NewClient(e, disco.ClientConfig{MaxItems: 7}).GetItems(t.Context(), gw, ""); !errors.Is(err, disco.ErrTooMany) || len(items) != 7 {
		t.Errorf("%d items, %v", len(items), err)
	}
}

func TestGetItems(t *testing.T) {
	var all []disco.Item
	for i := range 25 {
		all = append(all, disco.Item{JID: gw, Node: fmt.Sprintf("n%02d", i)})
	}
	s := loopback.Must(responder(t, disco.Config{Items: all}).Routes()...)
	for _, c := range []struct {
		name string
		cfg  disco.ClientConfig
		want int
		err  error
	}{
		{"in pages", disco.ClientConfig{PageItems: 10}, 25, nil},
		{"in one page", disco.ClientConfig{}, 25, nil},
		{"exactly as many as may be", disco.ClientConfig{PageItems: 5, MaxItems: 25}, 25, nil},
		{"more than may be", disco.ClientConfig{PageItems: 10, MaxItems: 24}, 24, disco.ErrTooMany},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := disco.NewClient(s.From(user), c.cfg).GetItems(t.Context(), gw, "")
			if !errors.Is(err, c.err) {
				t.Errorf("error %v", err)
			}
			if d := cmp.Diff(all[:c.want], got, jidByText); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
	if _, err := disco.NewClient(s.From(user), disco.ClientConfig{}).GetItems(t.Context(), gw, "unknown"); !errors.Is(err, stanza.ItemNotFound) {
		t.Errorf("error %v", err)
	}
}
