package app

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/outbox"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/secret"
	"github.com/postern-im/postern/xmpptest"
)

// call runs a command of the program and returns its output and exit code.
func call(t *testing.T, env []string, args ...string) (out string, code int) {
	t.Helper()
	r := start(t, echo(), env, args)
	code = r.wait()
	return r.stdout.String() + r.stderr.String(), code
}

// onFile is the environment of a gateway whose state is in a file.
func onFile(t *testing.T) (env []string, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "state", "gateway.db")
	return []string{"POSTERN_DATABASE_URL=sqlite:" + file}, file
}

// opened opens the database of an environment.
func opened(t *testing.T, file string) *database {
	t.Helper()
	cfg := Defaults().Database
	cfg.URL = DSN(dsnSQLite + file)
	d, err := newDatabase(cfg, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	if err := d.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

// masked replaces what differs each time.
func masked(text, file string) string {
	text = strings.ReplaceAll(text, file, "FILE")
	text = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`).ReplaceAllString(text, "2026-05-01T12:00:00Z")
	text = regexp.MustCompile(`done in \S+`).ReplaceAllString(text, "done in TIME")
	return regexp.MustCompile(`by \S+ process \d+ \(\w+\)|: \S+ process \d+ \(\w+\)`).ReplaceAllString(text, ": HOLDER")
}

func TestMigrateCommands(t *testing.T) {
	env, file := onFile(t)
	var all strings.Builder
	step := func(want int, args ...string) {
		t.Helper()
		out, code := call(t, env, append([]string{"migrate"}, args...)...)
		if code != want {
			t.Errorf("%v: exit code %d, want %d\n%s", args, code, want, out)
		}
		all.WriteString("$ gateway migrate " + strings.Join(args, " ") + "\n" + masked(out, file))
	}
	step(ExitFailure, "status")
	step(ExitFailure, "down", "1")
	step(ExitOK, "up")
	step(ExitOK, "up")
	step(ExitOK, "status")
	step(ExitOK, "version")
	step(ExitConfig, "down", "0")
	d := opened(t, file)
	l, err := d.AcquireLease(t.Context(), leaseName, "host process 1 (abc)", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	step(ExitFailure, "down", "1")
	if err := d.ReleaseLease(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	d.close()
	step(ExitOK, "down", "1")
	step(ExitFailure, "status")
	golden(t, "testdata/migrate.txt", all.String())
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestGrantsCommand(t *testing.T) {
	env, file := onFile(t)
	d := opened(t, file)
	var all strings.Builder
	step := func(args ...string) {
		t.Helper()
		out, code := call(t, env, append([]string{"grants"}, args...)...)
		if code != ExitOK {
			t.Errorf("%v: exit code %d", args, code)
		}
		all.WriteString("$ gateway grants " + strings.Join(args, " ") + "\n" + masked(out, file))
	}
	step()
	for _, g := range []struct {
		kind storage.GrantKind
		data string
	}{
		{storage.GrantPrivilege, `<privilege xmlns='urn:xmpp:privilege:2'><perm access='roster' type='get'/></privilege>`},
		{storage.GrantPrivilege, `<privilege xmlns='urn:xmpp:privilege:2'><perm access='roster' type='both'/><perm access='message' type='outgoing'/></privilege>`},
		{storage.GrantDelegation, `<delegation xmlns='urn:xmpp:delegation:1'/>`},
	} {
		if _, err := d.AddGrant(t.Context(), jid.MustParse("example.org"), g.kind, []byte(g.data)); err != nil {
			t.Fatal(err)
		}
	}
	step()
	step("--history=5")
	step("--json")
	golden(t, "testdata/grants.txt", all.String())
}

func TestOutboxCommands(t *testing.T) {
	env, file := onFile(t)
	d := opened(t, file)
	owner, err := newOwner(LeaseConfig{TTL: time.Minute}, d, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	cfg := Defaults()
	cfg.Component.Domain = jid.Strict{JID: jid.MustParse("gateway.localhost")}
	box, err := newOutbox(cfg.Component, cfg.Outbox, d, owner, nil, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "b", "c", "d"} {
		m := &stanza.Message{Header: stanza.Header{ID: id, To: jid.MustParse("romeo@localhost")}, Type: stanza.MessageChat, Body: stanza.NewText("my love\x1b[31m")}
		if _, err := box.Put(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	lease, err := d.AcquireLease(t.Context(), leaseName, "test", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := d.ClaimOutbox(t.Context(), lease, 3)
	if err != nil || len(rows) != 3 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, r := range rows {
		if err := d.BuryOutbox(t.Context(), lease, r.Seq, "item-not-found: no such user"); err != nil {
			t.Fatal(err)
		}
	}
	var all strings.Builder
	step := func(want int, args ...string) {
		t.Helper()
		out, code := call(t, env, append([]string{"outbox"}, args...)...)
		if code != want {
			t.Errorf("%v: exit code %d, want %d\n%s", args, code, want, out)
		}
		all.WriteString("$ gateway outbox " + strings.Join(args, " ") + "\n" + masked(out, file))
	}
	dead := func(i int) string { return strconv.FormatInt(rows[i].Seq, 10) }
	step(ExitOK, "list")
	step(ExitOK, "list", "--dead")
	step(ExitOK, "list", "--dead", "--after="+dead(0), "--limit=1", "--stanza")
	step(ExitConfig, "retry")
	step(ExitConfig, "drop", dead(0), "--all")
	step(ExitOK, "retry", dead(0))
	step(ExitFailure, "drop", dead(0), dead(1))
	step(ExitOK, "drop", "--all")
	step(ExitOK, "list", "--dead")
	golden(t, "testdata/outbox.txt", all.String())
}

func TestSecretsCommands(t *testing.T) {
	env, file := onFile(t)
	d := opened(t, file)
	line, code := call(t, nil, "secrets", "generate", "k1")
	if code != ExitOK {
		t.Fatalf("exit code %d", code)
	}
	keys, err := secret.Parse(line)
	if err != nil {
		t.Fatal(err)
	}
	const n = 250
	for i := range n {
		id := storage.CredentialID{User: jid.MustParse("user" + strconv.Itoa(i) + "@localhost"), Name: "password"}
		if err := secret.NewVault(d, keys).Put(t.Context(), id, secret.New("hunter2")); err != nil {
			t.Fatal(err)
		}
	}
	second, _ := call(t, nil, "secrets", "generate")
	if !strings.HasPrefix(second, time.Now().UTC().Format("2006-")) {
		t.Errorf("the default name is no day: %s", second)
	}
	if out, code := call(t, env, "secrets", "rotate"); code != ExitConfig || !strings.Contains(out, "secrets.key_file is not set") {
		t.Errorf("without keys: exit code %d\n%s", code, out)
	}
	if out, code := call(t, append(env, "POSTERN_SECRETS_KEYS="+second), "secrets", "rotate"); code != ExitFailure || !strings.Contains(out, `"k1"`) {
		t.Errorf("without the old key: exit code %d\n%s", code, out)
	}
	out, code := call(t, append(env, "POSTERN_SECRETS_KEYS="+second+line), "secrets", "rotate")
	if code != ExitOK || !strings.Contains(out, "100 sealed anew, 150 to go") || !strings.Contains(out, "250 sealed anew; all 250 secrets") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if out, code := call(t, append(env, "POSTERN_SECRETS_KEYS="+second), "secrets", "rotate"); code != ExitOK || !strings.Contains(out, "0 sealed anew; all 250 secrets") {
		t.Errorf("again: exit code %d\n%s", code, out)
	}
}

// TestSEC57_KeysAndPasswordsOfDatabases looks for what is secret of the configuration in whatever could print it.
func TestSEC57_KeysAndPasswordsOfDatabases(t *testing.T) {
	cfg := Defaults()
	cfg.Database.URL = "postgres://gateway:hunter2@localhost/gateway?sslpassword=hunter2"
	cfg.Database.MigrateURL = "postgres://owner:hunter2@localhost/gateway"
	cfg.Secrets.Keys = "k1:hunter2"
	data, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	log := new(buffer)
	l := newLogger(LogConfig{Level: "debug", Format: FormatJSON}, log)
	l.Info("x", zap.Any("config", cfg), zap.Stringer("url", cfg.Database.URL), zap.Reflect("r", cfg))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	all := string(data) + log.String() + strings.Join([]string{cfg.Database.URL.String(), cfg.Database.URL.GoString(), cfg.Secrets.Keys.String(), cfg.Secrets.Keys.GoString()}, " ")
	if strings.Contains(all, "hunter2") || !strings.Contains(all, "gateway:xxxxx@localhost") {
		t.Errorf("%s", all)
	}
	_, _, err = load(source{prefix: "POSTERN", environ: []string{
		"POSTERN_COMPONENT_DOMAIN=a.example.org", "POSTERN_COMPONENT_SECRET=" + strong, "POSTERN_DATABASE_URL=postgres://gateway:hunter2%@localhost/x", "POSTERN_SECRETS_KEYS=hunter2",
	}})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}

func TestDefaultDatabase(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  []string
		want string
	}{
		{"home", []string{"HOME=/home/me"}, "sqlite:/home/me/.local/state/gateway/a.example.org.db"},
		{"of the desktop", []string{"HOME=/home/me", "XDG_STATE_HOME=/state"}, "sqlite:/state/gateway/a.example.org.db"},
		{"of systemd", []string{"HOME=/home/me", "STATE_DIRECTORY=/var/lib/gateway:/var/lib/other"}, "sqlite:/var/lib/gateway/a.example.org.db"},
		{"given", []string{"HOME=/home/me", "POSTERN_DATABASE_URL=memory"}, "memory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := append([]string{"POSTERN_COMPONENT_DOMAIN=a.example.org", "POSTERN_COMPONENT_SECRET=" + strong}, tt.env...)
			cfg, _, err := load(source{prefix: "POSTERN", program: "gateway", environ: env})
			if err != nil || string(cfg.Database.URL) != tt.want {
				t.Errorf("%s, %v", cfg.Database.URL, err)
			}
		})
	}
}

// keeping is a network that uses all that there is.
type keeping struct {
	network

	store storage.Store
	box   *outbox.Outbox
	vault *secret.Vault
}

func (k *keeping) UseStorage(s storage.Store) { k.store = s }
func (k *keeping) UseOutbox(o *outbox.Outbox) { k.box = o }
func (k *keeping) UseVault(v *secret.Vault)   { k.vault = v }
func (k *keeping) all() bool                  { return k.store != nil && k.box != nil && k.vault != nil }

func (k *keeping) put(ctx context.Context) error {
	_, err := k.box.Put(ctx, &stanza.Message{Header: stanza.Header{ID: "1", To: jid.MustParse("romeo@localhost")}, Body: stanza.NewText("durable")})
	return err
}

// TestStateOutlivesTheProgram subscribes to the gateway, ends it, and expects the next one to know the subscription; what the first
// could not send, the second sends.
func TestStateOutlivesTheProgram(t *testing.T) {
	s := server(t)
	c := s.Component(s.Domain)
	env, _ := onFile(t)
	line, _ := call(t, nil, "secrets", "generate")
	env = append(append(behind(s), env...), "POSTERN_SECRETS_KEYS="+line)
	first := start(t, echo(), env, []string{"run"})
	c.Connected()
	c.Send(`<presence type="subscribe" from="romeo@localhost" to="gateway.localhost"/>`)
	c.ExpectXML(`<presence type="subscribed" from="gateway.localhost" to="romeo@localhost"/>`)
	c.Expect(xmpptest.Kind(stanza.KindPresence, ""))
	first.signals <- syscall.SIGTERM
	c.Await(xmpptest.Kind(stanza.KindPresence, "unavailable")) // perhaps behind the presence that everybody gets at the start
	if code := first.wait(); code != ExitOK {
		t.Fatalf("exit code %d", code)
	}
	c.Disconnected()
	c.Clear()
	k := new(keeping)
	k.serve = func(ctx context.Context, _ stanza.Sender) error {
		if !k.all() {
			t.Error("the network was not given all that it can use")
		}
		return k.put(ctx)
	}
	second := start(t, k, env, []string{"run"})
	c.Connected()
	c.Await(xmpptest.Kind(stanza.KindPresence, ""))
	c.Await(xmpptest.XML(`<message from="gateway.localhost" to="romeo@localhost" id="1"><body>durable</body></message>`))
	until(t, second, true)
}

// TestFLT03_TheSecondProcessStandsBy starts two gateways with one database: the second does not even connect until the first has
// ended.
func TestFLT03_TheSecondProcessStandsBy(t *testing.T) {
	s := server(t)
	c := s.Component(s.Domain)
	env, _ := onFile(t)
	env = append(behind(s), env...)
	first := start(t, echo(), env, []string{"run"})
	c.Connected()
	until(t, first, true)
	second := start(t, echo(), env, []string{"run"})
	second.stderr.await(t, "waiting for the lease")
	if st := second.status(); st.Ready || !strings.Contains(st.Checks[2].Reason, "standby") {
		t.Errorf("%+v", st)
	}
	if _, ever := c.Links(); ever != 1 {
		t.Errorf("%d links", ever)
	}
	first.signals <- syscall.SIGTERM
	if code := first.wait(); code != ExitOK {
		t.Errorf("exit code %d", code)
	}
	until(t, second, true)
	if _, ever := c.Links(); ever != 2 {
		t.Errorf("%d links", ever)
	}
}

func TestKeysAreMissed(t *testing.T) {
	env, file := onFile(t)
	line, _ := call(t, nil, "secrets", "generate", "old")
	keys, err := secret.Parse(line)
	if err != nil {
		t.Fatal(err)
	}
	d := opened(t, file)
	if err := secret.NewVault(d, keys).Put(t.Context(), storage.CredentialID{User: jid.MustParse("a@b"), Name: "x"}, secret.New("y")); err != nil {
		t.Fatal(err)
	}
	d.close()
	s := server(t)
	r := start(t, new(keeping), append(behind(s), env...), []string{"run"})
	if code := r.wait(); code != ExitFailure || !strings.Contains(r.stderr.String(), "secrets generate") {
		t.Errorf("without keys: exit code %d", code)
	}
	line, _ = call(t, nil, "secrets", "generate", "new")
	r = start(t, new(keeping), append(append(behind(s), env...), "POSTERN_SECRETS_KEYS="+line), []string{"run"})
	if code := r.wait(); code != ExitFailure || !strings.Contains(r.stderr.String(), `1 secrets need key \"old\"`) {
		t.Errorf("without the old key: exit code %d", code)
	}
	if _, ever := s.Component(s.Domain).Links(); ever != 0 {
		t.Errorf("%d links", ever)
	}
}
