package outbox

import (
	"bytes"
	"errors"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/xmltree"
)

// decoder reads stanzas as rows have them. It is a parser of a stream in which each row is one stanza.
type decoder struct {
	box *Outbox
	p   *xmltree.Parser // nil before the first row, and after one that was none
	in  bytes.Reader
}

// decode returns the stanza of a row. An error means that it never can be sent.
func (d *decoder) decode(row *storage.OutboxRow) (stanza.Stanza, error) {
	s, err := d.parse(row.Stanza)
	if err != nil {
		d.p = nil // whatever it has left there is none of the next one's
		return nil, err
	}
	h := s.Head()
	h.ID = row.ID // guard: FLT-22
	if h.From.IsZero() {
		return nil, errors.New("no from")
	}
	return s, d.box.checkHeader(s, h)
}

// parse returns the only stanza of this XML.
func (d *decoder) parse(text []byte) (s stanza.Stanza, err error) {
	if d.p == nil {
		d.p = xmltree.NewParser(xmltree.Config{Limits: xmltree.Limits{Bytes: storage.MaxStanza, Skip: -1}})
		if err := d.read([]byte("<rows>"), func(xmltree.Element) error { return nil }); err != nil {
			return nil, err
		}
	}
	err = d.read(text, func(el xmltree.Element) error {
		s, err = stanza.Parse(el)
		return err
	})
	return s, err
}

// read gives the parser one piece, which must be one element, or the start of the stream, and nothing else.
func (d *decoder) read(text []byte, take func(xmltree.Element) error) error {
	d.in.Reset(text)
	tokens := 0
	for {
		switch tok, err := d.p.Next(); {
		case err != nil:
			return err
		case tok == xmltree.TokenNone && d.in.Len() == 0:
			if tokens != 1 || d.p.Depth() != 1 || len(d.p.Buffered()) > 0 {
				return errors.New("not one whole element")
			}
			return nil
		case tok == xmltree.TokenNone:
			if _, err := d.p.Fill(&d.in); err != nil {
				return err
			}
		default:
			if tokens++; tokens > 1 {
				continue
			}
			if err := take(d.p.Element()); err != nil {
				return err
			}
		}
	}
}
