package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/postern-im/postern/internal/spelling"
)

// maxFile is how large a configuration file may be, in bytes.
const maxFile = 1 << 20

// maxListed is how many settings a message lists at most.
const maxListed = 10

// ReadFile takes the values of a YAML file. What is wrong with it is noted as problems.
func (s *Set) ReadFile(name string) {
	f, err := os.Open(name)
	if err != nil {
		var pe *os.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		s.unreadable = true
		s.add(name, "", err)
		return
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		s.add(name, "", err)
	case len(data) > maxFile:
		s.add(name, "", fmt.Errorf("larger than %d bytes", maxFile))
	default:
		s.YAML(name, data)
	}
}

// YAML takes the values of one YAML document. Unknown keys, keys that are there twice, values of the wrong kind and further
// documents are problems.
//
// The document is read as nodes and not straight into the struct (yaml.Decoder.KnownFields), since only nodes know the line
// of each key, and since all problems are to be found at once.
func (s *Set) YAML(name string, data []byte) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF): // empty, or comments alone
		return
	case err != nil:
		s.syntax(name, err)
		return
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		if err != nil {
			s.syntax(name, err)
			return
		}
		s.unreadable = true
		s.add(at(name, &more), "", errors.New("a second YAML document"))
		return
	}
	root := doc.Content[0]
	switch {
	case root.Kind == yaml.ScalarNode && root.Tag == "!!null":
	case root.Kind != yaml.MappingNode:
		s.unreadable = true
		s.add(at(name, root), "", fmt.Errorf("%s in place of a mapping of settings", kind(root)))
	default:
		s.mapping(name, "", root)
	}
}

// mapping takes a mapping that stands under the key prefix, which is empty or ends in a dot.
func (s *Set) mapping(name, prefix string, n *yaml.Node) {
	seen := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		key := prefix + k.Value
		where := at(name, k)
		if k.Kind != yaml.ScalarNode || k.Value == "" || k.Value == "<<" {
			s.add(where, strings.TrimSuffix(prefix, "."), fmt.Errorf("%s cannot be a key", kind(k)))
			continue
		}
		if line, ok := seen[k.Value]; ok {
			s.add(where, key, fmt.Errorf("there is one in line %d already", line))
			continue
		}
		seen[k.Value] = k.Line
		if v.Kind == yaml.AliasNode {
			v = v.Alias
		}
		field := s.byKey[key]
		switch {
		case field != nil:
			if err := field.node(v, where); err != nil {
				s.add(where, key, err)
			}
		case !s.groups[key]:
			s.unknown(where, prefix, k.Value)
		case v.Kind == yaml.MappingNode:
			s.mapping(name, key+".", v)
		case v.Kind == yaml.ScalarNode && v.Tag == "!!null": // a section whose settings are all commented out
		default:
			s.add(where, key, fmt.Errorf("%s in place of a mapping of settings", kind(v)))
		}
	}
}

// unknown notes a key that does not exist, with the one that may be meant.
func (s *Set) unknown(where, prefix, name string) {
	var here, leaves []string
	for key := range s.all() {
		if rest, ok := strings.CutPrefix(key, prefix); ok && !strings.Contains(rest, ".") {
			here = append(here, rest)
		}
		if strings.HasSuffix(key, "."+name) {
			leaves = append(leaves, key)
		}
	}
	slices.Sort(here)
	slices.Sort(leaves)
	hint := ""
	if near := spelling.Nearest(name, here); near != "" {
		hint = fmt.Sprintf("; did you mean %s?", near)
	} else if len(leaves) > 0 {
		hint = fmt.Sprintf("; did you mean %s?", leaves[0])
	} else if len(here) <= maxListed {
		hint = "; there are " + strings.Join(here, ", ")
	}
	s.add(where, prefix+name, errors.New("unknown setting"+hint))
}

// all yields the keys of settings and of the structs around them.
func (s *Set) all() func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range s.byKey {
			if !yield(k) {
				return
			}
		}
		for k := range s.groups {
			if !yield(k) {
				return
			}
		}
	}
}

// node takes the value from a YAML node.
func (f *Field) node(n *yaml.Node, origin string) error {
	if n.Kind == yaml.SequenceNode && f.value.Kind() == reflect.Slice {
		items := reflect.MakeSlice(f.value.Type(), 0, len(n.Content))
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode || item.Tag == "!!null" {
				return fmt.Errorf("%s in place of an item", kind(item))
			}
			items = reflect.Append(items, reflect.ValueOf(item.Value).Convert(f.value.Type().Elem()))
		}
		f.value.Set(items)
		f.Layer, f.Origin = LayerFile, origin
		return nil
	}
	switch {
	case n.Kind != yaml.ScalarNode:
		return fmt.Errorf("%s in place of a value", kind(n))
	case n.Tag == "!!null": // "key:" with nothing behind it: somebody forgot the value
		return errors.New("no value")
	}
	return f.put(n.Value, LayerFile, origin)
}

// yamlLine finds the place in an error of the YAML parser.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

// syntax notes an error of the YAML parser.
func (s *Set) syntax(name string, err error) {
	s.unreadable = true
	m := yamlLine.FindStringSubmatch(err.Error())
	if m == nil {
		s.add(name, "", err)
		return
	}
	if m[1] != "" {
		name += ":" + m[1]
	}
	s.add(name, "", errors.New("not YAML: "+m[2]))
}

func at(name string, n *yaml.Node) string { return fmt.Sprintf("%s:%d", name, n.Line) }

// kind says what a node is.
func kind(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.AliasNode:
		return "an alias"
	case n.Tag == "!!null" || n.Value == "":
		return "nothing"
	}
	return quote(n.Value)
}
