package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/secret"
	"github.com/postern-im/postern/storage/sqlite"
)

const hunter2 = "correct horse battery staple hunter2"

func newKey(t testing.TB, id string) string {
	t.Helper()
	line, err := secret.GenerateKey(id)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

func keyring(t testing.TB, lines ...string) *secret.Keyring {
	t.Helper()
	k, err := secret.Parse(strings.Join(lines, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func credential(user, name string) storage.CredentialID {
	return storage.CredentialID{User: jid.MustParse(user), Name: name}
}

// However a secret is printed, or what holds it, its text stays unseen.
func TestSEC77_SecretsPrintRedacted(t *testing.T) {
	s := secret.New(hunter2)
	holder := struct {
		Public  secret.Secret
		private secret.Secret
		list    []secret.Secret
		by      map[string]secret.Secret
	}{s, s, []secret.Secret{s}, map[string]secret.Secret{"k": s}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%b", "%o", "%U", "%e", "%c"} {
		fmt.Fprintf(&out, verb+"\n"+verb+"\n"+verb+"\n", s, &s, holder)
	}
	fmt.Fprintln(&out, s, holder, errors.Join(fmt.Errorf("%w: %v", os.ErrExist, s)))
	slog.New(slog.NewJSONHandler(&out, nil)).Info("a", "secret", s, "holder", holder)
	slog.New(slog.NewTextHandler(&out, nil)).Info("a", "secret", s, "holder", holder)
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&out), zap.DebugLevel)
	zap.New(core).Info("a", zap.Any("secret", s), zap.Stringer("s", s), zap.Reflect("r", holder), zap.Any("h", holder))
	for _, v := range []any{s, holder, &holder, map[string]any{"k": s}} {
		if err := json.NewEncoder(&out).Encode(v); err != nil {
			t.Error(err)
		}
	}
	if err := xml.NewEncoder(&out).Encode(struct {
		XMLName xml.Name      `xml:"x"`
		A       secret.Secret `xml:"a,attr"`
		B       secret.Secret
	}{A: s, B: s}); err != nil {
		t.Error(err)
	}
	unseen(t, out.Bytes(), hunter2)
	if !bytes.Contains(out.Bytes(), []byte("[secret]")) {
		t.Error("nothing was printed")
	}
	if s.Reveal() != hunter2 || (secret.Secret{}).Reveal() != "" || !s.Equal(secret.New(hunter2)) || s.Equal(secret.New("")) {
		t.Error("a secret is not what it was made of")
	}
}

// unseen holds that data has a text in no form in which it would be recognised.
func unseen(t *testing.T, data []byte, text string) {
	t.Helper()
	lower := bytes.ToLower(data)
	for form, part := range map[string]string{
		"as it is": text, "reversed in case": strings.ToUpper(text), "in hexadecimal": hex.EncodeToString([]byte(text)),
		"in base64": base64.RawStdEncoding.EncodeToString([]byte(text))[:len(text)-4],
		"in part":   text[8:24], "quoted": fmt.Sprintf("%q", text),
	} {
		if bytes.Contains(lower, bytes.ToLower([]byte(part))) {
			t.Errorf("the secret is there %s", form)
		}
	}
}

// What has the database, with all that lies beside it, has no secret, nor a key.
func TestSEC77_DatabaseHoldsNoSecret(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	db, err := sqlite.Open(ctx, filepath.Join(dir, "gateway.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	lines := []string{newKey(t, "k2"), newKey(t, "k1")}
	vault := secret.NewVault(db, keyring(t, lines...))
	old := secret.NewVault(db, keyring(t, lines[1]))
	id := credential("juliet@example.org", "irc password")
	if err := old.Put(ctx, id, secret.New(hunter2)); err != nil {
		t.Fatal(err)
	}
	if err := vault.Put(ctx, credential("romeo@example.org", "irc password"), secret.New(strings.Repeat(hunter2, 200))); err != nil {
		t.Fatal(err)
	}
	if n, err := vault.Reseal(ctx, nil); n != 1 || err != nil {
		t.Fatalf("resealed: %d, %v", n, err)
	}
	got, err := vault.Get(ctx, id)
	if err != nil || got.Reveal() != hunter2 {
		t.Fatalf("the secret comes back as %q, %v", got.Reveal(), err)
	}
	look := func(want ...string) {
		t.Helper()
		var all []byte
		for _, name := range want {
			data, err := os.ReadFile(filepath.Join(dir, "gateway.db"+name))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, data...)
		}
		if !bytes.Contains(all, []byte("irc password")) {
			t.Fatal("the files are others than those that the secret was put into")
		}
		unseen(t, all, hunter2)
		for _, line := range lines {
			_, text, _ := strings.Cut(line, ":")
			raw, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(all, raw) || bytes.Contains(all, []byte(text)) {
				t.Error("a key is in the database")
			}
		}
	}
	look("", "-wal", "-shm")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	look("")
}

// A box opens for the user, the secret and the key that it was made for and no other.
func TestSEC77_BoxesAreBound(t *testing.T) {
	line := newKey(t, "k")
	keys := keyring(t, line)
	id := credential("juliet@example.org", "password")
	sealed, err := keys.Seal(id, secret.New(hunter2))
	if err != nil {
		t.Fatal(err)
	}
	again, err := keys.Seal(id, secret.New(hunter2))
	if err != nil || bytes.Equal(sealed.Box, again.Box) {
		t.Fatalf("the same secret gives the same box, %v", err)
	}
	changed := func(i int) storage.Sealed {
		box := bytes.Clone(sealed.Box)
		box[i] ^= 1
		return storage.Sealed{Key: "k", Box: box}
	}
	_, text, _ := strings.Cut(line, ":")
	renamed := keyring(t, "k2:"+text)
	for _, c := range []struct {
		name   string
		keys   *secret.Keyring
		id     storage.CredentialID
		sealed storage.Sealed
		want   error
	}{
		{"as it was made", keys, id, sealed, nil},
		{"an equivalent address", keys, storage.CredentialID{User: jid.MustParse("juliet@example.org/r"), Name: "password"}, sealed, nil},
		{"another user", keys, credential("romeo@example.org", "password"), sealed, secret.ErrTampered},
		{"another secret", keys, credential("juliet@example.org", "Password"), sealed, secret.ErrTampered},
		{"where one ends and the other begins", keys, credential("juliet@example.orgp", "assword"), sealed, secret.ErrTampered},
		{"no such key", keyring(t, newKey(t, "other")), id, sealed, secret.ErrNoKey},
		{"another key of that id", keyring(t, newKey(t, "k")), id, sealed, secret.ErrWrongKey},
		{"the same key of another id", renamed, id, storage.Sealed{Key: "k2", Box: sealed.Box}, secret.ErrTampered},
		{"version", keys, id, changed(0), secret.ErrTampered},
		{"mark", keys, id, changed(1), secret.ErrWrongKey},
		{"nonce", keys, id, changed(17), secret.ErrTampered},
		{"first byte", keys, id, changed(41), secret.ErrTampered},
		{"last byte", keys, id, changed(len(sealed.Box) - 1), secret.ErrTampered},
		{"cut short", keys, id, storage.Sealed{Key: "k", Box: sealed.Box[:len(sealed.Box)-1]}, secret.ErrTampered},
		{"longer", keys, id, storage.Sealed{Key: "k", Box: append(bytes.Clone(sealed.Box), 0)}, secret.ErrTampered},
		{"head alone", keys, id, storage.Sealed{Key: "k", Box: sealed.Box[:41]}, secret.ErrTampered},
		{"empty", keys, id, storage.Sealed{Key: "k"}, secret.ErrTampered},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.keys.Open(c.id, c.sealed)
			if !errors.Is(err, c.want) || c.want == nil && got.Reveal() != hunter2 || c.want != nil && got.Reveal() != "" {
				t.Fatalf("it opens as %q, %v; want %v", got.Reveal(), err, c.want)
			}
			var open *secret.OpenError
			if c.want == nil {
				return
			}
			if !errors.As(err, &open) || open.ID != c.id || open.Key != c.sealed.Key || !strings.Contains(err.Error(), c.id.Name) {
				t.Errorf("the error %v does not tell whose secret it is", err)
			}
			unseen(t, []byte(err.Error()), hunter2)
		})
	}
	empty, err := keys.Seal(id, secret.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	if s, err := keys.Open(id, empty); s.Reveal() != "" || err != nil {
		t.Errorf("the empty secret comes back as %q, %v", s.Reveal(), err)
	}
	if _, err := keys.Seal(id, secret.New(strings.Repeat("x", secret.MaxSize+1))); !errors.Is(err, storage.ErrInvalid) {
		t.Errorf("a secret that is too large: %v", err)
	}
	if _, err := keys.Seal(storage.CredentialID{}, secret.New("x")); !errors.Is(err, storage.ErrInvalid) {
		t.Errorf("nobody's secret: %v", err)
	}
}

func TestParse(t *testing.T) {
	good := newKey(t, "k1")
	_, text, _ := strings.Cut(good, ":")
	short := base64.StdEncoding.EncodeToString([]byte("31 bytes are one byte too few!!"))
	for _, c := range []struct {
		name, text string
		line       int
		why        string
	}{
		{"no colon", "# keys\n\nk1\n", 3, "id:base64"},
		{"no id", ":" + text, 1, "the id"},
		{"space in the id", good + "\nk 2:" + text, 2, "the id"},
		{"id too long", strings.Repeat("k", 65) + ":" + text, 1, "the id"},
		{"no base64", "k1:" + strings.Repeat("!", 44), 1, "base64"},
		{"no padding", "k1:" + strings.TrimRight(text, "="), 1, "base64"},
		{"bits that do not count", "k1:" + text[:42] + "B=", 1, "base64"},
		{"too short", "k1:" + short, 1, "31 bytes"},
		{"zeros", "k1:" + base64.StdEncoding.EncodeToString(make([]byte, 32)), 1, "at random"},
		{"the id twice", good + "\n" + newKey(t, "k1"), 2, "before it"},
		{"the key twice", good + "\n\nk2:" + text, 3, `same key as "k1"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := secret.Parse(c.text)
			var e *secret.KeysError
			if !errors.As(err, &e) || e.Line != c.line || !strings.Contains(err.Error(), c.why) || !strings.Contains(err.Error(), fmt.Sprint("line ", c.line)) {
				t.Fatalf("the error is %v; want line %d and %q", err, c.line, c.why)
			}
			if strings.Contains(err.Error(), text[:8]) {
				t.Errorf("the error %v quotes the key", err)
			}
		})
	}
	for _, empty := range []string{"", "\n# nothing\n \t\n"} {
		if _, err := secret.Parse(empty); !errors.Is(err, secret.ErrNoKeys) {
			t.Errorf("%q: %v", empty, err)
		}
	}
	k := keyring(t, "# made today", "", " "+newKey(t, "k2")+" \r", good)
	if k.Current() != "k2" || !k.Has("k1") || !k.Has("k2") || k.Has("k3") {
		t.Errorf("keyring: %v", k)
	}
	if out := fmt.Sprintf("%v %+v %#v %s", k, k, k, k); strings.Contains(out, "aead") || !strings.Contains(out, "keyring(k2, 2 keys)") {
		t.Errorf("a keyring prints as %s", out)
	}
	for _, id := range []string{"", "a b", "a:b", strings.Repeat("k", 65)} {
		if _, err := secret.GenerateKey(id); !errors.Is(err, storage.ErrInvalid) {
			t.Errorf("a key with the id %q: %v", id, err)
		}
	}
}

// The keys of the package's documentation are keys.
func TestDocumentedKeys(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(doc)) {
		if line, found := strings.CutPrefix(line, "//\t"); found {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	if k := keyring(t, lines...); k.Current() != "k2" || !k.Has("k1") {
		t.Errorf("the keys are %v", k)
	}
}

func TestSEC77_KeyFileOfTheOwnerAlone(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	line := newKey(t, "k1")
	for _, mode := range []os.FileMode{0o600, 0o400} {
		if k, err := secret.Load(write(fmt.Sprintf("good%o", mode), line, mode)); err != nil || k.Current() != "k1" {
			t.Errorf("mode %o: %v, %v", mode, k, err)
		}
	}
	if runtime.GOOS != "windows" {
		for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o777} {
			_, err := secret.Load(write(fmt.Sprintf("bad%o", mode), line, mode))
			var e *secret.KeysError
			if !errors.As(err, &e) || !strings.Contains(err.Error(), "chmod 600") {
				t.Errorf("mode %o: %v", mode, err)
			}
		}
	}
	for name, c := range map[string]struct{ path, want string }{
		"missing":   {filepath.Join(dir, "missing"), "no such file"},
		"folder":    {dir, "it is no file"},
		"too large": {write("large", strings.Repeat("#\n", 40_000), 0o600), "more than"},
		"bad line":  {write("line", "\nx\n", 0o600), "line: line 2"},
	} {
		if _, err := secret.Load(c.path); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReseal(t *testing.T) {
	ctx := t.Context()
	db, err := sqlite.Open(ctx, sqlite.Memory, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	k1, k2 := newKey(t, "k1"), newKey(t, "k2")
	old, both := secret.NewVault(db, keyring(t, k1)), secret.NewVault(db, keyring(t, k2, k1))
	const n = 230
	at := func(i int) storage.CredentialID { return credential(fmt.Sprintf("u%03d@example.org", i), "p") }
	for i := range n {
		if err := old.Put(ctx, at(i), secret.New(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	only := secret.NewVault(db, keyring(t, k2))
	if err := only.Check(ctx); !errors.Is(err, secret.ErrNoKey) || !strings.Contains(err.Error(), `"k1"`) {
		t.Errorf("without the old key: %v", err)
	}
	if err := both.Check(ctx); err != nil {
		t.Errorf("with both keys: %v", err)
	}
	if done, err := only.Reseal(ctx, nil); done != 0 || !errors.Is(err, secret.ErrNoKey) {
		t.Errorf("resealed without the old key: %d, %v", done, err)
	}
	var steps []string
	done, err := both.Reseal(ctx, func(done, left int) { steps = append(steps, fmt.Sprint(done, "/", left)) })
	if done != n || err != nil || strings.Join(steps, " ") != "100/130 200/30 230/0" {
		t.Fatalf("resealed: %d, %v, %v", done, err, steps)
	}
	if done, err := both.Reseal(ctx, nil); done != 0 || err != nil {
		t.Errorf("resealed again: %d, %v", done, err)
	}
	for i := range n {
		if s, err := only.Get(ctx, at(i)); err != nil || s.Reveal() != fmt.Sprint(i) {
			t.Fatalf("secret %d is %q, %v", i, s.Reveal(), err)
		}
	}
	if err := only.Check(ctx); err != nil {
		t.Errorf("with the new key alone: %v", err)
	}
	if err := only.Delete(ctx, at(0)); err != nil {
		t.Fatal(err)
	}
	if _, err := only.Get(ctx, at(0)); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("a secret that was deleted: %v", err)
	}
}
