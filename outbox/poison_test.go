package outbox_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/outbox"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
)

// TestFLT31_PoisonRows has rows in the database that are no stanzas that could be sent.
func TestFLT31_PoisonRows(t *testing.T) {
	bubble(t, func(_ *outbox.Config, _ *outbox.OwnerConfig, c *component.Config) { c.MaxStanza = 1000 }, func(t *testing.T, p *process, m *memory, s *server) {
		const head = "<message xmlns='jabber:client' from='gw.test' to='a@b' id='x'>"
		poison := map[string]string{
			"no XML":            "boo",
			"empty":             "",
			"two roots":         head + "</message><message/>",
			"two stanzas":       head + "</message>" + head + "</message>",
			"an open one":       head + "<body>",
			"the end of one":    "</body></message>",
			"the end of all":    head + "</message></rows>",
			"half a tag":        "<message xmlns='jabber:client' from='gw.test' to='a@b'",
			"U+0001":            head + "<body>\x01</body></message>",
			"a reference to it": head + "<body>&#1;</body></message>",
			"no UTF-8":          head + "<body>\xff</body></message>",
			"an IQ":             "<iq xmlns='jabber:client' from='gw.test' to='a@b' type='get'><a xmlns='b'/></iq>",
			"no stanza":         "<presents xmlns='jabber:client' from='gw.test' to='a@b'/>",
			"no namespace":      "<message from='gw.test' to='a@b'/>",
			"no from":           "<message xmlns='jabber:client' to='a@b'/>",
			"foreign from":      "<message xmlns='jabber:client' from='else.where' to='a@b'/>",
			"no to":             "<message xmlns='jabber:client' from='gw.test'/>",
			"over the limit":    head + "<body>" + strings.Repeat("x", 1000) + "</body></message>",
			"over all limits":   head + strings.Repeat("<a>", 40) + strings.Repeat("</a>", 40) + "</message>",
			"a doctype":         "<!DOCTYPE a>" + head + "</message>",
		}
		var good []string
		for name, text := range poison { // in any order, with good ones behind some
			m.putRows(storage.OutboxMessage{Conversation: "gw.test a@b", ID: name, Stanza: []byte(text)})
			if len(name)%2 == 0 {
				good = append(good, "behind "+name)
				p.put("a@b", "behind "+name)
			}
		}
		after(time.Second)
		if got := ids(s.taken()); !slices.Equal(got, good) {
			t.Errorf("sent %v", got)
		}
		dead := m.snapshot().dead
		for _, d := range dead {
			if _, ok := poison[d.ID]; !ok || d.Reason == "" {
				t.Errorf("dead letter %+v", d)
			}
		}
		if st := p.c.State(); len(dead) != len(poison) || st.Sessions != 1 {
			t.Errorf("%d dead letters of %d; %+v", len(dead), len(poison), st)
		}
	})
}

// TestFLT32_Culprit has the server end the stream whenever it reads one certain message of many. That one becomes a dead letter after
// some tries, all others arrive, in order.
func TestFLT32_Culprit(t *testing.T) {
	for name, end := range map[string]string{
		"policy-violation":    fmt.Sprintf(streamError, "policy-violation"),
		"undefined-condition": fmt.Sprintf(streamError, "undefined-condition"),
		"not-well-formed":     fmt.Sprintf(streamError, "not-well-formed"),
		"without a word":      "",
	} {
		for _, culprit := range []int{0, 17, 63, 70} {
			t.Run(fmt.Sprintf("%s at %d", name, culprit), func(t *testing.T) {
				bubble(t, nil, func(t *testing.T, p *process, m *memory, s *server) {
					ends := 0
					s.setReact(func(d delivery) (string, bool) {
						if d.id == fmt.Sprint(culprit) {
							ends++
							return end, true
						}
						return "", false
					})
					var all []stanza.Stanza
					for i := range 100 {
						all = append(all, message(fmt.Sprintf("u%d@b", i%3), fmt.Sprint(i)))
					}
					if _, err := p.box.Put(t.Context(), all...); err != nil {
						t.Fatal(err)
					}
					after(5 * time.Minute)
					seen := make(map[string]bool)
					last := make(map[string]int)
					for _, d := range s.taken() {
						var n int
						if _, err := fmt.Sscan(d.id, &n); err != nil {
							t.Error(err)
						}
						if !seen[d.id] && n < last[d.to] {
							t.Errorf("%d arrived after %d", n, last[d.to])
						}
						seen[d.id] = true
						last[d.to] = max(last[d.to], n)
					}
					dead := m.snapshot().dead
					if len(seen) != 99 || len(dead) != 1 || dead[0].ID != fmt.Sprint(culprit) || dead[0].Attempts != 3 {
						t.Errorf("%d arrived; dead letters %+v", len(seen), dead)
					}
					if ends != 4 { // once with others, three times alone
						t.Errorf("the culprit ended %d streams", ends)
					}
					if st := p.box.Stats(); st.LinksLost != 4 || st.Suspects != 0 || st.Dead != 1 {
						t.Errorf("stats %+v", st)
					}
				})
			})
		}
	}
}

// TestFLT32_InnocentLosses ends each link: always at the same message, but for reasons that the server says are its own; or at its
// third message, whichever that is. Nobody is blamed.
func TestFLT32_InnocentLosses(t *testing.T) {
	for name, tc := range map[string]struct {
		end  string
		hits func(d delivery, nth int) bool
	}{
		"system-shutdown":        {fmt.Sprintf(streamError, "system-shutdown"), func(d delivery, _ int) bool { return d.link < 10 && d.id == "1" }},
		"a server that is dying": {"", func(_ delivery, nth int) bool { return nth == 3 }},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, p *process, m *memory, s *server) {
				read := make(map[int]int)
				s.setReact(func(d delivery) (string, bool) {
					read[d.link]++
					if tc.hits(d, read[d.link]) {
						return tc.end, true
					}
					return "", false
				})
				var all []stanza.Stanza
				for i := range 30 {
					all = append(all, message("a@b", fmt.Sprint(i)))
				}
				if _, err := p.box.Put(t.Context(), all...); err != nil {
					t.Fatal(err)
				}
				after(20 * time.Minute)
				if st := m.snapshot(); len(st.dead) != 0 || len(st.rows) != 0 || s.links < 5 {
					t.Errorf("%d links; left %v, dead %v", s.links, st.rows, st.dead)
				}
			})
		})
	}
}
