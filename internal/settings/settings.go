// Package settings fills a struct from a YAML file, the environment and the command line, in this order, and remembers
// where each value came from, so that whoever finds one wrong can say where it stands.
//
// A setting is an exported field; its key is the yaml tag, joined with dots through the structs around it:
//
//	component.domain     in the file, as a key in the mapping "component"
//	POSTERN_COMPONENT_DOMAIN
//	--component-domain
//
// A field's type is a string, boolean, integer, time.Duration, []string, or what implements encoding.TextUnmarshaler. Further tags say
// more of it: help what it is for, placeholder what its value is called; secret:"true" that no message may repeat it, and that it has
// no flag. The struct around it may have the tag group, a title under which its settings are shown.
package settings

import (
	"cmp"
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Set is a struct that is being filled. It is made by [New].
type Set struct {
	fields     []*Field
	byKey      map[string]*Field
	groups     map[string]bool // keys of the structs around fields
	problems   Problems
	unreadable bool
}

// Field is one setting.
type Field struct {
	Key    string // such as component.domain
	Layer  Layer
	Origin string // where the value came from: "gateway.yaml:3", "POSTERN_LOG_LEVEL", "--log-level", or "" for the default
	value  reflect.Value
	tag    reflect.StructTag
	group  string
}

// Layer orders the places that values come from: a later one overrides an earlier one.
type Layer uint8

// The layers.
const (
	LayerDefault Layer = iota
	LayerFile
	LayerEnv
	LayerFlag
)

// New returns the set of settings of a struct that holds the defaults: v is a pointer to it. Further structs can be added
// under names of their own with Section.
func New(v any) *Set {
	s := &Set{byKey: make(map[string]*Field), groups: make(map[string]bool)}
	s.walk("", "", reflect.ValueOf(v).Elem())
	return s
}

// Section adds the settings of another struct under a name. It fails when the name is taken.
func (s *Set) Section(name string, v any) error {
	if s.groups[name] || s.byKey[name] != nil {
		return fmt.Errorf("settings: there is a section %q already", name)
	}
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("settings: section %q: %T is not a pointer to a struct", name, v)
	}
	s.groups[name] = true
	s.walk(name+".", "", p.Elem())
	return nil
}

func (s *Set) walk(prefix, group string, v reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if !f.IsExported() || name == "" || name == "-" {
			continue
		}
		key := prefix + name
		if f.Type.Kind() == reflect.Struct && !isText(v.Field(i)) {
			s.groups[key] = true
			s.walk(key+".", cmp.Or(f.Tag.Get("group"), group), v.Field(i))
			continue
		}
		field := &Field{Key: key, value: v.Field(i), tag: f.Tag, group: group}
		s.fields = append(s.fields, field)
		s.byKey[key] = field
	}
}

func isText(v reflect.Value) bool {
	_, ok := v.Addr().Interface().(encoding.TextUnmarshaler)
	return ok
}

// Fields returns all settings, in the order of the struct.
func (s *Set) Fields() []*Field { return s.fields }

// Field returns the setting with this key. It panics when there is none, which is a mistake in the program.
func (s *Set) Field(key string) *Field {
	f := s.byKey[key]
	if f == nil {
		panic("settings: no setting " + key)
	}
	return f
}

// Env returns the name of the environment variable for the setting.
func (f *Field) Env(prefix string) string {
	return prefix + "_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(f.Key))
}

// Flag returns the name of the flag for the setting, without dashes.
func (f *Field) Flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(f.Key) }

// Secret reports whether the value is none to be shown.
func (f *Field) Secret() bool { return f.tag.Get("secret") == "true" }

// Help says what the setting is for, in a sentence.
func (f *Field) Help() string { return f.tag.Get("help") }

// Group returns the title under which the setting is shown, or "".
func (f *Field) Group() string { return f.group }

// Placeholder returns what a value is called in a help.
func (f *Field) Placeholder() string { return f.tag.Get("placeholder") }

// IsBool reports whether the setting is a switch.
func (f *Field) IsBool() bool { return f.value.Kind() == reflect.Bool }

// IsList reports whether the setting may have several values, which commas divide.
func (f *Field) IsList() bool { return f.value.Kind() == reflect.Slice }

// Any returns the value.
func (f *Field) Any() any { return f.value.Interface() }

// Where says where the value came from, for the reader of an error.
func (f *Field) Where() string {
	if f.Origin == "" {
		return "default"
	}
	return f.Origin
}

// put takes the value from text.
func (f *Field) put(text string, layer Layer, origin string) error {
	if err := parse(f.value, text); err != nil {
		if f.Secret() {
			return fmt.Errorf("not a valid value") // the value itself stays out of messages
		}
		return err
	}
	f.Layer, f.Origin = layer, origin
	return nil
}

// Check reports whether the setting could have this value. It changes nothing.
func (f *Field) Check(text string) error { return parse(reflect.New(f.value.Type()).Elem(), text) }

// parse sets v from text.
func parse(v reflect.Value, text string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%s is not a duration, such as 30s or 1m30s", quote(text))
		}
		v.SetInt(int64(d))
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		switch text {
		case "true":
			v.SetBool(true)
		case "false":
			v.SetBool(false)
		default:
			return fmt.Errorf("%s is neither true nor false", quote(text))
		}
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("%s is not a whole number", quote(text))
		}
		v.SetInt(n)
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.String:
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				v.Set(reflect.Append(v, reflect.ValueOf(item).Convert(v.Type().Elem())))
			}
		}
	default:
		return fmt.Errorf("cannot hold a value: %s", v.Type()) // a mistake in the struct, which its test finds
	}
	return nil
}

// quote shows a value in a message, shortened.
func quote(text string) string {
	const most = 60
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return strconv.Quote(text)
}
