package migrations

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
)

//go:embed */*.sql
var embedded embed.FS

// Migration is one step of the schema.
type Migration struct {
	Version    int
	Name       string // what it does, from the name of its file
	Compatible int    // the oldest schema whose programs can use what it makes
}

// String returns number and name.
func (m Migration) String() string { return fmt.Sprintf("%d %s", m.Version, m.Name) }

// files are the migrations of one engine.
type files struct {
	fsys fs.FS
	list []Migration // in order
}

// known is the newest version; 0 if there is none.
func (f files) known() int {
	if len(f.list) == 0 {
		return 0
	}
	return f.list[len(f.list)-1].Version
}

// find returns the migration of that version.
func (f files) find(version int) Migration {
	if i := slices.IndexFunc(f.list, func(m Migration) bool { return m.Version == version }); i >= 0 {
		return f.list[i]
	}
	return Migration{Version: version, Name: "unknown"}
}

var (
	fileName   = regexp.MustCompile(`^([0-9]+)_([a-z0-9_]+)\.(up|down)\.sql$`)
	compatible = regexp.MustCompile(`^-- compatible: ([0-9]+)\s*\n`)
	// transactions are the statements that would end ours. PL/pgSQL's BEGIN and END stand without, or with more than, these.
	transactions = regexp.MustCompile(`(?im)^\s*(begin|start\s+transaction|commit|rollback|abort)(\s+(work|transaction|immediate|exclusive))?\s*;`)
)

// load reads the migrations of an engine and refuses those that cannot be kept to what the package promises.
func load(e Engine, fsys fs.FS) (files, error) {
	var err error
	if fsys == nil {
		if fsys, err = fs.Sub(embedded, string(e)); err != nil {
			return files{}, fmt.Errorf("migrations: %w", err)
		}
	}
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return files{}, fmt.Errorf("migrations: %w", err)
	}
	f := files{fsys: fsys}
	halves := make(map[int]int)
	for _, entry := range entries {
		parts := fileName.FindStringSubmatch(entry.Name())
		if parts == nil {
			return files{}, fmt.Errorf("migrations: %s: the name is not NNN_what_it_does.up.sql or .down.sql", entry.Name())
		}
		body, err := fs.ReadFile(fsys, entry.Name())
		if err != nil {
			return files{}, fmt.Errorf("migrations: %w", err)
		}
		if found := transactions.Find(body); found != nil {
			return files{}, fmt.Errorf("migrations: %s: %s: a migration is in a transaction already", entry.Name(), bytes.TrimSpace(found))
		}
		version, err := strconv.Atoi(parts[1])
		if err != nil || version == 0 {
			return files{}, fmt.Errorf("migrations: %s: the number is not one", entry.Name())
		}
		halves[version]++
		if parts[3] == "down" {
			continue
		}
		m := Migration{Version: version, Name: parts[2], Compatible: version}
		if mark := compatible.FindSubmatch(body); mark != nil {
			if m.Compatible, err = strconv.Atoi(string(mark[1])); err != nil || m.Compatible > version {
				return files{}, fmt.Errorf("migrations: %s: it cannot be compatible with schema %s", entry.Name(), mark[1])
			}
		}
		f.list = append(f.list, m)
	}
	slices.SortFunc(f.list, func(a, b Migration) int { return a.Version - b.Version })
	for i, m := range f.list {
		if halves[m.Version] != 2 {
			return files{}, fmt.Errorf("migrations: %d has %d files instead of one up and one down", m.Version, halves[m.Version])
		}
		if i > 0 && f.list[i-1].Version == m.Version {
			return files{}, fmt.Errorf("migrations: %s and %s have the same number", f.list[i-1], m)
		}
	}
	if len(halves) != len(f.list) {
		return files{}, fmt.Errorf("migrations: a migration has no file that applies it")
	}
	return f, nil
}
