package router_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

func TestAnswerOfIQ(t *testing.T) {
	const pinged = "<ping xmlns='urn:xmpp:ping'/>"
	ok := "<iq from='gw.y' to='u@x/r' id='1' type='result'/>"
	fail := func(typ, condition, text string) string {
		return failure("iq", "u@x/r", "gw.y", "1", typ, condition, text)
	}
	for name, tt := range map[string]struct {
		answer  stanza.Payload
		err     error
		panic   any
		want    string
		logged  string
		payload string
	}{
		"nil is an empty result":         {want: ok},
		"a payload is the result":        {answer: mood{Text: "fine"}, want: "<iq from='gw.y' to='u@x/r' id='1' type='result'><mood xmlns='urn:mood'><text>fine</text></mood></iq>"},
		"a condition is that error":      {err: stanza.ItemNotFound, want: fail("cancel", "item-not-found", "")},
		"a wrapped condition as well":    {err: fmt.Errorf("no: %w", stanza.Forbidden), want: fail("auth", "forbidden", "")},
		"a stanza error is that error":   {err: stanza.NewError(stanza.Conflict, "taken"), want: fail("cancel", "conflict", "taken")},
		"an error precedes a payload":    {answer: ping{}, err: stanza.Forbidden, want: fail("auth", "forbidden", "")},
		"other errors are ours alone":    {err: errors.New("secret"), want: fail("cancel", "internal-server-error", ""), logged: "handler failed"},
		"M8 SEC-32 a panic is an error":  {panic: "oops", want: fail("cancel", "internal-server-error", ""), logged: "handler panicked"},
		"a payload that does not decode": {payload: "<ping xmlns='urn:xmpp:ping' at='x'/>", want: ok},
		"too large an answer":            {answer: mood{Text: strings.Repeat("x", 1<<20)}, want: fail("cancel", "internal-server-error", "the answer could not be sent"), logged: "answer could not be sent, an error was sent in its place"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, ctx context.Context) {
				core, logs := observer.New(zap.InfoLevel)
				r := newRouter(t, router.Config{Log: zap.New(core), Routes: []router.Route{
					router.HandleIQ(stanza.IQGet, func(context.Context, *stanza.IQ, ping) (stanza.Payload, error) {
						if tt.panic != nil {
							panic(tt.panic)
						}
						return tt.answer, tt.err
					}),
				}})
				out := new(stream)
				handle(ctx, t, r, out, get("1", pinged))
				equal(t, out.take(), tt.want)
				var lines []string
				for _, l := range logs.All() {
					lines = append(lines, l.Message)
				}
				if got := strings.Join(lines, ","); got != tt.logged {
					t.Errorf("logged %q, want %q", got, tt.logged)
				}
			})
		})
	}
}

func TestHandlerTimeout(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var ended time.Duration
		var cause error
		release := make(chan struct{})
		r := newRouter(t, router.Config{Routes: []router.Route{
			router.HandleIQ(stanza.IQGet, func(ctx context.Context, _ *stanza.IQ, _ ping) (stanza.Payload, error) {
				begin := time.Now()
				<-ctx.Done()
				ended, cause = time.Since(begin), ctx.Err()
				<-release
				return nil, nil
			}),
		}})
		out := new(stream)
		handle(ctx, t, r, out, get("1", "<ping xmlns='urn:xmpp:ping'/>"))
		pass(29 * time.Second)
		equal(t, out.take())
		pass(1100 * time.Millisecond)
		equal(t, out.take(), failure("iq", "u@x/r", "gw.y", "1", "wait", "remote-server-timeout", "no answer in time"))
		if ended < 30*time.Second || ended > 30*time.Second+5*time.Millisecond || !errors.Is(cause, context.DeadlineExceeded) {
			t.Errorf("the handler's context ended after %v with %v", ended, cause)
		}
		close(release)
		if err := r.Drain(ctx); err != nil {
			t.Error(err)
		}
		equal(t, out.take())
		if s := r.Stats(); s.Late != 1 || s.Handled != 1 || s.Handling != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAnswerInVersionAsked(t *testing.T) {
	for _, ns := range []string{"urn:grant:1", "urn:grant:2"} {
		for answer, p := range map[string]stanza.Payload{"granted": granted{}, "grant": grant{}} {
			t.Run(ns+" "+answer, func(t *testing.T) {
				bubble(t, func(t *testing.T, ctx context.Context) {
					r := newRouter(t, router.Config{Routes: []router.Route{
						router.HandleIQ(stanza.IQGet, func(context.Context, *stanza.IQ, grant) (stanza.Payload, error) { return p, nil }),
					}})
					out := new(stream)
					handle(ctx, t, r, out, get("1", "<grant xmlns='"+ns+"'/>"))
					equal(t, out.take(), "<iq from='gw.y' to='u@x/r' id='1' type='result'><"+answer+" xmlns='"+ns+"'/></iq>")
				})
			})
		}
	}
}

// address is a payload whose own decoder says what is wrong with it.
type address struct{ err error }

func (address) PayloadName() xml.Name { return xml.Name{Space: "urn:address", Local: "address"} }

func (a *address) DecodeXML(el xmltree.Element) error {
	switch el.Attr("is") {
	case "malformed":
		return fmt.Errorf("an address: %w", stanza.JIDMalformed)
	case "":
		return errors.New("none")
	}
	return nil
}

func (a address) EncodeXML(enc *xmltree.Encoder) {
	if a.err != nil {
		panic(a.err)
	}
	enc.Fail(errors.New("not to be sent"))
}

func TestUndecodedIQ(t *testing.T) {
	for in, want := range map[string]string{
		"<address xmlns='urn:address'/>":                failure("iq", "u@x/r", "gw.y", "1", "modify", "bad-request", ""),
		"<address xmlns='urn:address' is='malformed'/>": failure("iq", "u@x/r", "gw.y", "1", "modify", "jid-malformed", ""),
		"<mood xmlns='urn:mood' at='x'/>":               failure("iq", "u@x/r", "gw.y", "1", "modify", "bad-request", ""),
	} {
		t.Run(in, func(t *testing.T) {
			bubble(t, func(t *testing.T, ctx context.Context) {
				r := newRouter(t, router.Config{Routes: []router.Route{
					router.HandleIQ(stanza.IQGet, func(context.Context, *stanza.IQ, address) (stanza.Payload, error) { return nil, nil }),
					router.HandleIQ(stanza.IQGet, func(context.Context, *stanza.IQ, mood) (stanza.Payload, error) { return nil, nil }),
				}})
				out := new(stream)
				handle(ctx, t, r, out, get("1", in))
				equal(t, out.take(), want)
			})
		})
	}
}

func TestAnswerThatCannotBeSent(t *testing.T) {
	instead := failure("iq", "u@x/r", "gw.y", "1", "cancel", "internal-server-error", "the answer could not be sent")
	for name, tt := range map[string]struct {
		answer stanza.Payload
		err    error
		down   bool
		want   []string
		stats  router.Stats
	}{
		"its encoder fails":            {answer: address{}, want: []string{instead}, stats: router.Stats{Failed: 1}},
		"its encoder panics":           {answer: address{errors.New("oops")}, want: []string{instead}, stats: router.Stats{Failed: 1}},
		"an error that is too large":   {err: stanza.NewError(stanza.Gone, strings.Repeat("x", 1<<20)), want: []string{instead}, stats: router.Stats{Failed: 1}},
		"the stream is not connected":  {down: true, stats: router.Stats{Lost: 1}},
		"an error whose encoder fails": {err: &stanza.Error{Condition: stanza.Gone, App: address{}}, want: []string{instead}, stats: router.Stats{Failed: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, ctx context.Context) {
				r := newRouter(t, router.Config{Routes: []router.Route{
					router.HandleIQ(stanza.IQGet, func(context.Context, *stanza.IQ, ping) (stanza.Payload, error) { return tt.answer, tt.err }),
				}})
				out := new(stream)
				if tt.down {
					out.fail = errors.New("not connected")
				}
				handle(ctx, t, r, out, get("1", "<ping xmlns='urn:xmpp:ping'/>"))
				equal(t, out.take(), tt.want...)
				if s := r.Stats(); s.Failed != tt.stats.Failed || s.Lost != tt.stats.Lost {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

func TestM8_HandlerThatExits(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		r := newRouter(t, router.Config{MaxHandlers: 1, Routes: []router.Route{
			router.HandleIQ(stanza.IQGet, func(context.Context, *stanza.IQ, ping) (stanza.Payload, error) {
				runtime.Goexit()
				return nil, nil
			}),
		}})
		out := new(stream)
		handle(ctx, t, r, out, get("1", "<ping xmlns='urn:xmpp:ping'/>"), get("2", "<ping xmlns='urn:xmpp:ping'/>"))
		equal(t, out.take(), failure("iq", "u@x/r", "gw.y", "1", "cancel", "internal-server-error", ""),
			failure("iq", "u@x/r", "gw.y", "2", "cancel", "internal-server-error", ""))
		if s := r.Stats(); s.Handling != 0 || s.Lanes != 0 || s.Workers != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestSEC32_PanicLeavesTheRestAlone(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		r := newRouter(t, router.Config{Routes: []router.Route{
			router.HandleMessage(stanza.MessageChat, func(_ context.Context, m *stanza.Message) error {
				if m.ID == "2" {
					_ = []int{1}[len(m.Body)+len(m.ID)]
				}
				return stanza.Gone
			}),
		}})
		out := new(stream)
		handle(ctx, t, r, out, chat("u@x/r", "gw.y", "1"), chat("u@x/r", "gw.y", "2"), chat("u@x/r", "gw.y", "3"))
		gone := func(id string) string { return failure("message", "u@x/r", "gw.y", id, "cancel", "gone", "") }
		equal(t, out.take(), gone("1"), failure("message", "u@x/r", "gw.y", "2", "cancel", "internal-server-error", ""), gone("3"))
	})
}

func TestSEC75_StormOfErrors(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var tr trace
		r := newRouter(t, router.Config{MaxQueued: 10, Routes: []router.Route{
			router.HandleAnyMessage(tr.message("message", stanza.Gone)),
			router.HandleAnyPresence(tr.presence("presence", stanza.Gone)),
			router.HandleMessage(stanza.MessageError, tr.message("", stanza.Gone)),
			router.HandleAnyIQ(func(context.Context, *stanza.IQ) (stanza.Payload, error) { tr.note("iq"); return nil, nil }),
		}})
		out := new(stream)
		var storm []string
		for range 1000 {
			storm = append(storm, "<iq from='u@x/r' to='gw.y' id='1' type='error'><error/></iq>", "<iq from='u@x/r' to='gw.y' id='1' type='result'/>",
				"<message from='u@x/r' to='gw.y' id='1' type='error'><error/></message>", "<presence from='u@x/r' to='gw.y' id='1' type='error'><error/></presence>")
		}
		handle(ctx, t, r, out, storm...)
		equal(t, out.take())
		if ran := strings.TrimSpace(tr.take()); ran != "" {
			t.Errorf("ran %q", ran)
		}
		if s := r.Stats(); s.Ignored != 2000 {
			t.Errorf("%+v", s)
		}
	})
}

func TestSEC75_BounceBudget(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		r := newRouter(t, router.Config{Bounces: router.Rate{PerSecond: 1, Burst: 3}})
		out := new(stream)
		send := func(n int, from string) int {
			var batch []string
			for range n {
				batch = append(batch, chat(from, "gw.y", "1"))
			}
			handle(ctx, t, r, out, batch...)
			return len(out.take())
		}
		for _, tt := range []struct{ sent, want int }{{10, 3}, {10, 0}} {
			if got := send(tt.sent, "u@x/r"); got != tt.want {
				t.Errorf("%d messages bounced %d times, want %d", tt.sent, got, tt.want)
			}
		}
		if got := send(1, "other@x/r"); got != 1 {
			t.Error("the budget of one address is used up by another")
		}
		pass(2 * time.Second)
		if got := send(10, "u@x/r"); got != 2 {
			t.Errorf("after two seconds %d bounces, want 2", got)
		}
		handle(ctx, t, r, out, get("1", "<q xmlns='urn:q'/>"))
		if len(out.take()) != 1 {
			t.Error("a request is not answered since the budget is used up")
		}
	})
}
