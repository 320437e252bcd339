package archtest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/postern-im/postern/internal/archtest"
)

const root = "../.."

// onTop are the folders that may import everything of ours, so no rule names them.
var onTop = []string{"cmd", "examples", "docs", "docker"}

type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Module     struct{ Path string }
}

// list returns the packages of the module, seen with every build tag of ours.
func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json", "-tags", "integration,fallbackroots", "./...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	if len(pkgs) == 0 {
		t.Fatal("go list found no package")
	}
	return pkgs
}

func load(t *testing.T) []archtest.Rule {
	t.Helper()
	rules, err := archtest.Load(filepath.Join(root, ".golangci.yml"))
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// rel is a package's folder from the module's root.
func (p pkg) rel() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, p.Module.Path), "/")
}

// TestImports applies the rules to what every package really imports.
func TestImports(t *testing.T) {
	rules := load(t)
	for _, p := range list(t) {
		if len(p.GoFiles) == 0 {
			continue
		}
		for _, file := range p.GoFiles {
			for _, r := range rules {
				if !r.Covers(path.Join(p.rel(), file)) {
					continue
				}
				for _, imp := range imports(t, filepath.Join(p.Dir, file)) {
					if why := r.Refuses(imp); why != "" {
						t.Errorf("%s imports %s: rule %s: %s", path.Join(p.rel(), file), imp, r.Name, why)
					}
				}
			}
		}
	}
}

// TestEveryPackageHasItsPlace fails for a package that no rule names: give it one in .golangci.yml and in
// docs/architecture.md. Packages under internal are free to serve a single command or test.
func TestEveryPackageHasItsPlace(t *testing.T) {
	rules := load(t)
	for _, p := range list(t) {
		top, _, _ := strings.Cut(p.rel(), "/")
		if len(p.GoFiles) == 0 || top == "internal" || slices.Contains(onTop, top) {
			continue
		}
		named := false
		for _, r := range rules {
			named = named || r.Names(path.Join(p.rel(), p.GoFiles[0]))
		}
		if !named {
			t.Errorf("package %s is named by no depguard rule of .golangci.yml", p.rel())
		}
	}
}

// TestArrows plants each arrow of docs/architecture.md, and each arrow that it forbids, and asks the rules. It is what
// keeps an edit of .golangci.yml from opening a door unseen.
func TestArrows(t *testing.T) {
	rules := load(t)
	pkgs := list(t)
	module := pkgs[0].Module.Path
	for _, tt := range []struct {
		file    string
		allowed string
		refused string
	}{
		{file: "jid/jid.go", allowed: "golang.org/x/text", refused: "xmltree stanza router storage xmpptest"},
		{file: "xmltree/parse.go", refused: "jid stanza router"},
		{file: "sasl/scram.go", refused: "jid xmltree stanza storage net encoding/xml"},
		{file: "admin/admin.go", allowed: "net/http", refused: "app gateway component storage"},
		{file: "stanza/iq.go", allowed: "jid xmltree", refused: "router internal/xmlstream component xep/form storage"},
		{file: "router/router.go", allowed: "jid xmltree stanza", refused: "component client internal/xmlstream disco storage app"},
		{file: "internal/xmlstream/writer.go", allowed: "jid xmltree stanza", refused: "router component client storage"},
		{file: "component/serve.go", allowed: "jid xmltree stanza internal/xmlstream", refused: "router client disco sasl storage gateway app"},
		{file: "client/serve.go", allowed: "jid xmltree stanza internal/xmlstream sasl storage", refused: "router component disco storage/sqlite"},
		{file: "xep/form/form.go", allowed: "stanza jid xmltree", refused: "router disco xep/muc storage"},
		{file: "xep/rsm/rsm.go", allowed: "stanza", refused: "router disco"},
		{file: "xep/delay/delay.go", allowed: "stanza jid", refused: "router disco"},
		{file: "disco/info.go", allowed: "stanza router storage xep/form xep/rsm xep/delay", refused: "xep/muc component delegation privilege gateway storage/postgres internal/xmlstream"},
		{file: "roster/roster.go", allowed: "jid xmltree stanza router internal/replica", refused: "client component disco storage internal/xmlstream app"},
		{file: "delegation/serve.go", allowed: "disco router storage xep/form", refused: "privilege component gateway storage/postgres"},
		{file: "privilege/roster.go", allowed: "disco router storage xep/delay", refused: "delegation component app"},
		{file: "presence/manager.go", allowed: "disco router storage stanza", refused: "privilege component client gateway app xep/muc storage/postgres"},
		{file: "xep/muc/muc.go", allowed: "disco router storage stanza xep/form xep/delay", refused: "component client gateway app delegation"},
		{file: "storage/storage.go", allowed: "jid", refused: "stanza storage/postgres storage/sqlite migrations disco"},
		{file: "storage/postgres/open.go", allowed: "jid storage migrations github.com/jackc/pgx/v5/pgxpool", refused: "stanza router outbox"},
		{file: "storage/sqlite/open.go", allowed: "jid storage migrations", refused: "stanza github.com/jackc/pgx/v5"},
		{file: "storage/storagetest/run.go", allowed: "storage jid testing"},
		{file: "migrations/migrations.go", allowed: "github.com/jackc/pgx/v5", refused: "jid storage app"},
		{file: "outbox/enqueue.go", allowed: "storage stanza jid xmltree", refused: "component client router storage/postgres github.com/jackc/pgx/v5"},
		{file: "gateway/network.go", allowed: "router stanza disco delegation privilege xep/muc storage outbox client", refused: "app cmd/gateway admin component internal/xmppserver storage/postgres migrations"},
		{file: "app/app.go", allowed: "gateway component router disco admin storage/postgres storage/sqlite migrations internal/doctor go.uber.org/fx", refused: "cmd/gateway examples/echo internal/xmppserver xmpptest github.com/jackc/pgx/v5"},
		{file: "app/demo.go", allowed: "internal/xmppserver"},
		{file: "cmd/gateway/main.go", allowed: "app gateway internal/xmppserver go.uber.org/fx examples/echo", refused: "servertest"},
		{file: "examples/echo/main.go", allowed: "app gateway go.uber.org/fx router", refused: "xmpptest internal/xmppserver"},
		{file: "internal/xmpptool/tool.go", allowed: "client disco sasl router xep/ping internal/doctor internal/xmlstream", refused: "app component gateway storage go.uber.org/fx cmd/xmpp internal/xmppserver xmpptest"},
		{file: "internal/doctor/doctor.go", allowed: "component disco", refused: "app gateway go.uber.org/fx cmd/gateway"},
		{file: "internal/xmppserver/server.go", allowed: "jid xmltree stanza sasl internal/xmlstream xep/delay", refused: "component client router gateway app"},
		{file: "xmpptest/xmpptest.go", allowed: "internal/xmppserver stanza testing", refused: "component client router app"},
		{file: "servertest/prosody.go", allowed: "github.com/testcontainers/testcontainers-go testing", refused: "component stanza app"},
		{file: "component/weak.go", allowed: "crypto/rand", refused: "math/rand math/rand/v2 testing go.uber.org/fx xmpptest servertest"},
		{file: "component/component_test.go", allowed: "xmpptest servertest router math/rand testing"},
		{file: "examples/echo/main_test.go", allowed: "xmpptest"},
	} {
		t.Run(tt.file, func(t *testing.T) {
			ask := func(imp string) string {
				if ours(imp) {
					imp = module + "/" + imp
				}
				for _, r := range rules {
					if r.Covers(tt.file) {
						if why := r.Refuses(imp); why != "" {
							return r.Name + ": " + why
						}
					}
				}
				return ""
			}
			for _, imp := range strings.Fields(tt.allowed) {
				if why := ask(imp); why != "" {
					t.Errorf("%s may import %s, but is refused by %s", tt.file, imp, why)
				}
			}
			for _, imp := range strings.Fields(tt.refused) {
				if ask(imp) == "" {
					t.Errorf("%s must not import %s, but no rule refuses it", tt.file, imp)
				}
			}
		})
	}
}

// ours tells our own folders, written short in TestArrows, from the standard library and from other modules.
func ours(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	if strings.Contains(first, ".") {
		return false
	}
	switch first {
	case "net", "math", "crypto", "encoding", "testing":
		return false
	}
	return true
}

// imports are the paths that a file imports.
func imports(t *testing.T, file string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p)
	}
	return paths
}
