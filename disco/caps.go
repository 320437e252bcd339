package disco

import (
	"crypto/sha1" //nolint:gosec // XEP-0115 section 9.1 demands SHA-1
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"

	"github.com/postern-im/postern/xep/form"
)

// NSCaps is the namespace of entity capabilities, and a feature (XEP-0115 v1.6).
const NSCaps = "http://jabber.org/protocol/caps"

// HashSHA1 is the hash that everybody knows (XEP-0115 section 9.1). [Caps.Verify] also knows sha-224, sha-256, sha-384 and
// sha-512.
const HashSHA1 = "sha-1"

// Errors of [Hash] and [Caps.Verify].
var (
	// ErrUnknownHash is capabilities with a hash that we don't know, or in the format from before version 1.4, without one.
	ErrUnknownHash = errors.New("disco: unknown hash of capabilities")
	// ErrIllFormed is an answer that has something twice, or that has the same hash as another answer could have, since
	// XEP-0115 runs everything together (its section 9.3).
	ErrIllFormed = errors.New("disco: answer unfit for a hash")
	// ErrMismatch is an answer that is not the one which was announced.
	ErrMismatch = errors.New("disco: answer does not have the hash that was announced")
)

// Caps announces in presence what the sender is and can do (XEP-0115 section 4).
type Caps struct {
	Hash string `xml:"hash,attr,omitempty"` // name of the hash; empty in the format from before version 1.4
	Node string `xml:"node,attr"`           // URI of the software
	Ver  string `xml:"ver,attr"`            // hash of the Info
	Ext  string `xml:"ext,attr,omitempty"`  // of the format from before version 1.4
}

// PayloadName implements stanza.Payload.
func (Caps) PayloadName() xml.Name { return xml.Name{Space: NSCaps, Local: "c"} }

// InfoNode returns the node at which the Info is asked for (XEP-0115 section 6.2).
func (c Caps) InfoNode() string { return c.Node + "#" + c.Ver }

// Verify reports whether info is what c announces. Only then may it be taken for what others announce with the same hash.
func (c Caps) Verify(info Info) error {
	ver, err := Hash(c.Hash, info)
	if err != nil {
		return err
	}
	if ver != c.Ver { // guard: SEC-64
		return ErrMismatch
	}
	return nil
}

// Hash returns the verification string of an answer (XEP-0115 section 5.1). name is that of the hash, such as [HashSHA1].
//
// It refuses what XEP-0115 section 5.4 calls ill-formed, and what looks like the parts of another answer put together in
// another way. That may hit an honest answer, of which then nothing is lost but the sharing.
func Hash(name string, info Info) (string, error) {
	h := newHash(name)
	if h == nil {
		return "", fmt.Errorf("%w: %q", ErrUnknownHash, name)
	}
	parts, err := verParts(info)
	if err != nil {
		return "", err
	}
	for _, p := range parts {
		if strings.Contains(p, "<") { // guard: SEC-64
			return "", illFormed("%q holds a separator", p)
		}
		h.Write([]byte(p))
		h.Write([]byte{'<'})
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil)), nil
}

func newHash(name string) hash.Hash {
	switch name {
	case HashSHA1:
		return sha1.New() //nolint:gosec // XEP-0115 section 9.1 demands SHA-1
	case "sha-224":
		return sha256.New224()
	case "sha-256":
		return sha256.New()
	case "sha-384":
		return sha512.New384()
	case "sha-512":
		return sha512.New()
	}
	return nil
}

func illFormed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrIllFormed, fmt.Sprintf(format, args...))
}

// verParts returns what the hash is made of, in order.
func verParts(info Info) ([]string, error) {
	ids, features := slices.Clone(info.Identities), slices.Clone(info.Features)
	slices.SortFunc(ids, Identity.compare)
	slices.Sort(features)
	var parts []string
	for i, id := range ids {
		switch {
		case i > 0 && id == ids[i-1]: // guard: SEC-64
			return nil, illFormed("identity %s/%s twice", id.Category, id.Type)
		case !isToken(id.Category) || !isToken(id.Type) || id.Lang != "" && !isToken(id.Lang): // guard: SEC-64
			return nil, illFormed("identity %q/%q/%q", id.Category, id.Type, id.Lang)
		}
		parts = append(parts, id.Category+"/"+id.Type+"/"+id.Lang+"/"+id.Name)
	}
	for i, f := range features {
		switch {
		case i > 0 && f == features[i-1]: // guard: SEC-64
			return nil, illFormed("feature %q twice", f)
		case f == "" || likeIdentity(f): // guard: SEC-64
			return nil, illFormed("feature %q", f)
		}
		parts = append(parts, f)
	}
	forms, err := formParts(info.Forms)
	if err != nil {
		return nil, err
	}
	return append(parts, forms...), nil
}

// isToken reports whether s can be a category, a type or a language: short words. A namespace is none, so no feature can be
// passed off as an identity.
func isToken(s string) bool {
	return s != "" && !strings.ContainsAny(s, "/:< ")
}

// likeIdentity reports whether an identity could be written like this feature. A namespace that is a URI has a colon before
// its slashes.
func likeIdentity(feature string) bool {
	scheme, _, _ := strings.Cut(feature, "/")
	return strings.Count(feature, "/") >= 3 && !strings.Contains(scheme, ":")
}

// likeFeature reports whether a field has a name like a namespace. XEP-0068 section 3.4 puts those in braces.
func likeFeature(name string) bool {
	return strings.Contains(name, ":") && !strings.HasPrefix(name, "{")
}

// formParts returns what the hash is made of for the forms. Forms without FORM_TYPE do not count (XEP-0115 section 5.4).
func formParts(forms []form.Form) ([]string, error) {
	type typed struct {
		formType string
		fields   form.Fields
	}
	var all []typed
	for _, f := range forms {
		field, ok := f.Fields.Get(form.FormTypeVar)
		if !ok || field.Type != form.FieldHidden {
			continue
		}
		others := slices.DeleteFunc(slices.Clone(f.Fields), func(f form.Field) bool { return f.Var == form.FormTypeVar })
		if len(slices.Compact(slices.Clone(field.Values))) != 1 || len(others) != len(f.Fields)-1 { // guard: SEC-64
			return nil, illFormed("FORM_TYPE is %q", field.Values)
		}
		all = append(all, typed{field.Value(), others})
	}
	slices.SortFunc(all, func(a, b typed) int { return strings.Compare(a.formType, b.formType) })
	var parts []string
	for i, f := range all {
		if i > 0 && f.formType == all[i-1].formType { // guard: SEC-64
			return nil, illFormed("form %q twice", f.formType)
		}
		parts = append(parts, f.formType)
		if len(f.fields) == 0 { // guard: SEC-64
			return nil, illFormed("form %q without fields, which could be a feature", f.formType)
		}
		slices.SortStableFunc(f.fields, func(a, b form.Field) int { return strings.Compare(a.Var, b.Var) })
		for j, field := range f.fields {
			switch {
			case j > 0 && field.Var == f.fields[j-1].Var: // guard: SEC-64
				return nil, illFormed("field %q of form %q twice", field.Var, f.formType)
			case len(field.Values) == 0 || likeFeature(field.Var): // guard: SEC-64
				return nil, illFormed("field %q of form %q without value, or named like a feature", field.Var, f.formType)
			}
			parts = append(parts, field.Var)
			parts = append(parts, slices.Sorted(slices.Values(field.Values))...)
		}
	}
	return parts, nil
}
