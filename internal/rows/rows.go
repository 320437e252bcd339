// Package rows reads docs/guarantees.md, the list of attacks and faults that the project answers for, and finds the
// tests that carry a row's id in their names.
package rows

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// File is the list's place, from the module's root.
const File = "docs/guarantees.md"

// An ID is a row's name in its canonical form, such as "SEC-23" or "FLT-04".
type ID string

// A Row is one promise.
type Row struct {
	ID      ID
	Promise string
	// NoTest says why the row needs no test, and NoGuard why there is no line whose removal its test could notice; ""
	// means that it needs one. A row without test has no guard either.
	NoTest, NoGuard string
	Line            int
}

// ErrList means that docs/guarantees.md cannot be read as a list of rows.
var ErrList = errors.New("rows: bad list")

var idPattern = regexp.MustCompile(`(SEC|FLT)-?([0-9]+)`)

// IDs returns the ids that a name carries, in the order of their appearance: "SEC23", "SEC-23" and "SEC-023" are the same.
func IDs(name string) []ID {
	var ids []ID
	for _, m := range idPattern.FindAllStringSubmatch(name, -1) {
		n, err := strconv.Atoi(m[2])
		if err != nil {
			continue // more digits than an int holds is no id of ours
		}
		ids = append(ids, ID(fmt.Sprintf("%s-%02d", m[1], n)))
	}
	return ids
}

// List reads the rows of a Markdown file: the lines of its tables whose first cell is an id. The cells are id, promise
// and exception; an exception reads "test: why none is needed" or "guard: why there is none".
func List(path string) ([]Row, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("rows: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	var list []Row
	seen := make(map[ID]int)
	scan := bufio.NewScanner(f)
	for n := 1; scan.Scan(); n++ {
		cells := strings.Split(strings.Trim(scan.Text(), "| "), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		ids := IDs(cells[0])
		if !strings.HasPrefix(scan.Text(), "|") || len(ids) == 0 {
			continue
		}
		row := Row{ID: ids[0], Line: n}
		switch {
		case len(ids) > 1 || string(row.ID) != cells[0]:
			return nil, fmt.Errorf("%w: %s:%d: the first cell must be one id, such as SEC-07", ErrList, path, n)
		case seen[row.ID] != 0:
			return nil, fmt.Errorf("%w: %s:%d: %s is on line %d already", ErrList, path, n, row.ID, seen[row.ID])
		case len(cells) < 2 || cells[1] == "":
			return nil, fmt.Errorf("%w: %s:%d: %s promises nothing", ErrList, path, n, row.ID)
		case len(cells) > 3:
			return nil, fmt.Errorf("%w: %s:%d: %s has more than three cells", ErrList, path, n, row.ID)
		}
		row.Promise = cells[1]
		if len(cells) == 3 && cells[2] != "" {
			kind, why, _ := strings.Cut(cells[2], ":")
			why = strings.TrimSpace(why)
			switch {
			case kind == "test" && why != "":
				row.NoTest, row.NoGuard = why, why
			case kind == "guard" && why != "":
				row.NoGuard = why
			default:
				return nil, fmt.Errorf(`%w: %s:%d: an exception reads "test: reason" or "guard: reason"`, ErrList, path, n)
			}
		}
		seen[row.ID] = n
		list = append(list, row)
	}
	if err := scan.Err(); err != nil {
		return nil, fmt.Errorf("rows: %w", err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: %s holds no row", ErrList, path)
	}
	return list, nil
}
