package xmpptool

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmpptest"
)

// TestG16_CommandLine has what is refused before anything is tried, and the helps.
func TestG16_CommandLine(t *testing.T) {
	missing := file(t, "there", "") + "/not"
	noPEM, empty := file(t, "ca.pem", "no certificate"), file(t, "password", "\nsecond line\n")
	password := file(t, "pw", "pencil\n")
	for _, tt := range []struct {
		name, args, stdin string
		code              int
		said              []string
	}{
		{"nothing", "", "", ExitUsage, []string{"Usage: xmpp <command>", "Exit codes:"}},
		{"help", "--help", "", ExitOK, []string{"check", "send", "disco", "ping"}},
		{"help of check", "check --help", "", ExitOK, []string{"Examples:", "$XMPP_JID", "--warn-before"}},
		{"help of send", "send --help", "", ExitOK, []string{"Examples:", "--room", "$XMPP_PASSWORD"}},
		{"help of disco", "disco --help", "", ExitOK, []string{"Examples:", "--node"}},
		{"help of ping", "ping --help", "", ExitOK, []string{"Examples:"}},
		{"no such command", "fly", "", ExitUsage, []string{"xmpp: unexpected argument fly", "Try: xmpp --help"}},
		{"no such flag", "ping --now a.test", "", ExitUsage, []string{"unknown flag --now", "Try: xmpp ping --help"}},
		{"no argument", "ping", "", ExitUsage, []string{"expected \"<jid>", "Try: xmpp ping --help"}},
		{"no password on the command line", "ping a.test --password=pencil", "", ExitUsage, []string{"unknown flag --password"}},
		{"no address", "ping @", "", ExitUsage, []string{"\"@\" is not an address"}},
		{"control characters", "ping a\x1b[2J@", "", ExitUsage, []string{`\x1b`}},
		{"no account", "ping a.test", "", ExitUsage, []string{"no account", "$XMPP_JID"}},
		{"a domain signs in", "ping a.test -u b.test", "", ExitUsage, []string{"b.test is a domain"}},
		{"no password", "ping a.test -u me@a.test", "", ExitUsage, []string{"no password: nobody is there", "--password-file", "$XMPP_PASSWORD"}},
		{"no such file", "ping a.test -u me@a.test --password-file " + missing, "", ExitUsage, []string{"--password-file: open "}},
		{"an empty first line", "ping a.test -u me@a.test --password-file " + empty, "", ExitUsage, []string{"is no password"}},
		{"no authorities", "ping a.test -u me@a.test --ca " + missing, "", ExitUsage, []string{"--ca: open "}},
		{"authorities that are none", "check a.test --ca " + noPEM, "", ExitUsage, []string{"holds no certificate", "BEGIN CERTIFICATE"}},
		{"a server without port", "check a.test --server b.test", "", ExitUsage, []string{"is not host:port", "5222"}},
		{"a port that is none", "ping a.test -u me@a.test --server b.test:x --password-file " + password, "", ExitUsage, []string{"b.test:x"}},
		{"direct TLS without a server", "check a.test --direct-tls", "", ExitUsage, []string{"--direct-tls without --server"}},
		{"no time", "check a.test --timeout 0s", "", ExitUsage, []string{"a timeout of 0s"}},
		{"check of an account", "check me@a.test", "", ExitUsage, []string{"me@a.test is no domain"}},
		{"nobody to send to", "send", "text", ExitUsage, []string{"nobody to send to", "--room"}},
		{"nothing to send", "send a@b.test", "\n", ExitUsage, []string{"there is no text", "standard input"}},
		{"too much to send", "send a@b.test", strings.Repeat("a", maxText+1), ExitUsage, []string{"longer than 102400 bytes"}},
		{"no text at all", "send a@b.test", "\xff", ExitUsage, []string{"not UTF-8", "iconv"}},
		{"a room that is none", "send --room b.test", "text", ExitUsage, []string{"b.test is no room"}},
		{"no such type", "send a@b.test --type groupchat", "text", ExitUsage, []string{"--type: must be one of"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			call(t, tt.stdin, strings.Fields(tt.args)...).expect(t, tt.code, tt.said...)
		})
	}
}

// TestG16_Password takes the password from each place, and shows it nowhere.
func TestG16_Password(t *testing.T) {
	const right = "correct horse"
	s := xmpptest.NewServer(t, xmpptest.WithUser("me", right))
	base := []string{"ping", s.Host, "--server", s.Client, "--ca", file(t, "ca.pem", string(s.CA()))}
	for _, tt := range []struct {
		name  string
		env   string
		args  []string
		ask   func(string) (string, error)
		code  int
		asked bool
	}{
		{"a file", "wrong", []string{"--password-file", file(t, "pw", right+"\r\n")}, nil, ExitOK, false},
		{"the environment", right, nil, nil, ExitOK, false},
		{"asked for", "", nil, func(string) (string, error) { return right, nil }, ExitOK, true},
		{"asked for, and none given", "", nil, func(string) (string, error) { return "", nil }, ExitUsage, true},
		{"asked for, and wrong", "", nil, func(string) (string, error) { return "wrong", nil }, ExitRefused, true},
		{"nobody to ask", "", nil, func(string) (string, error) { return "", errors.New("no terminal") }, ExitUsage, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("XMPP_JID", "me@"+s.Host)
			if tt.env != "" {
				t.Setenv(passwordVar, tt.env)
			}
			question := ""
			r := callTool(t, &Tool{Args: append(base, tt.args...), Ask: func(q string) (string, error) {
				question = q
				if tt.ask == nil {
					return nobody(q)
				}
				return tt.ask(q)
			}})
			r.expect(t, tt.code)
			if (question != "") != tt.asked || tt.asked && question != "Password of me@"+s.Host+": " {
				t.Errorf("asked %q", question)
			}
			if strings.Contains(r.out+r.errors, right) {
				t.Error("the password is shown")
			}
		})
	}
}

// TestNoSession has what stands in the way of a session, with what is said of it.
func TestNoSession(t *testing.T) {
	s := xmpptest.NewServer(t, xmpptest.WithUser("me", "pencil"), xmpptest.WithoutChecker()) // TLS is no XML
	t.Setenv(passwordVar, "pencil")
	ca := file(t, "ca.pem", string(s.CA()))
	refuse := func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
	}
	for _, tt := range []struct {
		name, args string
		dial       func(context.Context, string, string) (net.Conn, error)
		said       []string
	}{
		{"nothing listens", "--server 127.0.0.1:1", nil, []string{"connection refused", "Nothing listens there"}},
		{"an unknown authority", "--server " + s.Client, nil, []string{"does not trust", "--ca"}},
		{"another name", "--server " + s.Client + " --jid me@other.test --ca " + ca, nil, []string{"other.test"}},
		{"TLS where there is none", "--direct-tls --server " + s.Client, nil, []string{"--direct-tls"}},
		{"none where there is TLS", "--timeout 2s --server " + s.ClientTLS, nil, []string{"client: stream: "}},
		{"no such name", "--server a.test:5222", refuse, []string{"no such host", "xmpp check DOMAIN"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"ping", s.Host}, strings.Fields(tt.args)...)
			if !strings.Contains(tt.args, "--jid") {
				args = append(args, "--jid", "me@"+s.Host)
			}
			callTool(t, &Tool{Args: args, Dial: tt.dial}).expect(t, ExitFailure, tt.said...)
		})
	}
}

// TestLost loses the session while a room is waited for.
func TestLost(t *testing.T) {
	s := xmpptest.NewServer(t, xmpptest.WithUser("me", "pencil"))
	t.Setenv(passwordVar, "pencil")
	c, err := component.New(component.Config{Addr: s.Addr, Domain: jid.MustParse(s.Domain), Secret: component.Secret(s.Secret)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{})
	silent, err := router.New(router.Config{Routes: []router.Route{
		router.HandlePresence(stanza.PresenceAvailable, func(context.Context, *stanza.Presence) error {
			close(asked)
			return nil
		}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served, called := make(chan error, 1), make(chan result, 1)
	go func() { served <- c.Serve(ctx, silent) }()
	s.Component(s.Domain).Connected()
	go func() {
		called <- callTool(t, &Tool{Stdin: strings.NewReader("text"), Args: []string{
			"send", "--room", "room@" + s.Domain, "--jid", "me@" + s.Host, "--server", s.Client, "--ca", file(t, "ca.pem", string(s.CA())),
		}})
	}()
	<-asked
	s.Stop()
	r := <-called
	r.expect(t, ExitFailure, "room@"+s.Domain+": joining: ", "stream lost")
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// TestClean shows what others wrote so that no terminal obeys it.
func TestClean(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"as it is", "Ünïcode & <b>", "Ünïcode & <b>"},
		{"an escape sequence", "a\x1b[2Jb", "a\uFFFD[2Jb"},
		{"lines", "a\nb\u2028c", "a\uFFFDb\uFFFDc"},
		{"a control of the second kind", "a\u009b2J", "a\uFFFD2J"},
		{"another direction", "a\u202eb\u2066c", "a\uFFFDb\uFFFDc"},
		{"no UTF-8", "a\xffb", "a\uFFFDb"},
		{"long", strings.Repeat("ä", 150), strings.Repeat("ä", 100) + "..."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := clean(tt.text); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
	many := make([]string, 30)
	if got := listed(many); !strings.HasSuffix(got, ", and 6 more") {
		t.Errorf("%q", got)
	}
}
