package client_test

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// Sign-in and binding, step by step.

const sasl2 = "<authentication xmlns='urn:xmpp:sasl:2'><mechanism>PLAIN</mechanism></authentication>"

func TestC5_Configuration(t *testing.T) {
	me := jid.MustParse(account)
	for name, cfg := range map[string]client.Config{
		"no account":                   {},
		"a domain":                     {JID: me.DomainJID()},
		"an anonymous account":         {JID: me, Credentials: sasl.Credentials{Anonymous: true}},
		"no port":                      {JID: me, Addr: "a.test"},
		"a configuration that is void": {JID: me, TLS: &tls.Config{InsecureSkipVerify: true}},
		"negative":                     {JID: me, ConnectTimeout: -1},
		"negative buffer":              {JID: me, SendBuffer: -1},
		"backoff":                      {JID: me, Backoff: client.Backoff{Min: time.Hour}},
		"keepalive":                    {JID: me, KeepAlive: time.Nanosecond},
	} {
		if _, err := client.New(cfg, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for name, cfg := range map[string]client.Config{
		"plain":                   {JID: me},
		"international":           {JID: jid.MustParse("me@müller.test")},
		"anonymous":               {JID: me.DomainJID(), Credentials: sasl.Credentials{Anonymous: true}},
		"verification of its own": {JID: me, TLS: &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(tls.ConnectionState) error { return nil }}},
	} {
		if _, err := client.New(cfg, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestInsecure takes a certificate of nobody, but shows it no password.
func TestInsecure(t *testing.T) {
	cfg := fake(t, newAuthority(t), hello)
	cfg.TLS, cfg.Insecure = nil, true
	refused(t, cfg, sasl.ErrInsecure, client.StageSignIn, true)
}

func TestC7_Binding(t *testing.T) {
	a := newAuthority(t)
	iqError := func(cond string) func(p *peer) {
		return func(p *peer) {
			p.welcome()
			iq := p.next()
			p.write("<iq type='error' id='" + iq.Attr("id") + "'><error type='wait'><" + cond + " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
			p.serve()
		}
	}
	refused(t, fake(t, a, iqError("conflict")), stanza.Conflict, client.StageBind, false)
	refused(t, fake(t, a, iqError("resource-constraint")), stanza.ResourceConstraint, client.StageBind, false)
	for name, script := range map[string]func(p *peer){
		"another id": func(p *peer) {
			p.welcome()
			p.next()
			p.write("<iq type='result' id='x'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>me@xmpp.test/x</jid></bind></iq>")
			p.serve()
		},
		"no resource":   func(p *peer) { p.welcome(); p.bound(account); p.serve() },
		"no address":    func(p *peer) { p.welcome(); p.bound(""); p.serve() },
		"not an answer": func(p *peer) { p.welcome(); p.next(); p.write("<message/>"); p.serve() },
	} {
		t.Run(name, func(t *testing.T) { refused(t, fake(t, a, script), client.ErrProtocol, client.StageBind, false) })
	}
}

// TestC8_Session opens a session where the server insists, and nowhere else.
func TestC8_Session(t *testing.T) {
	const ns = "urn:ietf:params:xml:ns:xmpp-session"
	for feature, want := range map[string]bool{"": false, "<session xmlns='" + ns + "'><optional/></session>": false, "<session xmlns='" + ns + "'/>": true} {
		first := make(chan xmltree.Element, 1)
		cfg := fake(t, newAuthority(t), func(p *peer) {
			p.secure(p.a.server(domain, time.Hour))
			p.open(plain)
			p.next()
			p.write(success)
			p.open(bind + feature)
			p.bound(account + "/here")
			el := p.next()
			first <- el
			p.write("<iq type='result' id='" + el.Attr("id") + "' from='" + domain + "'/>")
			p.serve()
		})
		c := serve(t, cfg, ignore).online()
		if err := c.Barrier(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, got := (<-first).Child(ns, "session"); got != want {
			t.Errorf("%q: %v", feature, got)
		}
	}
}

func TestA16_UserAgent(t *testing.T) {
	const ns = "urn:xmpp:sasl:2"
	for _, agent := range []client.UserAgent{{}, {ID: "d4565fa7-4d72-4749-b3d3-740edbf87770", Software: "a<b", Device: "d"}, {Software: "s"}} {
		said := make(chan xmltree.Element, 1)
		cfg := fake(t, newAuthority(t), func(p *peer) {
			p.secure(p.a.server(domain, time.Hour))
			p.open(sasl2)
			said <- p.next()
			p.write("<success xmlns='" + ns + "'><authorization-identifier>" + account + "</authorization-identifier></success><stream:features>" + bind + "</stream:features>")
			p.bound(account + "/here")
			p.serve()
		})
		cfg.UserAgent = agent
		serve(t, cfg, ignore).online()
		el := <-said
		ua, ok := el.Child(ns, "user-agent")
		software, _ := ua.Child(ns, "software")
		device, _ := ua.Child(ns, "device")
		got := client.UserAgent{ID: ua.Attr("id"), Software: software.Text(), Device: device.Text()}
		if ok != (agent != client.UserAgent{}) || got != agent {
			t.Errorf("%s", el)
		}
		if initial, _ := el.Child(ns, "initial-response"); initial.Text() != base64.StdEncoding.EncodeToString([]byte("\x00me\x00secret")) {
			t.Errorf("%s", el)
		}
	}
}

// TestA18_Exchanges has what may come in place of what is due.
func TestA18_Exchanges(t *testing.T) {
	a := newAuthority(t)
	const one, two = "urn:ietf:params:xml:ns:xmpp-sasl", "urn:xmpp:sasl:2"
	for name, tc := range map[string]struct {
		features, answer string
		want             error
		stage            client.Stage
		permanent        bool
	}{
		"tasks":                {sasl2, "<continue xmlns='" + two + "'><tasks><task>X</task></tasks></continue>", client.ErrTasks, client.StageSignIn, true},
		"a challenge too many": {plain, "<challenge xmlns='" + one + "'>eA==</challenge>", sasl.ErrUnexpected, client.StageSignIn, true},
		"not base64":           {plain, "<challenge xmlns='" + one + "'>?</challenge>", sasl.ErrMalformed, client.StageSignIn, true},
		"another protocol's":   {plain, "<success xmlns='" + two + "'/>", client.ErrProtocol, client.StageSignIn, false},
		"a stanza":             {plain, "<message/>", client.ErrProtocol, client.StageSignIn, false},
		"the end":              {plain, "</stream:stream>", client.ErrClosed, client.StageSignIn, false},
		"nobody signed in":     {sasl2, "<success xmlns='" + two + "'/>", client.ErrProtocol, client.StageSignIn, false},
		"no features behind":   {sasl2, "<success xmlns='" + two + "'><authorization-identifier>" + account + "</authorization-identifier></success><message/>", client.ErrProtocol, client.StageSignIn, false},
		"nothing offered":      {"", "", client.ErrNoSignIn, client.StageSignIn, false},
		"nothing we know":      {"<mechanisms xmlns='" + one + "'><mechanism>X</mechanism></mechanisms>", "", sasl.ErrUnknownMechanism, client.StageSignIn, true},
		"comments":             {plain, "<!-- -->", xmltree.ErrRestricted, client.StageSignIn, false},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, fake(t, a, func(p *peer) {
				p.secure(a.server(domain, time.Hour))
				p.open(tc.features)
				p.next()
				p.write(tc.answer)
				p.next()
			}), tc.want, tc.stage, tc.permanent)
		})
	}
}

// TestA19_Refusals has each kind of refusal. Those that are temporary are tried again.
func TestA19_Refusals(t *testing.T) {
	a := newAuthority(t)
	for _, protocol := range []string{plain, sasl2} {
		for cond, permanent := range map[sasl.Condition]bool{
			sasl.NotAuthorized: true, sasl.AccountDisabled: true, sasl.CredentialsExpired: true, sasl.InvalidAuthzID: true, sasl.TemporaryAuthFailure: false,
		} {
			t.Run(string(cond), func(t *testing.T) {
				failure := "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><" + string(cond) + "/><text>why</text></failure>"
				if protocol == sasl2 {
					failure = "<failure xmlns='urn:xmpp:sasl:2'><" + string(cond) + " xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/><text>why</text></failure>"
				}
				cfg := fake(t, a, func(p *peer) {
					p.secure(a.server(domain, time.Hour))
					p.open(protocol)
					p.next()
					p.write(failure)
					p.next()
				}, hello)
				refused(t, cfg, cond, client.StageSignIn, permanent)
				if !permanent {
					c := serve(t, cfg, ignore).online()
					c.stop()
					if err := c.ended(); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	var e *client.SignInError
	cfg := fake(t, a, func(p *peer) {
		p.secure(a.server(domain, time.Hour))
		p.open(plain)
		p.next()
		p.write("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><invented/><text>why</text></failure>")
		p.next()
	})
	if err := serve(t, cfg, ignore).ended(); !errors.As(err, &e) || e.Condition != sasl.NotAuthorized || e.Text != "why" {
		t.Errorf("got %v", err)
	}
}
