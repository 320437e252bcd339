package xmpptool

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/form"
	"github.com/postern-im/postern/xmltree"
)

// What the tool does at a server. Each test here runs at the in-process server, real Prosody and real ejabberd.

// env is a server with rooms.
type env struct {
	usertest.Server
	direct   string // address with TLS from the first byte on
	rooms    string // domain
	ca       []byte // in PEM
	software string // what the server calls itself
}

// result is what one call of the tool came to.
type result struct {
	code        int
	out, errors string
}

// nobody is there to be asked for a password.
func nobody(string) (string, error) { return "", errors.New("nobody is there") }

// call runs the tool.
func call(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	return callTool(t, &Tool{Args: args, Stdin: strings.NewReader(stdin)})
}

func callTool(t *testing.T, tool *Tool) result {
	t.Helper()
	var out, errs bytes.Buffer
	tool.Stdout, tool.Stderr = &out, &errs
	if tool.Ask == nil {
		tool.Ask = nobody
	}
	if tool.Resolver == nil {
		tool.Resolver = net.DefaultResolver
	}
	if tool.Dial == nil {
		tool.Dial = new(net.Dialer).DialContext
	}
	r := result{code: tool.Run(t.Context())}
	r.out, r.errors = out.String(), errs.String()
	return r
}

// expect fails the test unless the call ended so, and has said all of this.
func (r result) expect(t *testing.T, code int, said ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d", r.code, code)
	}
	for _, text := range said {
		if !strings.Contains(r.out+r.errors, text) {
			t.Errorf("it does not say %q", text)
		}
	}
	if t.Failed() {
		t.Logf("output:\n%s\nerrors:\n%s", r.out, r.errors)
	}
}

// file writes a file of the test's.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// as returns the arguments of a command for an account.
func as(t *testing.T, e env, a usertest.Account, args ...string) []string {
	t.Helper()
	return append(e.at(t, args...), "--jid", a.JID.String(), "--password-file", file(t, "password", "secret\n"))
}

// at returns the arguments of a command for the server.
func (e env) at(t *testing.T, args ...string) []string {
	t.Helper()
	return append(args, "--server", e.Addr, "--ca", file(t, "ca.pem", string(e.ca)))
}

func runBehaviours(t *testing.T, e env) {
	for _, b := range []struct {
		name string
		run  func(t *testing.T, e env)
	}{
		{"check", testCheck},
		{"ping", testPing},
		{"disco", testDisco},
		{"send", testSend},
		{"room", testRoom},
		{"refused", testRefused},
	} {
		t.Run(b.name, func(t *testing.T) { b.run(t, e) })
	}
}

func testCheck(t *testing.T, e env) {
	call(t, "", e.at(t, "check", e.Host)...).expect(t, ExitOK,
		"skip  srv", "ok    port", "ok    tls", "TLS 1.3 and TLS 1.2 by STARTTLS", "ok    cert", "ok    sasl", "a client takes SCRAM-SHA-", "skip  account")
	me, direct := e.Account(t, "me"), e
	direct.Addr = e.direct
	r := call(t, "", as(t, direct, me, "check", "--direct-tls", "--json", e.Host)...)
	r.expect(t, ExitOK)
	var got report
	if err := json.Unmarshal([]byte(r.out), &got); err != nil || !got.Healthy || got.Domain != e.Host {
		t.Errorf("%+v, %v", got, err)
	}
	for _, want := range []struct{ step, text string }{
		{stepTLS, "from the first byte on"},
		{stepCert, e.Host},
		{stepSASL2, "with Bind 2"},
		{stepAccount, "signed in as " + me.JID.String() + "/"},
		{stepAccount, " by SCRAM-SHA-256-PLUS within SASL2, bound to the connection by tls-exporter"},
		{stepSession, "roster versions"},
		{stepVersion, "runs " + e.software},
	} {
		said := ""
		for _, f := range got.Findings {
			if f.Step == want.step {
				said += f.Summary
			}
		}
		if !strings.Contains(said, want.text) {
			t.Errorf("step %s says %q and nothing of %q", want.step, said, want.text)
		}
	}
	// Without the authority the certificate is refused, and the offer still shown. The account is left alone.
	r = call(t, "", "check", e.Host, "--server", e.Addr, "--no-sign-in", "--jid", me.JID.String())
	r.expect(t, ExitFailure, "FAIL  cert", "does not trust", "a client takes SCRAM-SHA-")
	if strings.Contains(r.out, "account") {
		t.Error("signed in all the same")
	}
	call(t, "", e.at(t, "check", "other."+e.Host, "--timeout", "10s")...).expect(t, ExitFailure, "FAIL", "it does not serve the domain")
}

func testPing(t *testing.T, e env) {
	me := e.Account(t, "me")
	call(t, "", as(t, e, me, "ping", e.Host)...).expect(t, ExitOK, e.Host+": ", " ms\n")
	r := call(t, "", as(t, e, me, "ping", e.Host, me.JID.String()+"/nowhere", "--json")...)
	r.expect(t, ExitFailure)
	var got struct{ Results []pong }
	if err := json.Unmarshal([]byte(r.out), &got); err != nil || len(got.Results) != 2 {
		t.Fatalf("%v: %s", err, r.out)
	}
	if p := got.Results[0]; p.JID != e.Host || !p.OK || p.Milliseconds <= 0 {
		t.Errorf("%+v", p)
	}
	if p := got.Results[1]; p.OK || p.Error != "answers service-unavailable" && !strings.HasPrefix(p.Error, "answers service-unavailable: ") {
		t.Errorf("%+v", p)
	}
}

func testDisco(t *testing.T, e env) {
	me := e.Account(t, "me")
	call(t, "", as(t, e, me, "disco", e.Host)...).expect(t, ExitOK, "identity  server/im", "feature   urn:xmpp:ping\n", "item      "+e.rooms)
	r := call(t, "", as(t, e, me, "disco", "--json", e.Host)...)
	r.expect(t, ExitOK)
	var got discovery
	if err := json.Unmarshal([]byte(r.out), &got); err != nil || got.JID != e.Host || !slices.Contains(got.Features, "urn:xmpp:ping") {
		t.Errorf("%+v, %v", got, err)
	}
	if len(got.Identities) == 0 || got.Identities[0].Category == "" || !slices.ContainsFunc(got.Items, func(i item) bool { return i.JID == e.rooms }) {
		t.Errorf("%+v", got)
	}
	call(t, "", as(t, e, me, "disco", e.Host, "--node", "no-such-node")...).expect(t, ExitFailure, "info      answers item-not-found")
}

// heard waits for a message of this type and text, from this account or room.
func heard(t *testing.T, in usertest.Inbox[*stanza.Message], from jid.JID, typ stanza.MessageType, text string) *stanza.Message {
	t.Helper()
	return in.Await(t, func(m *stanza.Message) bool {
		return m.From.Bare() == from && m.Type == typ && m.Body.String() == text
	})
}

func testSend(t *testing.T, e env) {
	me, one, two := e.Account(t, "me"), e.Account(t, "one"), e.Account(t, "two")
	first, routes := usertest.Bodies()
	one.SignIn(t, routes...)
	second, routes := usertest.Bodies()
	other := two.SignIn(t, routes...)
	const text = "two lines,\n<one> & \"another\""
	call(t, text+"\n", as(t, e, me, "send", one.JID.String(), other.JID().String())...).expect(t, ExitOK)
	heard(t, first, me.JID, stanza.MessageChat, text)
	heard(t, second, me.JID, stanza.MessageChat, text)

	nobody := "nobody@" + e.Host
	r := call(t, "hear, hear", as(t, e, me, "send", "--type", "normal", "--subject", "news", "--json", other.JID().String(), nobody)...)
	r.expect(t, ExitFailure)
	var got struct{ Results []sent }
	if err := json.Unmarshal([]byte(r.out), &got); err != nil || len(got.Results) != 2 || !got.Results[0].OK {
		t.Fatalf("%v: %s", err, r.out)
	}
	if s := got.Results[1]; s.OK || s.JID != nobody || !strings.HasPrefix(s.Error, "answers service-unavailable") {
		t.Errorf("%+v", s)
	}
	if m := heard(t, second, me.JID, stanza.MessageNormal, "hear, hear"); m.Subject.String() != "news" {
		t.Errorf("%+v", m)
	}
	call(t, "not \x01 XML", as(t, e, me, "send", one.JID.String())...).expect(t, ExitOK)
	heard(t, first, me.JID, stanza.MessageChat, "not \uFFFD XML")
}

// ownership is how an owner takes a room as it is (XEP-0045 section 10.1.2).
type ownership struct{}

func (ownership) PayloadName() xml.Name {
	return xml.Name{Space: "http://jabber.org/protocol/muc#owner", Local: "query"}
}

// EncodeXML implements xmltree.Marshaler.
func (ownership) EncodeXML(enc *xmltree.Encoder) {
	stanza.EncodePayload(enc, form.Form{Type: form.TypeSubmit})
}

func testRoom(t *testing.T, e env) {
	me := e.Account(t, "me")
	room := jid.MustParse("gossip@" + e.rooms)
	name := room.String()
	// Nobody has made it: the tool says so, and leaves nothing behind.
	call(t, "hello?", as(t, e, me, "send", "--room", name)...).expect(t, ExitFailure, name+": joining: there was no such room")

	said, routes := usertest.Bodies()
	owner := e.Account(t, "owner").SignIn(t, routes...)
	self, err := room.WithResource("owner")
	if err != nil {
		t.Fatal(err)
	}
	owner.Out(&stanza.Presence{Header: stanza.Header{To: self}, Payloads: []stanza.Payload{joining{}}})
	open := &stanza.IQ{Header: stanza.Header{To: room}, Type: stanza.IQSet, Payload: ownership{}}
	if _, err := owner.Request(t.Context(), open); err != nil { // behind the joining
		t.Fatal(err)
	}
	call(t, "The backup is done.\n", as(t, e, me, "send", "--room", name, "--nick", "cron")...).expect(t, ExitOK)
	if m := heard(t, said, room, stanza.MessageGroupchat, "The backup is done."); m.From.Resource() != "cron" {
		t.Errorf("%+v", m)
	}
	// A name that somebody else has.
	call(t, "me too", as(t, e, me, "send", "--room", name, "--nick", "owner")...).expect(t, ExitFailure, name+": joining: answers conflict")
}

func testRefused(t *testing.T, e env) {
	me, wrong := e.Account(t, "me"), file(t, "wrong", "wrong")
	for _, command := range [][]string{{"ping", e.Host}, {"disco", e.Host}, {"send", me.JID.String()}, {"check", e.Host}} {
		args := append(e.at(t, command...), "--jid", me.JID.String(), "--password-file", wrong)
		call(t, "text", args...).expect(t, ExitRefused, "not-authorized", "Is the password right")
		if command[0] == "check" {
			continue // its report is the same as ever
		}
		r := call(t, "text", append(args, "--json")...)
		var got struct{ Error, Remedy string }
		if err := json.Unmarshal([]byte(r.out), &got); err != nil || r.code != ExitRefused || got.Error == "" || got.Remedy == "" || r.errors != "" {
			t.Errorf("%s: %d, %v: %s%s", command[0], r.code, err, r.out, r.errors)
		}
	}
}
