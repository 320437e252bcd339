// Package archtest holds the import direction of docs/architecture.md without the linter: it reads
// the depguard rules of .golangci.yml and applies them to what the packages really import.
package archtest

import (
	"fmt"
	"os"
	"regexp"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Rule is one depguard list: which files it speaks of, and what they may import.
type Rule struct {
	Name  string
	files []pattern
	not   []pattern
	allow []string
	deny  []string
	desc  map[string]string
}

type pattern struct {
	text string
	re   *regexp.Regexp
}

type config struct {
	Linters struct {
		Settings struct {
			Depguard struct {
				Rules map[string]struct {
					ListMode string   `yaml:"list-mode"`
					Files    []string `yaml:"files"`
					Allow    []string `yaml:"allow"`
					Deny     []struct {
						Pkg  string `yaml:"pkg"`
						Desc string `yaml:"desc"`
					} `yaml:"deny"`
				} `yaml:"rules"`
			} `yaml:"depguard"`
		} `yaml:"settings"`
	} `yaml:"linters"`
}

// Load reads the depguard rules of a golangci-lint configuration, sorted by name.
func Load(path string) ([]Rule, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("archtest: %w", err)
	}
	var c config
	if err := yaml.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("archtest: %s: %w", path, err)
	}
	var rules []Rule
	for name, r := range c.Linters.Settings.Depguard.Rules {
		if r.ListMode != "lax" {
			return nil, fmt.Errorf("archtest: rule %s: list mode %q: only lax is understood here", name, r.ListMode)
		}
		rule := Rule{Name: name, allow: r.Allow, desc: make(map[string]string)}
		for _, f := range r.Files {
			text, negated := strings.CutPrefix(f, "!")
			re, err := glob(text)
			if err != nil {
				return nil, fmt.Errorf("archtest: rule %s: %w", name, err)
			}
			if negated {
				rule.not = append(rule.not, pattern{text, re})
			} else {
				rule.files = append(rule.files, pattern{text, re})
			}
		}
		for _, d := range r.Deny {
			rule.deny = append(rule.deny, d.Pkg)
			rule.desc[d.Pkg] = d.Desc
		}
		sort.Strings(rule.allow)
		sort.Strings(rule.deny)
		rules = append(rules, rule)
	}
	sort.Slice(rules, func(i, j int) bool { return rules[i].Name < rules[j].Name })
	return rules, nil
}

// glob turns a depguard file pattern into a regexp over slash-separated paths from the module's root.
func glob(p string) (*regexp.Regexp, error) {
	if p == "$test" {
		return regexp.MustCompile(`_test\.go$`), nil
	}
	p, anchored := strings.CutPrefix(p, "${config-path}/")
	if !anchored {
		return nil, fmt.Errorf("file pattern %q does not start with ${config-path}/: it would match at any depth", p)
	}
	if strings.ContainsAny(p, "?[]{}\\$") {
		return nil, fmt.Errorf("file pattern %q: only * and ** are understood here", p)
	}
	re := regexp.QuoteMeta(p)
	re = strings.ReplaceAll(re, `\*\*`, `.*`)
	re = strings.ReplaceAll(re, `\*`, `[^/]*`)
	return regexp.Compile("^" + re + "$")
}

// Covers tells whether the rule speaks of a file, given by its slash-separated path from the module's root.
func (r Rule) Covers(file string) bool {
	for _, p := range r.not {
		if p.re.MatchString(file) {
			return false
		}
	}
	for _, p := range r.files {
		if p.re.MatchString(file) {
			return true
		}
	}
	return len(r.files) == 0
}

// Names tells whether the rule names the file's folder rather than applying to everything outside some folders.
func (r Rule) Names(file string) bool { return len(r.files) > 0 && r.Covers(file) }

// Refuses returns why the rule forbids an import, or "" if it does not.
func (r Rule) Refuses(imp string) string {
	deny, denied := longestBefore(imp, r.deny)
	if !denied {
		return ""
	}
	if allow, allowed := longestBefore(imp, r.allow); allowed && len(allow) > len(deny) {
		return ""
	}
	return r.desc[deny]
}

// longestBefore looks a path up as depguard does: only the entry that sorts directly before it counts, as a prefix, or
// as the whole path where the entry ends in "$".
func longestBefore(imp string, sorted []string) (string, bool) {
	i := sort.Search(len(sorted), func(i int) bool { return strings.TrimRight(sorted[i], "$") > imp }) - 1
	if i < 0 {
		return "", false
	}
	entry := sorted[i]
	if exact, ok := strings.CutSuffix(entry, "$"); ok {
		return entry, imp == exact
	}
	if !strings.ContainsAny(entry, "./") && strings.Contains(imp, ".") {
		return "", false
	}
	return entry, strings.HasPrefix(imp, entry)
}
