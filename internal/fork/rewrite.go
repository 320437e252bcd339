package main

import (
	"bytes"
	"context"
	"fmt"
	"go/format"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// make carries the plan out.
func (f *fork) make(ctx context.Context) error {
	for _, name := range f.files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f.file(name); err != nil {
			return err
		}
	}
	if f.dir == f.root {
		for _, e := range f.examples {
			if err := os.RemoveAll(filepath.Join(f.root, "examples", e)); err != nil {
				return err
			}
		}
	}
	if f.replaceFrontMatter {
		return f.frontMatter()
	}
	return nil
}

// file brings one file to its place in the fork, rewritten.
func (f *fork) file(name string) error {
	from := filepath.Join(f.root, filepath.FromSlash(name))
	to := filepath.Join(f.dir, filepath.FromSlash(f.place(name)))
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil { //nolint:gosec // a source tree is readable
		return err
	}
	if info.Mode()&os.ModeSymlink != 0 {
		target, err := os.Readlink(from)
		if err != nil || from == to {
			return err
		}
		return os.Symlink(target, to)
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	text := f.rewrite(name, data)
	if from == to && bytes.Equal(text, data) {
		return nil
	}
	if err := os.WriteFile(to, text, info.Mode().Perm()); err != nil {
		return err
	}
	if !bytes.Equal(text, data) {
		f.rewritten++
	}
	if f.dir == f.root && from != to {
		if err := os.Remove(from); err != nil {
			return err
		}
		// The last file takes its folder along; a folder with other things in it stays.
		_ = os.Remove(filepath.Dir(from))
	}
	return nil
}

// place is where a file lies in the fork.
func (f *fork) place(name string) string {
	for _, dir := range []string{"cmd/", "docker/"} {
		if rest, ok := strings.CutPrefix(name, dir+f.oldName+"/"); ok {
			return dir + f.name + "/" + rest
		}
	}
	return name
}

// rewrite renames in one file's text. Binary files stay as they are, and so does the licence.
func (f *fork) rewrite(name string, data []byte) []byte {
	if name == "LICENSE" || bytes.IndexByte(data, 0) >= 0 {
		return data
	}
	text := f.renameModule(string(data))
	if !strings.HasPrefix(name, "internal/fork/") { // whose tests fork trees that are still called gateway
		text = f.renameFolders(text)
	}
	switch {
	case path.Ext(name) == ".md":
		text = f.withoutExamples(f.renameCommands(text)) // its links to Postern come after the renaming
	case deploys(name):
		text = f.renameService(text)
	case path.Ext(name) == ".go" && strings.HasPrefix(name, "cmd/"+f.oldName+"/"):
		text = f.renameProgram(text)
	}
	if path.Ext(name) == ".go" && text != string(data) {
		// A longer import path moves the comments behind it.
		if formatted, err := format.Source([]byte(text)); err == nil {
			text = string(formatted)
		}
	}
	return []byte(text)
}

// renameModule replaces the module's path, which no other path continues.
func (f *fork) renameModule(text string) string {
	old := regexp.MustCompile(regexp.QuoteMeta(f.oldModule) + `([^A-Za-z0-9_~-]|$)`)
	return old.ReplaceAllString(text, strings.ReplaceAll(f.module, "$", "$$")+"$1")
}

// renameFolders replaces the folders that carry the program's name.
func (f *fork) renameFolders(text string) string {
	old := regexp.MustCompile(`\b(cmd|docker)/` + regexp.QuoteMeta(f.oldName) + `\b`)
	return old.ReplaceAllString(text, "${1}/"+f.name)
}

// deploys is true for the files in which the program's bare name is the program, its image or its service. Elsewhere
// "gateway" is a package and a word.
func deploys(name string) bool {
	return strings.HasPrefix(name, "docker/") || strings.HasPrefix(name, "docker-compose") ||
		strings.HasPrefix(name, "scripts/") || strings.HasPrefix(name, ".ci/") ||
		slices.Contains([]string{"Makefile", ".gitignore", ".dockerignore", "compose.yaml", "compose.yml"}, name)
}

// renameProgram replaces the name where it is a string of its own, begins a message, or says what the program is.
func (f *fork) renameProgram(text string) string {
	old := regexp.MustCompile(`("|"Usage: |// Program )` + regexp.QuoteMeta(f.oldName) + `("|: | )`)
	return old.ReplaceAllString(text, "${1}"+f.name+"${2}")
}

// renameService replaces the name where it stands for itself (a service, a binary, a host's first label, the compose
// project) or before a hyphen (a second service), and the images that carry it or ours. "docker/gateway" and the like
// are folders, and "x-gateway" is an extension of the compose file.
func (f *fork) renameService(text string) string {
	owners := []string{f.oldName}
	if f.replaceFrontMatter {
		owners = append(owners, "postern")
	}
	for _, owner := range owners {
		for _, image := range []string{"prosody", "ejabberd", "postgres"} {
			text = replaceName(text, owner+"/"+image, f.name+"/"+image)
		}
		text = replaceName(text, owner+"/"+f.oldName, f.name)
		text = replaceName(text, "-p "+owner, "-p "+f.name)
	}
	return replaceName(text, f.oldName, f.name)
}

// replaceName replaces a name wherever no longer name, host or path begins before it or goes on behind it.
func replaceName(text, old, name string) string {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, old)
		if !found {
			out.WriteString(text)
			return out.String()
		}
		out.WriteString(before)
		// What was written ends as before does, unless before is empty: then it ends with the name just replaced.
		done := out.String()
		begins := done == "" || !partOfName(done[len(done)-1], "._-") || strings.HasSuffix(done, ":-") // ${IMAGE:-gateway}
		ends := after == "" || !partOfName(after[0], "_/")
		if begins && ends {
			out.WriteString(name)
		} else {
			out.WriteString(old)
		}
		text = after
	}
}

func partOfName(c byte, marks string) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(marks, c) >= 0
}

// renameCommands replaces the program's name in the documentation where it is a command: in a code span, or at the
// beginning of a line in a block.
func (f *fork) renameCommands(text string) string {
	old := regexp.MustCompile("(?m)(`|^\\s*(?:\\$ )?(?:\\./)?|/bin/)" + regexp.QuoteMeta(f.oldName) + "( +(?:-|[a-z]))")
	lines := strings.Split(text, "\n")
	fenced := false
	for i, line := range lines {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		if fenced || strings.Contains(line, "`"+f.oldName+" ") {
			lines[i] = old.ReplaceAllString(line, "${1}"+f.name+"${2}")
		}
	}
	return strings.Join(lines, "\n")
}

var directive = regexp.MustCompile(`^<!--\s*(?:snippet|file):\s*examples/([^/\s]+)/`)

// withoutExamples removes the code blocks that show removed examples, and points links at where they still are.
func (f *fork) withoutExamples(text string) string {
	var kept []string
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		m := directive.FindStringSubmatch(strings.TrimSpace(lines[i]))
		if m == nil || !slices.Contains(f.examples, m[1]) {
			kept = append(kept, lines[i])
			continue
		}
		kept = append(kept, fmt.Sprintf("(Left out here: see `examples/%s` of Postern, https://%s.)", m[1], upstream))
		for i++; i+1 < len(lines) && strings.TrimSpace(lines[i+1]) != "```"; i++ {
		}
		i++
	}
	text = strings.Join(kept, "\n")
	for _, e := range f.examples {
		link := regexp.MustCompile(`\]\([./]*examples/` + regexp.QuoteMeta(e) + `(/[^)]*)?\)`)
		text = link.ReplaceAllString(text, "](https://"+upstream+"/tree/main/examples/"+e+"$1)")
	}
	return text
}

// frontMatter gives the fork a README and a CHANGELOG of its own.
func (f *fork) frontMatter() error {
	readme := fmt.Sprintf("# %s\n\nAn XMPP gateway, built on [Postern](https://%s).\n\n"+
		"```sh\nmake run        # everything in one process, with a server of its own\nmake test-unit  # needs only Go\nmake            # all tasks\n```\n\n"+
		"The network behind it begins in [examples/%s](examples/%s). How the tree is laid out is in\n"+
		"[docs/architecture.md](docs/architecture.md).\n", f.name, upstream, f.example, f.example)
	changelog := "# Changelog\n\nIn the form of [Keep a Changelog](https://keepachangelog.com/en/1.1.0/).\n\n## [Unreleased]\n\n### Added\n\n" +
		"- " + f.name + ", a fork of Postern (https://" + upstream + ").\n"
	for name, text := range map[string]string{"README.md": readme, "CHANGELOG.md": changelog} {
		if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o644); err != nil { //nolint:gosec // as above
			return err
		}
	}
	return nil
}
