package router_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// trace notes which handlers ran.
type trace struct {
	mu  sync.Mutex
	ran []string
}

func (tr *trace) note(format string, args ...any) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.ran = append(tr.ran, fmt.Sprintf(format, args...))
}

func (tr *trace) take() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	ran := strings.Join(tr.ran, " ")
	tr.ran = nil
	return ran
}

func (tr *trace) message(name string, err error) func(context.Context, *stanza.Message) error {
	return func(context.Context, *stanza.Message) error { tr.note("%s", name); return err }
}

func (tr *trace) presence(name string, err error) func(context.Context, *stanza.Presence) error {
	return func(context.Context, *stanza.Presence) error { tr.note("%s", name); return err }
}

func TestR5_Unmatched(t *testing.T) {
	unavailable := func(kind string) string {
		return failure(kind, "u@x/r", "gw.y", "1", "cancel", "service-unavailable", "")
	}
	for in, want := range map[string]string{
		"<iq from='u@x/r' to='gw.y' id='1' type='get'><q xmlns='urn:q'/></iq>":         unavailable("iq"),
		"<iq from='u@x/r' to='gw.y' id='1' type='set'><q xmlns='urn:q'/></iq>":         unavailable("iq"),
		"<iq from='u@x/r' to='gw.y' id='1' type='result'><q xmlns='urn:q'/></iq>":      "",
		"<iq from='u@x/r' to='gw.y' id='1' type='error'><error/></iq>":                 "",
		"<message from='u@x/r' to='gw.y' id='1' type='chat'><body>hi</body></message>": unavailable("message"),
		"<message from='u@x/r' to='gw.y' id='1'><body>hi</body></message>":             unavailable("message"),
		"<message from='u@x/r' to='gw.y' id='1' type='groupchat'/>":                    unavailable("message"),
		"<message from='u@x/r' to='gw.y' id='1' type='headline'/>":                     "",
		"<message from='u@x/r' to='gw.y' id='1' type='error'/>":                        "",
		"<message id='1' type='chat'/>":                                                "",
		"<presence from='u@x/r' to='gw.y' id='1'/>":                                    "",
		"<presence from='u@x/r' to='gw.y' id='1' type='unavailable'/>":                 "",
		"<presence from='u@x/r' to='gw.y' id='1' type='subscribe'/>":                   "",
		"<presence from='u@x/r' to='gw.y' id='1' type='probe'/>":                       "",
		"<presence from='u@x/r' to='gw.y' id='1' type='error'/>":                       "",
	} {
		t.Run(in, func(t *testing.T) {
			bubble(t, func(t *testing.T, ctx context.Context) {
				out := new(stream)
				r := newRouter(t, router.Config{})
				handle(ctx, t, r, out, in)
				if got := strings.Join(out.take(), ""); got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
			})
		})
	}
}

func TestDispatchOfIQ(t *testing.T) {
	for name, tt := range map[string]struct{ in, want string }{
		"R4 by type and name":              {"<iq from='u@x/r' id='1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>", "get ping"},
		"R4 the other type":                {"<iq from='u@x/r' id='1' type='set'><ping xmlns='urn:xmpp:ping'/></iq>", "fallback"},
		"R4 names are compared exactly":    {"<iq from='u@x/r' id='1' type='get'><Ping xmlns='urn:xmpp:ping'/></iq>", "any of ping"},
		"R4 namespaces as well":            {"<iq from='u@x/r' id='1' type='get'><ping xmlns='urn:XMPP:ping'/></iq>", "fallback"},
		"R4 a payload without type in Go":  {"<iq from='u@x/r' id='1' type='set'><Raw xmlns='urn:Raw' a='1'>t<b/></Raw></iq>", `element <Raw xmlns='urn:Raw' a='1'>t<b/></Raw>`},
		"R6 any element of the namespace":  {"<iq from='u@x/r' id='1' type='get'><other xmlns='urn:xmpp:ping'/></iq>", "any of ping"},
		"R1 the fallback takes the rest":   {"<iq from='u@x/r' id='1' type='get'><q xmlns='urn:q'/></iq>", "fallback"},
		"get and set alike, first version": {"<iq from='u@x/r' id='1' type='set'><grant xmlns='urn:grant:1' level='a'/></iq>", "grant set a"},
		"and second":                       {"<iq from='u@x/r' id='1' type='get'><grant xmlns='urn:grant:2' level='b'/></iq>", "grant get b"},
		"SEC-75 never a result":            {"<iq from='u@x/r' id='1' type='result'><ping xmlns='urn:xmpp:ping'/></iq>", ""},
		"SEC-75 never an error":            {"<iq from='u@x/r' id='1' type='error'><ping xmlns='urn:xmpp:ping'/><error/></iq>", ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, ctx context.Context) {
				var tr trace
				r := newRouter(t, router.Config{Routes: []router.Route{
					router.HandleIQ(stanza.IQGet, func(context.Context, *stanza.IQ, ping) (stanza.Payload, error) {
						tr.note("get ping")
						return nil, nil
					}),
					router.HandleRequest(func(_ context.Context, iq *stanza.IQ, g grant) (stanza.Payload, error) {
						tr.note("grant %s %s", iq.Type, g.Level)
						return nil, nil
					}),
					router.HandleIQElement(stanza.IQSet, xml.Name{Space: "urn:Raw", Local: "Raw"}, func(_ context.Context, _ *stanza.IQ, el xmltree.Element) (stanza.Payload, error) {
						tr.note("element %s", el)
						return nil, nil
					}),
					router.HandleIQElement(stanza.IQGet, xml.Name{Space: "urn:xmpp:ping", Local: router.AnyName}, func(context.Context, *stanza.IQ, xmltree.Element) (stanza.Payload, error) {
						tr.note("any of ping")
						return nil, nil
					}),
					router.HandleAnyIQ(func(context.Context, *stanza.IQ) (stanza.Payload, error) {
						tr.note("fallback")
						return nil, nil
					}),
				}})
				out := new(stream)
				handle(ctx, t, r, out, tt.in)
				if got := tr.take(); got != tt.want {
					t.Errorf("ran %q, want %q", got, tt.want)
				}
				if got, answers := len(out.take()), min(len(tt.want), 1); got != answers {
					t.Errorf("%d answers, want %d", got, answers)
				}
			})
		})
	}
}

func TestDispatchOfOthers(t *testing.T) {
	const rcpt, moody, bad = "<received xmlns='urn:xmpp:receipts' id='7'/>", "<mood xmlns='urn:mood'><text>fine</text></mood>", "<mood xmlns='urn:mood' at='x'/>"
	msg := func(typ, content string) string {
		if typ != "" {
			typ = " type='" + typ + "'"
		}
		return "<message from='u@x/r' to='gw.y' id='1'" + typ + ">" + content + "</message>"
	}
	pres := func(typ, content string) string { return strings.ReplaceAll(msg(typ, content), "message", "presence") }
	fail := func(kind, typ, condition string) string {
		return failure(kind, "u@x/r", "gw.y", "1", typ, condition, "")
	}
	type given struct {
		exclusive                     bool // the route of moods
		receipt, mood, chat, presence error
		moodPanics                    bool
	}
	for name, tt := range map[string]struct {
		given
		in, want, answer string
	}{
		"R2 by type":                          {in: msg("chat", ""), want: "chat"},
		"R3 no type is normal":                {in: msg("", ""), want: "normal"},
		"R3 an unknown type too":              {in: msg("shout", ""), want: "normal"},
		"R1 the fallback takes the rest":      {in: msg("headline", ""), want: "any"},
		"payloads in document order":          {in: msg("chat", moody+rcpt), want: "mood:fine receipt:7 chat"},
		"and the other way round":             {in: msg("chat", rcpt+"<x xmlns='urn:x'/>"+moody), want: "receipt:7 mood:fine chat"},
		"each time a payload is there":        {in: msg("chat", rcpt+rcpt), want: "receipt:7 receipt:7 chat"},
		"one that does not decode is skipped": {in: msg("chat", bad+rcpt), want: "receipt:7 chat"},
		"a type precedes all types":           {in: msg("groupchat", rcpt), want: "groupchat-receipt:7 any"},
		"an error of a payload is logged":     {given: given{receipt: errors.New("db")}, in: msg("chat", rcpt), want: "receipt:7 chat"},
		"a stanza error of one is answered":   {given: given{receipt: stanza.Forbidden}, in: msg("chat", rcpt), want: "receipt:7 chat", answer: fail("message", "auth", "forbidden")},
		"the first error counts":              {given: given{receipt: stanza.Forbidden, chat: stanza.Gone}, in: msg("chat", rcpt), want: "receipt:7 chat", answer: fail("message", "auth", "forbidden")},
		"an exclusive route takes all":        {given: given{exclusive: true}, in: msg("chat", moody), want: "mood:fine"},
		"but not the other payloads":          {given: given{exclusive: true}, in: msg("chat", moody+rcpt), want: "mood:fine receipt:7"},
		"unless it passes":                    {given: given{exclusive: true, mood: router.ErrPass}, in: msg("chat", moody), want: "mood:fine chat"},
		"or does not decode":                  {given: given{exclusive: true}, in: msg("chat", bad), want: "chat"},
		"its error is the stanza's":           {given: given{exclusive: true, mood: errors.New("db")}, in: msg("chat", moody), want: "mood:fine", answer: fail("message", "cancel", "internal-server-error")},
		"M8 a panic in a payload's route":     {given: given{moodPanics: true}, in: msg("chat", moody+rcpt), want: "mood:fine receipt:7 chat"},
		"an error of a message":               {given: given{chat: errors.New("db")}, in: msg("chat", ""), want: "chat", answer: fail("message", "cancel", "internal-server-error")},
		"a stanza error of a message":         {given: given{chat: stanza.NotAcceptable}, in: msg("chat", ""), want: "chat", answer: fail("message", "modify", "not-acceptable")},
		"SEC-75 an error has no fallback":     {in: msg("error", rcpt), want: ""},
		"R2 presence by type":                 {in: pres("subscribe", ""), want: "subscribe"},
		"R3 available presence":               {in: pres("", ""), want: "available"},
		"fallback of presence":                {in: pres("unavailable", ""), want: "presence"},
		"payload of presence":                 {in: pres("", moody), want: "presence-mood available"},
		"a stanza error of presence":          {given: given{presence: stanza.Conflict}, in: pres("", ""), want: "available", answer: fail("presence", "cancel", "conflict")},
		"another error of presence":           {given: given{presence: errors.New("db")}, in: pres("", ""), want: "available"},
		"none to unavailable presence":        {given: given{presence: stanza.Conflict}, in: pres("unavailable", ""), want: "presence"},
		"SEC-75 none to presence errors":      {given: given{presence: stanza.Conflict}, in: pres("error", ""), want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, ctx context.Context) {
				var tr trace
				var opts []router.PayloadOption
				if tt.exclusive {
					opts = append(opts, router.Exclusive())
				}
				r := newRouter(t, router.Config{Routes: []router.Route{
					router.HandlePayload(func(_ context.Context, _ *stanza.Message, p receipt) error {
						tr.note("receipt:%s", p.ID)
						return tt.receipt
					}),
					router.HandlePayload(func(_ context.Context, _ *stanza.Message, p receipt) error {
						tr.note("groupchat-receipt:%s", p.ID)
						return nil
					}, router.OfType(stanza.MessageGroupchat)),
					router.HandlePayload(func(_ context.Context, _ *stanza.Message, p mood) error {
						tr.note("mood:%s", p.Text)
						if tt.moodPanics {
							panic("oops")
						}
						return tt.mood
					}, opts...),
					router.HandlePayload(func(context.Context, *stanza.Presence, mood) error {
						tr.note("presence-mood")
						return nil
					}),
					router.HandleMessage(stanza.MessageChat, tr.message("chat", tt.chat)),
					router.HandleMessage(stanza.MessageNormal, tr.message("normal", nil)),
					router.HandleAnyMessage(tr.message("any", nil)),
					router.HandlePresence(stanza.PresenceAvailable, tr.presence("available", tt.presence)),
					router.HandlePresence(stanza.PresenceSubscribe, tr.presence("subscribe", nil)),
					router.HandleAnyPresence(tr.presence("presence", tt.presence)),
				}})
				out := new(stream)
				handle(ctx, t, r, out, tt.in)
				if got := tr.take(); got != tt.want {
					t.Errorf("ran %q, want %q", got, tt.want)
				}
				if got := strings.Join(out.take(), ""); got != tt.answer {
					t.Errorf("got  %s\nwant %s", got, tt.answer)
				}
			})
		})
	}
}

func TestErrorsOnlyByTheirType(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var tr trace
		r := newRouter(t, router.Config{Routes: []router.Route{
			router.HandleMessage(stanza.MessageError, tr.message("message", stanza.Gone)),
			router.HandlePresence(stanza.PresenceError, tr.presence("presence", stanza.Gone)),
			router.HandlePayload(func(context.Context, *stanza.Message, receipt) error {
				tr.note("payload")
				return stanza.Gone
			}, router.OfType(stanza.MessageError)),
		}})
		out := new(stream)
		handle(ctx, t, r, out, "<message from='u@x/r' to='gw.y' type='error'><received xmlns='urn:xmpp:receipts' id='7'/><error/></message>",
			"<presence from='u@x/r' to='gw.y' type='error'><error/></presence>")
		if got := tr.take(); got != "payload message presence" {
			t.Errorf("ran %q", got)
		}
		equal(t, out.take())
	})
}

func TestPayloadRouteAloneMatches(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		r := newRouter(t, router.Config{Routes: []router.Route{router.HandlePayload(received)}})
		out := new(stream)
		handle(ctx, t, r, out, "<message from='u@x/r' to='gw.y' type='chat'><received xmlns='urn:xmpp:receipts' id='7'/></message>")
		equal(t, out.take())
	})
}
