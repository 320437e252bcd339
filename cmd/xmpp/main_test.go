package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/internal/programtest"
	"github.com/postern-im/postern/xmpptest"
)

func TestMain(m *testing.M) {
	programtest.Main(main)
	goleak.VerifyTestMain(m)
}

// TestProgram runs the program as a shell does: configured by its environment, with a text on its standard input.
func TestProgram(t *testing.T) {
	s := xmpptest.NewServer(t, xmpptest.WithUser("cron", "pencil"), xmpptest.WithUser("admin", "pencil"))
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, s.CA(), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"XMPP_JID=cron@" + s.Host, "XMPP_PASSWORD=pencil", "XMPP_SERVER=" + s.Client, "XMPP_CA=" + ca}
	admin := s.User(t, "admin", "pencil")
	for _, tt := range []struct {
		args   string
		code   int
		stdout string
		stderr string
	}{
		{"send " + admin.JID, 0, "", ""},
		{"check " + s.Host, 0, "ok    account", ""},
		{"ping nobody@" + s.Host + "/there", 1, "answers service-unavailable", ""},
		{"fly", 2, "", "xmpp: unexpected argument fly"},
		{"ping --jid admin@" + s.Host + " --password-file " + ca + " " + s.Host, 3, "", "not-authorized"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			code, stdout, stderr := programtest.Run(t, env, "The backup is done.\n", strings.Fields(tt.args)...)
			if code != tt.code || !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, tt.stderr) {
				t.Errorf("exit code %d, want %d, %q and %q:\n%s%s", code, tt.code, tt.stdout, tt.stderr, stdout, stderr)
			}
		})
	}
	if got := admin.Next(); !strings.HasPrefix(got.Attr("from"), "cron@"+s.Host+"/") || !strings.Contains(got.String(), "<body>The backup is done.</body>") {
		t.Errorf("got %s", got)
	}
}
