package client_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage/secret"
	"github.com/postern-im/postern/xmltree"
)

// parts are Sessions of one account, in memory.
type parts struct {
	mu    sync.Mutex
	all   map[int][]byte
	fail  error
	tries chan int // the number of parts after each try
}

func newParts(all map[int][]byte) *parts { return &parts{all: all, tries: make(chan int, 10_000)} }

func (p *parts) Part(_ context.Context, _ jid.JID, number int) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all[number], p.fail
}

func (p *parts) Change(_ context.Context, _ jid.JID, put map[int][]byte, forget []int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() { p.tries <- len(p.all) }()
	if p.fail != nil {
		return p.fail
	}
	for number, b := range put {
		if len(b) > client.MaxSessionPart {
			return errors.New("too large")
		}
		p.all[number] = append([]byte{}, b...)
	}
	for _, number := range forget {
		delete(p.all, number)
	}
	return nil
}

// crashed returns what is there now, which is what a process finds after a crash.
func (p *parts) crashed() *parts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return newParts(maps.Clone(p.all))
}

func (p *parts) set(fail error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = fail
}

// await waits until no parts are left, or some.
func (p *parts) await(t *testing.T, none bool) {
	t.Helper()
	for late := time.After(30 * time.Second); ; {
		select {
		case left := <-p.tries:
			if left == 0 == none {
				return
			}
		case <-late:
			t.Fatal("the parts have not changed so")
		}
	}
}

// crash has a client send two messages, one of them large, a request and its presence, none of which is acknowledged, and returns what it
// leaves behind.
func crash(t *testing.T) *parts {
	t.Helper()
	p := newParts(map[int][]byte{})
	cfg := fake(t, newAuthority(t), func(p *peer) {
		p.managed(resumable)
		p.write("<message id='in'><body>a</body></message><message id='in2'><body>b</body></message>")
		p.ask()
		for el := p.next(); !el.IsZero(); el = p.next() {
			if el.Is(nsSM, "a") && el.Attr("h") == "2" {
				break
			}
		}
		for el := p.next(); !el.IsZero(); el = p.next() {
		}
	})
	cfg.Sessions, cfg.CloseTimeout = p, 50*time.Millisecond
	arrived := newInbox()
	c := serve(t, cfg, arrived.handle).online()
	arrived.message(t)
	arrived.message(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _ = c.Request(ctx, &stanza.IQ{Header: stanza.Header{ID: "request"}, Type: stanza.IQGet, Payload: sum{}})
	m := message(jid.MustParse("you@"+domain), strings.Repeat("x", 100_000))
	m.ID = "one"
	if err := c.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if err := c.Send(t.Context(), &stanza.Presence{Header: stanza.Header{ID: "here"}}); err != nil {
		t.Fatal(err)
	}
	if err := c.Send(t.Context(), &stanza.Presence{Header: stanza.Header{ID: "two", To: jid.MustParse("you@" + domain)}, Type: stanza.PresenceSubscribe}); err != nil {
		t.Fatal(err)
	}
	return p.crashed()
}

// TestS12_Refused has a client find what another process has left, and the server's session still there, in part handled, or gone.
func TestS12_Refused(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		binds  bool
		want   string
	}{
		"resumed, with nothing handled": {"<resumed xmlns='" + nsSM + "' h='0' previd='one'/>", false, "request one here two"},
		"resumed, with some handled":    {"<resumed xmlns='" + nsSM + "' h='3' previd='one'/>", false, "two"},
		"resumed, with too much":        {"<resumed xmlns='" + nsSM + "' h='5' previd='one'/>", false, ""},
		"gone":                          {"<failed xmlns='" + nsSM + "'/>", true, "one two"},
		"gone, with some handled":       {"<failed xmlns='" + nsSM + "' h='2'/>", true, "two"},
	} {
		t.Run(name, func(t *testing.T) {
			left := crash(t)
			done := make(chan string, 1)
			cfg := fake(t, newAuthority(t), func(p *peer) {
				p.signedIn()
				if el := p.next(); !el.Is(nsSM, "resume") || el.Attr("previd") != "one" {
					t.Errorf("%s in place of resume", el)
				}
				p.write(c.answer)
				if c.binds {
					p.bound(account + "/again")
					if el := p.next(); !el.Is(nsSM, "enable") {
						t.Errorf("%s in place of enable", el)
					}
					p.write("<enabled xmlns='" + nsSM + "' id='two' resume='true'/>")
				}
				var ids []string
				for len(ids) < len(strings.Fields(c.want)) {
					ids = append(ids, p.stanza().Attr("id"))
				}
				done <- strings.Join(ids, " ")
				if c.binds {
					p.write(ack(string(rune('0' + len(ids)))))
				} else {
					p.write(ack("4"))
				}
				p.serve()
			})
			cfg.Sessions = left
			s := serve(t, cfg, ignore)
			if got := <-done; got != c.want {
				t.Errorf("sent %q", got)
			}
			if c.want == "" {
				return
			}
			s.online()
			s.stop()
			if err := s.ended(); err != nil {
				t.Fatal(err)
			}
			left.await(t, true)
		})
	}
}

// TestS12_CutInside cuts the connection inside the server's consent to resume: the same session is asked for again.
func TestS12_CutInside(t *testing.T) {
	asked := make(chan xmltree.Element, 2)
	resume := func(answer string) func(p *peer) {
		return func(p *peer) {
			p.signedIn()
			asked <- p.next()
			p.write(answer)
		}
	}
	full := "<resumed xmlns='" + nsSM + "' h='0' previd='one'/>"
	cfg := fake(t, newAuthority(t), func(p *peer) {
		p.managed(resumable)
		p.write("<message><body>a</body></message><message>") // and no more of it
		p.stanza()
	}, resume(full[:len(full)/2]), func(p *peer) {
		resume(full)(p)
		p.stanza()
		p.write(ack("1"))
		p.serve()
	})
	in := newInbox()
	s := serve(t, cfg, in.handle).online()
	r := tracked(t, s, "one")
	wants(t, r, nil)
	for range 2 {
		if el := <-asked; !el.Is(nsSM, "resume") || el.Attr("h") != "1" || el.Attr("previd") != "one" {
			t.Errorf("%s", el)
		}
	}
	in.message(t)
}

// TestS12_NotKept has the database fail: nothing is sent before it is kept, and nobody is told that it was accepted.
func TestS12_NotKept(t *testing.T) {
	p := newParts(map[int][]byte{})
	got := make(chan xmltree.Element, 1)
	cfg := fake(t, newAuthority(t), func(p *peer) {
		p.managed(resumable)
		got <- p.stanza()
		p.write(ack("1"))
		p.serve()
	})
	cfg.Sessions = p
	s := serve(t, cfg, ignore).online()
	p.await(t, false) // the consent has come
	p.set(errors.New("the disk is full"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := s.Send(ctx, message(jid.MustParse("you@"+domain), "x"))
	if !errors.Is(err, client.ErrNotKept) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	p.await(t, false)
	if len(got) > 0 {
		t.Error("sent before it was kept")
	}
	p.set(nil)
	if el := <-got; el.Attr("id") == "" {
		t.Errorf("%s has no id", el)
	}
}

// TestS12_Unreadable has something else in the place of what another process has left: nothing is done with it, nor anything without it.
func TestS12_Unreadable(t *testing.T) {
	for name, broken := range map[string]func(p *parts){
		"no record":          func(p *parts) { p.all[0] = []byte("x") },
		"no numbers":         func(p *parts) { p.all[0] = []byte(`{"id":"one","jid":"me@xmpp.test/a"}`) },
		"no address":         func(p *parts) { p.all[0] = []byte(`{"id":"one","from":1,"to":1}`) },
		"a part is missing":  func(p *parts) { delete(p.all, 1) },
		"a part is cut":      func(p *parts) { p.all[1] = p.all[1][:20] },
		"no size":            func(p *parts) { p.all[1] = append([]byte("xxxxxxxx"), p.all[1]...) },
		"far too many parts": func(p *parts) { p.all[0] = []byte(strings.Replace(string(p.all[0]), `"to":`, `"to":9`, 1)) },
		"it cannot be read":  func(p *parts) { p.fail = errors.New("the disk is gone") },
	} {
		t.Run(name, func(t *testing.T) {
			left := crash(t)
			broken(left)
			cfg := fake(t, newAuthority(t), hello)
			cfg.Sessions = left
			st, _ := serve(t, cfg, ignore).await(0, client.PhaseBackoff)
			var ce *client.Error
			if !errors.As(st.Cause, &ce) || ce.Permanent || ce.Stage != client.StageSignIn {
				t.Errorf("cause %v", st.Cause)
			}
		})
	}
}

// together is a Transactor that is none.
type together struct{}

func (together) InTx(ctx context.Context, f func(context.Context) error) error { return f(ctx) }

// TestS12_Sealed looks for what is kept where anybody could.
func TestS12_Sealed(t *testing.T) {
	line, err := secret.GenerateKey("one")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := secret.Parse(line)
	if err != nil {
		t.Fatal(err)
	}
	store := sealed{}
	k := client.NewVaultSessions(secret.NewVault(store, keys), together{})
	me := jid.MustParse(account)
	if err := k.Change(t.Context(), me, map[int][]byte{0: []byte("the head"), 7: []byte("the rest")}, nil); err != nil {
		t.Fatal(err)
	}
	for id, box := range store {
		if strings.Contains(string(box.Box), "the ") || id.User != me {
			t.Errorf("%v is readable", id)
		}
	}
	if b, err := k.Part(t.Context(), me, 7); string(b) != "the rest" || err != nil {
		t.Errorf("%q %v", b, err)
	}
	if err := k.Change(t.Context(), me, nil, []int{7, 8}); err != nil {
		t.Fatal(err)
	}
	if b, err := k.Part(t.Context(), me, 7); b != nil || err != nil {
		t.Errorf("%q %v", b, err)
	}
}
