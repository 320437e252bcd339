package settings

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-im/postern/internal/spelling"
)

// Environ takes the values of environment variables, which are given as in os.Environ. An empty variable counts as not set,
// since that is what container tools make of one that was not given.
//
// It returns the variables that begin with the prefix and are one slip away from a setting's: they are not refused, because
// others put variables of that form into the environment as well (Kubernetes does for a service of that name).
func (s *Set) Environ(prefix string, environ []string) (slips []string) {
	known := make(map[string]*Field, len(s.fields))
	var names []string
	for _, f := range s.fields {
		known[f.Env(prefix)] = f
		names = append(names, f.Env(prefix))
	}
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		f := known[name]
		switch {
		case f != nil && value != "":
			if err := f.put(value, LayerEnv, name); err != nil {
				s.add(name, f.Key, err)
			}
		case f == nil && strings.HasPrefix(name, prefix+"_"):
			if near := spelling.Nearest(name, names); near != "" && spelling.Distance(name, near) <= 2 {
				slips = append(slips, fmt.Sprintf("%s is not known; did you mean %s?", name, near))
			}
		}
	}
	slices.Sort(slips)
	return slips
}

// Flags takes the values of flags, which are given by their names without dashes. Names that are no setting's are left alone.
func (s *Set) Flags(given map[string]string) {
	for _, f := range s.fields {
		text, ok := given[f.Flag()]
		if !ok {
			continue
		}
		if err := f.put(text, LayerFlag, "--"+f.Flag()); err != nil {
			s.add("--"+f.Flag(), f.Key, err)
		}
	}
}
