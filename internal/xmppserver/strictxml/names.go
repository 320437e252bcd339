package strictxml

import (
	"encoding/xml"
	"strings"
)

// start checks a start tag and opens its element.
func (c *check) start(tok xml.StartElement, raw []byte) error {
	if c.closed {
		return fault("a second root element: %s", quote(raw))
	}
	el := openElement{raw: rawName(tok.Name)}
	seen := make(map[string]bool)
	for _, a := range tok.Attr {
		name := rawName(a.Name)
		if seen[name] {
			return fault("attribute %q twice in %s", name, quote(raw))
		}
		seen[name] = true
		prefix, declares := a.Name.Local, a.Name.Space == "xmlns"
		if a.Name.Space == "" && a.Name.Local == "xmlns" {
			prefix, declares = "", true
		}
		if !declares {
			continue
		}
		if err := declare(prefix, a.Value); err != nil {
			return err
		}
		if el.binds == nil {
			el.binds = make(map[string]string)
		}
		el.binds[prefix] = a.Value
	}
	c.open = append(c.open, el)
	top := &c.open[len(c.open)-1]
	space, err := c.expand(tok.Name, true)
	if err != nil {
		return err
	}
	top.space = space
	expanded := make(map[xml.Name]bool)
	for _, a := range tok.Attr {
		if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
			continue
		}
		space, err := c.expand(a.Name, false)
		if err != nil {
			return err
		}
		name := xml.Name{Space: space, Local: a.Name.Local}
		if expanded[name] {
			return fault("attribute {%s}%s twice, by two prefixes, in %s", space, a.Name.Local, quote(raw))
		}
		expanded[name] = true
	}
	return c.stream(xml.Name{Space: space, Local: tok.Name.Local}, raw)
}

// end closes an element.
func (c *check) end(name string) error {
	if len(c.open) == 0 || c.open[len(c.open)-1].raw != name {
		return fault("end tag %q does not match", name)
	}
	c.open = c.open[:len(c.open)-1]
	c.closed = len(c.open) == 0
	return nil
}

// declare checks a namespace declaration (Namespaces in XML 1.0 sections 2.2, 3 and 5).
func declare(prefix, uri string) error {
	switch {
	case strings.Contains(prefix, ":"):
		return fault("prefix %q", prefix)
	case prefix == "xmlns", uri == nsXMLNS, (prefix == "xml") != (uri == nsXML):
		return fault("prefix %q bound to %q, one of which is reserved", prefix, uri)
	case prefix != "" && uri == "":
		return fault("prefix %q unbound by an empty name", prefix)
	}
	return nil
}

// expand returns the namespace of a name.
func (c *check) expand(n xml.Name, element bool) (string, error) {
	if strings.Contains(n.Local, ":") {
		return "", fault("name %q", rawName(n))
	}
	if n.Space == "" && !element {
		return "", nil
	}
	if n.Space == "xml" {
		return nsXML, nil
	}
	for i := len(c.open) - 1; i >= 0; i-- {
		if uri, ok := c.open[i].binds[n.Space]; ok {
			return uri, nil
		}
	}
	if n.Space == "" {
		return "", nil
	}
	return "", fault("prefix %q is not declared in %q", n.Space, rawName(n))
}

// stream checks what only XMPP demands of an element that was just opened.
func (c *check) stream(name xml.Name, raw []byte) error {
	switch len(c.open) {
	case 1:
		if name.Space != nsStream || name.Local != "stream" || c.open[0].binds[""] != c.contentNS {
			return fault("stream header %s", quote(raw))
		}
		return nil
	case 2:
		return c.topLevel(name, raw)
	}
	parent := c.open[len(c.open)-2].space
	switch {
	case c.contentNS != nsComponent:
	case name.Space == nsComponent && parent != nsComponent:
		return fault("an element of the stream's namespace inside a payload, where it must be of %s: %s", nsClient, quote(raw))
	case name.Space == nsClient && parent == nsComponent:
		return fault("an element of %s in a stanza of a component's stream: %s", nsClient, quote(raw))
	}
	return nil
}

// topLevel checks a child of the stream's root.
func (c *check) topLevel(name xml.Name, raw []byte) error {
	if c.contentNS != nsComponent {
		if name.Space == nsComponent {
			return fault("a component's element on a client's stream: %s", quote(raw))
		}
		return nil
	}
	switch {
	case name.Space == nsComponent:
		switch name.Local {
		case "message", "presence", "iq", "handshake":
			return nil
		}
	case name.Space == nsStream && name.Local == "error":
		return nil
	}
	return fault("no stanza of a component's stream: %s", quote(raw)) // Prosody refuses jabber:client here
}
