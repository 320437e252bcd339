package archtest_test

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestLinkerDropsWhatNobodyCalls has the linker say what it found in each program. A function that takes methods by names which
// are not known before, as text/template does, makes it keep every exported method of every type: that would add 2.5 MiB to what an idle
// gateway takes.
func TestLinkerDropsWhatNobodyCalls(t *testing.T) {
	if testing.Short() {
		t.Skip("links the programs")
	}
	for _, p := range programs(t) {
		t.Run(p.rel(), func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "go", "build", "-tags", "fallbackroots", "-trimpath", "-ldflags=-dumpdep", "-o", filepath.Join(t.TempDir(), "program"), p.ImportPath)
			cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0") // as it is shipped
			var dump bytes.Buffer
			cmd.Stderr = &dump // the linker writes "caller -> callee" to it
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v\n%s", err, dump.String()[:min(dump.Len(), 4096)])
			}
			calls, callers := 0, make(map[string]bool)
			for lines := bufio.NewScanner(&dump); lines.Scan(); {
				caller, _, ok := strings.Cut(lines.Text(), " -> ")
				if !ok {
					continue
				}
				calls++
				if name, marked := strings.CutSuffix(caller, " <ReflectMethod>"); marked {
					callers[name] = true
				}
			}
			if calls < 1000 {
				t.Fatalf("the linker told of %d calls", calls)
			}
			for name := range callers {
				t.Errorf("%s takes methods by name, and is called: leave out what brings it", name)
			}
		})
	}
}

// programs returns the programs of cmd.
func programs(t *testing.T) (found []pkg) {
	t.Helper()
	for _, p := range list(t) {
		if strings.HasPrefix(p.rel(), "cmd/") {
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		t.Fatal("there is no program")
	}
	return found
}

// TestRootsAreInTheImage: authorities are in the program of the image, which finds none where it runs, and cost nothing elsewhere.
func TestRootsAreInTheImage(t *testing.T) {
	const roots, tag = "golang.org/x/crypto/x509roots/fallback", "fallbackroots"
	deps := func(args ...string) []string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-deps"}, args...)...)
		cmd.Dir = root
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(out))
	}
	const program = "./cmd/gateway"
	if slices.Contains(deps(program), roots) {
		t.Errorf("%s has authorities without the tag %s", program, tag)
	}
	if !slices.Contains(deps("-tags", tag, program), roots) {
		t.Errorf("%s has no authorities with the tag %s", program, tag)
	}
	script, err := os.ReadFile(filepath.Join(root, "scripts", "image.sh"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(script), "go build -tags "+tag+" ") {
		t.Errorf("scripts/image.sh builds without the tag %s", tag)
	}
}
