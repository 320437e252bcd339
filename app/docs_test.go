package app

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/postern-im/postern/internal/settings"
)

const operate = "../docs/operate.md"

// TestSettingsAreDocumented holds the table of docs/operate.md against Config; -update writes it.
func TestSettingsAreDocumented(t *testing.T) {
	var table strings.Builder
	table.WriteString("| setting | default | meaning |\n|---|---|---|\n")
	cfg := Defaults()
	for _, f := range settings.New(&cfg).Fields() {
		def := ""
		if v := reflect.ValueOf(f.Any()); !v.IsZero() {
			def = fmt.Sprintf("`%v`", f.Any())
		}
		_, _ = fmt.Fprintf(&table, "| `%s` | %s | %s |\n", f.Key, def, f.Help())
	}
	const begin, end = "<!-- settings: begin -->\n", "<!-- settings: end -->\n"
	data, err := os.ReadFile(operate)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(data), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("the page has lost its marks")
	}
	want := head + begin + table.String() + end + tail
	if string(data) == want {
		return
	}
	if !*update {
		t.Fatalf("the table of settings in %s is not up to date; -update writes it", operate)
	}
	if err := os.WriteFile(operate, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestDocumentedMetricsExist looks for the metrics and exit codes of docs/operate.md in the program.
func TestDocumentedMetricsExist(t *testing.T) {
	data, err := os.ReadFile(operate)
	if err != nil {
		t.Fatal(err)
	}
	s := server(t)
	r := run(t, echo(), s)
	c := s.Component(s.Domain)
	c.Connected()
	c.Send(`<message from="test@localhost/a" to="gateway.localhost" type="chat"><body>hello</body></message>`)
	c.ExpectXML(`<message to="test@localhost/a" from="gateway.localhost" type="chat"><body>hello</body></message>`)
	_, body := r.get("/metrics")
	found := 0
	for word := range strings.FieldsFuncSeq(string(data), func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }) {
		if strings.HasPrefix(word, "postern_") {
			found++
			if !strings.Contains(body, "\n"+word) {
				t.Errorf("there is no metric %s", word)
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d metrics are documented", found)
	}
	for code, name := range map[int]string{ExitOK: "ended in order", ExitFailure: "failure", ExitConfig: "wrong command line", ExitRefused: "refuses the secret"} {
		if !strings.Contains(string(data), fmt.Sprintf("| %d | %s", code, name)) && !strings.Contains(string(data), fmt.Sprintf("| %d | the server %s", code, name)) {
			t.Errorf("exit code %d is not documented", code)
		}
	}
}
