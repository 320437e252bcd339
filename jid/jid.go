// Package jid holds XMPP addresses: parsing, enforcement and comparison
// (RFC 7622), the addresses that servers route in practice, and the escaping of
// localparts (XEP-0106 v1.1).
//
// An address has two ways in. [Parse] is strict: it is for configuration and
// for everything that we emit, and returns the enforced form. [ParseRouted] is
// for what a server has routed to us: servers let addresses through that
// RFC 7622 forbids, and refusing those would lose stanzas, so it refuses only
// what cannot be an address at all and keeps the text as it came.
//
// Because of that, == compares texts. Use [JID.Equivalent] where the question
// is whether two texts name the same entity.
package jid

import "strings"

// MaxPartLen is the largest size of a localpart, domainpart or resourcepart, in
// bytes (RFC 7622 section 3.1).
const MaxPartLen = 1023

// JID is an XMPP address. It is comparable, a map key, and safe to copy and to
// share. The zero value is no address.
//
// All its parts are substrings of one string, so taking a part or the bare
// address allocates nothing, and keeps that string alive.
type JID struct {
	// s alone determines the offsets: a localpart holds neither '@' nor '/', a
	// domainpart neither of them either, so == on the struct is == on s.
	s         string
	localLen  uint16 // 0 without localpart
	domainEnd uint16 // offset just behind the domainpart
}

// join assembles an address out of parts that hold to the limits already.
func join(local, domain, resource string) JID {
	j := JID{localLen: uint16(len(local)), domainEnd: uint16(len(domain))}
	if local != "" {
		j.domainEnd += uint16(len(local) + 1)
	}
	switch {
	case local != "" && resource != "":
		j.s = local + "@" + domain + "/" + resource
	case local != "":
		j.s = local + "@" + domain
	case resource != "":
		j.s = domain + "/" + resource
	default:
		j.s = domain
	}
	return j
}

// New assembles an address out of its parts, each enforced as by [Parse]. An
// empty local or resource means that the address has no such part. Nothing in
// a part is taken for a separator: an '@' in local is an error. Errors are of
// type *[Error].
func New(local, domain, resource string) (JID, error) {
	var err error
	if local != "" {
		if local, err = enforceLocal(local); err != nil {
			return JID{}, err
		}
	}
	if domain, err = enforceDomain(domain); err != nil {
		return JID{}, err
	}
	if resource != "" {
		if resource, err = enforceResource(resource); err != nil {
			return JID{}, err
		}
	}
	return join(local, domain, resource), nil
}

// Local returns the localpart, or "" where there is none.
func (j JID) Local() string { return j.s[:j.localLen] }

// Domain returns the domainpart. It is empty in the zero value only.
func (j JID) Domain() string { return j.s[j.domainStart():j.domainEnd] }

// Resource returns the resourcepart, or "" where there is none.
func (j JID) Resource() string {
	if !j.IsFull() {
		return ""
	}
	return j.s[int(j.domainEnd)+1:]
}

func (j JID) domainStart() int {
	if j.localLen == 0 {
		return 0
	}
	return int(j.localLen) + 1
}

// Bare returns the address without its resourcepart.
func (j JID) Bare() JID {
	j.s = j.s[:j.domainEnd]
	return j
}

// BareString returns the text of the address without its resourcepart.
func (j JID) BareString() string { return j.s[:j.domainEnd] }

// DomainJID returns the address of the domain alone.
func (j JID) DomainJID() JID {
	domain := j.Domain()
	return JID{s: domain, domainEnd: uint16(len(domain))}
}

// WithResource returns the address with another resourcepart, or without one
// when resource is empty. The resourcepart is enforced as by [Parse], the rest
// stays as it is. It fails on the zero value.
func (j JID) WithResource(resource string) (JID, error) {
	if j.IsZero() {
		return JID{}, newError(Whole, "", ErrEmpty)
	}
	if resource == "" {
		return j.Bare(), nil
	}
	resource, err := enforceResource(resource)
	if err != nil {
		return JID{}, err
	}
	return join(j.Local(), j.Domain(), resource), nil
}

// WithLocal returns the address with another localpart, or without one when
// local is empty. The localpart is enforced as by [Parse], the rest stays as it
// is. It fails on the zero value. To make a localpart out of a name from
// another network use [FromForeign].
func (j JID) WithLocal(local string) (JID, error) {
	if j.IsZero() {
		return JID{}, newError(Whole, "", ErrEmpty)
	}
	if local != "" {
		var err error
		if local, err = enforceLocal(local); err != nil {
			return JID{}, err
		}
	}
	return join(local, j.Domain(), j.Resource()), nil
}

// String returns the text of the address, "" for the zero value. Its parts are
// as they were parsed, so it may hold anything but control characters that XML
// forbids: quote it in logs.
func (j JID) String() string { return j.s }

// IsZero reports whether j is no address.
func (j JID) IsZero() bool { return j.s == "" }

// IsBare reports whether j is an address without resourcepart: of an account or
// a domain.
func (j JID) IsBare() bool { return j.s != "" && len(j.s) == int(j.domainEnd) }

// IsFull reports whether j has a resourcepart.
func (j JID) IsFull() bool { return len(j.s) > int(j.domainEnd) }

// IsDomain reports whether j is a domain alone.
func (j JID) IsDomain() bool { return j.IsBare() && j.localLen == 0 }

// InDomain reports whether the domainpart of j is that of domain, byte for
// byte; a subdomain is another domain. It is false for the zero value.
func (j JID) InDomain(domain JID) bool {
	return j.s != "" && j.Domain() == domain.Domain()
}

// split finds the parts as RFC 7622 section 3.2 orders it: first the first '/',
// then the first '@' before it. The flags tell an empty part from none.
func split(s string) (local, domain, resource string, hasLocal, hasResource bool) {
	domain, resource, hasResource = strings.Cut(s, "/")
	if at := strings.IndexByte(domain, '@'); at >= 0 {
		local, domain, hasLocal = domain[:at], domain[at+1:], true
	}
	return local, domain, resource, hasLocal, hasResource
}
