package stanza

import (
	"encoding/xml"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/postern-im/postern/xmltree"
)

// Payload is an element that travels inside a stanza. Payloads are values, not pointers; see the package documentation.
//
// A received payload that nobody has decoded is an [xmltree.Element].
type Payload interface {
	// PayloadName returns the name of the element. It must work on the zero value.
	PayloadName() xml.Name
}

// Versioned is a payload that exists under several names, such as the versions of a namespace. A handler for it gets all of
// them, and its answer is written in the version of the question.
type Versioned interface {
	Payload
	// PayloadNames returns all names, the preferred one first. It must work on the zero value.
	PayloadNames() []xml.Name
}

// ErrNoPayload is returned where a payload is missing or another one than was asked for.
var ErrNoPayload = errors.New("stanza: no such payload")

// Names returns all names of a payload type.
func Names[T Payload]() []xml.Name {
	var zero T
	if v, ok := any(zero).(Versioned); ok {
		return v.PayloadNames()
	}
	return []xml.Name{zero.PayloadName()}
}

// Decode returns p as a T: p itself where it is one, or decoded from the element that was received. An error is of this
// payload alone.
func Decode[T Payload](p Payload) (T, error) {
	var v T
	var el xmltree.Element
	switch p := p.(type) {
	case nil:
		return v, ErrNoPayload
	case T:
		return p, nil
	case *xmltree.Element:
		el = *p
	case xmltree.Element:
		el = p
	default:
		var err error
		if el, err = Element(p); err != nil {
			return v, err
		}
	}
	if name := el.Name(); !isNamed(v, name) {
		return v, fmt.Errorf("%w: element %s of namespace %q is no %T", ErrNoPayload, name.Local, name.Space, v)
	}
	if err := xmltree.Unmarshal(el, &v); err != nil {
		return v, fmt.Errorf("stanza: payload %s: %w", el.Name().Local, err)
	}
	return v, nil
}

// Find returns the first payload of type T among ps, decoded, and whether there is one.
func Find[T Payload](ps []Payload) (v T, ok bool, err error) {
	for _, p := range ps {
		if p == nil || !isNamed(v, p.PayloadName()) {
			continue
		}
		v, err = Decode[T](p)
		return v, err == nil, err
	}
	return v, false, nil
}

// isNamed reports whether name is one of the names of v's type.
func isNamed(v Payload, name xml.Name) bool {
	if m, ok := v.(Versioned); ok {
		return slices.Contains(m.PayloadNames(), name)
	}
	return v.PayloadName() == name
}

// Check reports whether T's struct tags are within what package xmltree reads and writes.
func Check[T Payload]() error {
	if t := reflect.TypeFor[T](); t.Kind() == reflect.Pointer {
		return fmt.Errorf("stanza: payload type %s is a pointer; payloads are values", t)
	}
	return xmltree.Check(reflect.TypeFor[T]())
}

// As returns p under another of its names: an answer in the version of the question.
func As(name xml.Name, p Payload) Payload {
	if p == nil || p.PayloadName() == name {
		return p
	}
	return renamed{p, name}
}

type renamed struct {
	Payload
	name xml.Name
}

func (r renamed) PayloadName() xml.Name { return r.name }

// Element returns a payload as an element. A received payload is returned as it is, any other is encoded and read.
func Element(p Payload) (xmltree.Element, error) {
	switch p := p.(type) {
	case nil:
		return xmltree.Element{}, ErrNoPayload
	case *xmltree.Element:
		return *p, nil
	case xmltree.Element:
		return p, nil
	}
	enc := xmltree.NewEncoder(nil, "")
	EncodePayload(enc, p)
	if err := enc.Err(); err != nil {
		return xmltree.Element{}, err
	}
	return xmltree.Parse(enc.Bytes(), xmltree.Limits{})
}

// EncodePayload writes a payload with all its content.
func EncodePayload(enc *xmltree.Encoder, p Payload) {
	switch p := p.(type) {
	case nil:
		enc.Fail(ErrNoPayload)
	case *xmltree.Element:
		enc.Element(*p)
	case xmltree.Element:
		enc.Element(p)
	case renamed:
		enc.Value(p.name, p.Payload)
	default:
		enc.Value(p.PayloadName(), p)
	}
}
