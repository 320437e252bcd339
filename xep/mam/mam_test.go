package mam_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/internal/loopback"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/mam"
	"github.com/postern-im/postern/xep/rsm"
	"github.com/postern-im/postern/xmltree"
)

var juliet = jid.MustParse("juliet@capulet.example")

// script is a server that answers each query with some stanzas and the end of the query, in which %s is the id of the query.
type script struct {
	t        *testing.T
	archive  *mam.Archive
	stanzas  string
	fin      string
	passed   int // stanzas that the archive left to the next handler
	asked    []string
	released chan struct{} // where set, the stanzas come when it is closed, and so behind the end
}

func newScript(t *testing.T) *script {
	s := &script{t: t}
	s.archive = mam.New(juliet, s)
	return s
}

type counting struct{ n *int }

func (c counting) HandleStanzas(_ context.Context, _ stanza.Sender, batch []stanza.Stanza) {
	*c.n += len(batch)
}

func (s *script) Send(context.Context, stanza.Stanza) error { return nil }

func (s *script) Request(ctx context.Context, iq *stanza.IQ) (*stanza.IQ, error) {
	b, err := stanza.Append(nil, iq)
	if err != nil {
		return nil, err
	}
	el, err := stanza.Element(iq.Payload)
	if err != nil {
		return nil, err
	}
	id := el.Attr("queryid")
	s.asked = append(s.asked, strings.ReplaceAll(string(b), id, "ID"))
	deliver := func() {
		batch, err := loopback.Read(strings.ReplaceAll(s.stanzas, "%s", id))
		if err != nil && s.stanzas != "" {
			s.t.Error(err)
		}
		s.archive.Handler(counting{&s.passed}).HandleStanzas(ctx, s, batch)
	}
	if s.released == nil {
		deliver()
	} else {
		go func() {
			<-s.released
			deliver()
		}()
	}
	end, err := xmltree.Parse([]byte(s.fin), xmltree.Limits{})
	if err != nil {
		return nil, err
	}
	return iq.Result(end), nil
}

func result(from, query, id string) string {
	return "<message from='" + from + "' to='juliet@capulet.example/x'><result xmlns='urn:xmpp:mam:2' queryid='" + query + "' id='" + id + "'>" +
		"<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2010-07-10T23:08:25Z'/>" +
		"<message xmlns='jabber:client' from='witch@shakespeare.example' to='macbeth@shakespeare.example'><body>" + id + "</body></message></forwarded></result></message>"
}

func end(first, last string) string {
	return "<fin xmlns='urn:xmpp:mam:2' complete='true'><set xmlns='http://jabber.org/protocol/rsm'><first index='0'>" + first + "</first><last>" + last + "</last></set></fin>"
}

// TestSEC04_WhoseResults has everybody send results who might want to write into the user's history.
func TestSEC04_WhoseResults(t *testing.T) {
	const account, room = "juliet@capulet.example", "coven@chat.example"
	for name, c := range map[string]struct {
		archive, from, query string
		taken                bool
	}{
		"the account":             {"", account, "%s", true},
		"in capitals":             {"", strings.ToUpper(account), "%s", true},
		"another query":           {"", account, "q1", false},
		"no query":                {"", account, "", false},
		"another of its clients":  {"", account + "/x", "%s", false},
		"the server":              {"", "capulet.example", "%s", false},
		"a stranger":              {"", "evil@evil.example", "%s", false},
		"the room":                {room, room, "%s", true},
		"an occupant of the room": {room, room + "/witch", "%s", false},
		"the account for a room":  {room, account, "%s", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			f := mam.Filter{}
			asked := account
			if c.archive != "" {
				f.Archive = jid.MustParse(c.archive)
				asked = c.archive
			}
			s.stanzas, s.fin = result(asked, "%s", "a")+result(c.from, c.query, "b")+result(asked, "%s", "c"), end("a", "c")
			p, err := s.archive.Query(t.Context(), f, rsm.Set{})
			var got []string
			for _, it := range p.Items {
				got = append(got, it.ID)
			}
			want := "[a c]"
			if c.taken {
				want = "[a b c]"
			}
			if fmt.Sprint(got) != want || err != nil || s.passed != 0 || (s.archive.Refused() == 0) != c.taken {
				t.Errorf("got %v, %v; %d passed on, %d refused", got, err, s.passed, s.archive.Refused())
			}
		})
	}
}

// TestOnTheWire holds what queries look like, and what an answer may hold.
func TestOnTheWire(t *testing.T) {
	s := newScript(t)
	s.stanzas = result("juliet@capulet.example", "%s", "a") +
		"<message from='juliet@capulet.example'><result xmlns='urn:xmpp:mam:2' queryid='%s' id='gone'><forwarded xmlns='urn:xmpp:forward:0'/></result></message>" +
		"<message from='juliet@capulet.example'><result xmlns='urn:xmpp:mam:2' queryid='%s' id='void'/></message>" +
		"<message from='a@b'><body>another</body></message><presence from='a@b'/>" +
		result("juliet@capulet.example", "%s", "z")
	s.fin = strings.Replace(end("a", "z"), "complete='true'", "stable='false'", 1)
	day := mam.Filter{
		With: jid.MustParse("romeo@montague.example"), Start: time.Date(2010, 6, 7, 0, 0, 0, 0, time.UTC), End: time.Date(2010, 6, 8, 0, 0, 0, 0, time.UTC),
	}
	p, err := s.archive.Query(t.Context(), day, rsm.Set{Max: new(9999), After: new("x")})
	if err != nil || len(p.Items) != 4 || p.Items[1].Message != nil || p.Items[2].Message != nil || p.Items[3].Message.Body.String() != "z" || p.Complete || !p.Unstable || s.passed != 2 {
		t.Errorf("got %+v, %v; %d passed on", p, err, s.passed)
	}
	if p.Items[0].Stamp.Format("2006-01-02") != "2010-07-10" {
		t.Errorf("got %v", p.Items[0].Stamp)
	}
	const want = "<iq type='set'><query xmlns='urn:xmpp:mam:2' queryid='ID'><x xmlns='jabber:x:data' type='submit'><field type='hidden' var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>" +
		"<field var='with'><value>romeo@montague.example</value></field><field var='start'><value>2010-06-07T00:00:00Z</value></field>" +
		"<field var='end'><value>2010-06-08T00:00:00Z</value></field></x><set xmlns='http://jabber.org/protocol/rsm'><max>250</max><after>x</after></set></query></iq>"
	if s.asked[0] != want {
		t.Errorf("\n got %s\nwant %s", s.asked[0], want)
	}
}

// TestResultsBehindTheEnd has the results of a query come when its end is known already, as happens when they are read together.
func TestResultsBehindTheEnd(t *testing.T) {
	s := newScript(t)
	s.released = make(chan struct{})
	s.stanzas, s.fin = result("juliet@capulet.example", "%s", "a")+result("juliet@capulet.example", "%s", "b"), end("a", "b")
	done := make(chan error, 1)
	go func() {
		p, err := s.archive.Query(context.Background(), mam.Filter{}, rsm.Set{})
		if err == nil && len(p.Items) != 2 {
			err = fmt.Errorf("%d items", len(p.Items))
		}
		done <- err
	}()
	close(s.released)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestBrokenArchives(t *testing.T) {
	a := result("juliet@capulet.example", "%s", "a")
	for name, c := range map[string]struct {
		stanzas, fin string
		want         error
	}{
		"more than was asked for": {a + a + a, end("a", "a"), mam.ErrTooMuch},
		"the first is missing":    {a, end("b", "a"), mam.ErrIncomplete},
		"another payload":         {"", "<x xmlns='urn:x'/>", mam.ErrAnswer},
		"pages that lead nowhere": {"", "<fin xmlns='urn:xmpp:mam:2'/>", mam.ErrNoProgress},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			s.stanzas, s.fin = c.stanzas, c.fin
			_, err := s.archive.Query(t.Context(), mam.Filter{}, rsm.Set{Max: new(2)})
			if errors.Is(c.want, mam.ErrNoProgress) {
				_, err = s.archive.CatchUp(t.Context(), "x", func(context.Context, mam.Item) error { return nil })
			}
			if !errors.Is(err, c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	s := newScript(t)
	s.stanzas, s.fin = a, end("a", "b")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.archive.Query(ctx, mam.Filter{}, rsm.Set{}); !errors.Is(err, mam.ErrIncomplete) {
		t.Errorf("the last is missing: %v", err)
	}
}

// What was missed is read in order, from the message that was seen last.
func ExampleArchive_CatchUp() {
	s := newScript(nil)
	s.stanzas, s.fin = result("juliet@capulet.example", "%s", "28482")+result("juliet@capulet.example", "%s", "5d398"), end("28482", "5d398")
	last, err := s.archive.CatchUp(context.Background(), "09af3", func(_ context.Context, it mam.Item) error {
		fmt.Println(it.Message.Body)
		return nil
	})
	fmt.Println(last, err)
	// Output:
	// 28482
	// 5d398
	// 5d398 <nil>
}
