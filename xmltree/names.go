package xmltree

import "encoding/xml"

// Bounds of the name table. A peer that sends ever new names costs allocations, never memory that stays.
const (
	maxNames    = 4096 // names kept; when full, the table starts anew behind the next stanza
	maxNameSize = 64   // a longer local name is not kept
	maxURISize  = 256  // nor is a longer namespace name, with all its local names
)

// names interns expanded names, so that equal names share memory and most nodes need none of their own.
type names struct {
	spaces map[string]*space
	count  int
	recent [256]recentName // where a name is looked for first
}

// space is one namespace with the names seen in it.
type space struct {
	uri   string
	local map[string]*xml.Name // nil where names are not kept
	salt  uint32
}

type recentName struct {
	space *space
	name  *xml.Name
}

func newNames() names { return names{spaces: make(map[string]*space)} }

func (n *names) full() bool { return n.count >= maxNames } // guard: SEC-27 replace: n.count >= maxNames => false

// space returns the namespace of this name.
func (n *names) space(uri []byte) *space {
	if s := n.spaces[string(uri)]; s != nil {
		return s
	}
	s := &space{uri: string(uri)}
	if len(uri) <= maxURISize && !n.full() {
		s.local = make(map[string]*xml.Name)
		n.spaces[s.uri] = s
		n.count++
		s.salt = uint32(n.count) * 31
	}
	return s
}

// name returns the expanded name with this local part, which is not empty.
func (n *names) name(s *space, local []byte) *xml.Name {
	size := len(local)
	h := s.salt + uint32(local[0]) + uint32(local[size/2])<<2 + uint32(local[size-1])<<3 + uint32(size)<<4
	slot := &n.recent[h%uint32(len(n.recent))]
	if slot.space == s && slot.name.Local == string(local) {
		return slot.name
	}
	name := s.local[string(local)]
	if name == nil {
		name = &xml.Name{Space: s.uri, Local: string(local)}
		if s.local == nil || size > maxNameSize || n.full() {
			return name
		}
		s.local[name.Local] = name
		n.count++
	}
	*slot = recentName{s, name}
	return name
}
