package settings

import (
	"errors"
	"fmt"
	"strings"
)

// Problem is one thing that is wrong with the settings.
type Problem struct { //nolint:errname // a setting has problems; callers see them as one error
	Where string // "gateway.yaml:3", "POSTERN_LOG_LEVEL", "--log-level", or "" where it concerns no place
	Key   string // the setting, or ""
	Msg   string
}

// Error implements error.
func (p Problem) Error() string {
	var parts []string
	for _, part := range []string{p.Where, p.Key, p.Msg} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ": ")
}

// Problems is everything that is wrong, at least one thing.
type Problems []Problem //nolint:errname // as above

// Error implements error, with a line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Err returns all problems found so far, or nil.
func (s *Set) Err() error {
	if len(s.problems) == 0 {
		return nil
	}
	return s.problems
}

// Refuse notes that the setting's value is wrong.
func (s *Set) Refuse(key, format string, args ...any) {
	f := s.Field(key)
	s.problems = append(s.problems, Problem{Where: f.Origin, Key: key, Msg: fmt.Sprintf(format, args...)})
}

// add notes a problem at a place.
func (s *Set) add(where, key string, err error) {
	s.problems = append(s.problems, Problem{Where: where, Key: key, Msg: strings.TrimSpace(err.Error())})
}

// As returns the problems that err consists of.
func As(err error) (Problems, bool) {
	var ps Problems
	ok := errors.As(err, &ps)
	return ps, ok
}

// Unreadable reports whether the file could not be read as settings at all, so that what is missing is not known.
func (s *Set) Unreadable() bool { return s.unreadable }

// Problem notes what is wrong with a whole section.
func (s *Set) Problem(section string, err error) { s.add("", section, err) }

// Refused reports whether a problem with the setting was noted already, so that its value means nothing.
func (s *Set) Refused(key string) bool {
	for _, p := range s.problems {
		if p.Key == key {
			return true
		}
	}
	return false
}
