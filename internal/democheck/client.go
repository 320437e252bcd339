package democheck

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/xdg-go/scram"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

const (
	nsTLS  = "urn:ietf:params:xml:ns:xmpp-tls"  // RFC 6120 section 5
	nsSASL = "urn:ietf:params:xml:ns:xmpp-sasl" // RFC 6120 section 6
	nsBind = "urn:ietf:params:xml:ns:xmpp-bind" // RFC 6120 section 7
)

// client is one session of a user.
type client struct {
	conn      net.Conn
	p         *xmltree.Parser
	to        string // the server's domain
	jid       jid.JID
	mechanism string
	stop      func() bool
}

// login connects, negotiates TLS, authenticates and binds a resource. The connection ends with ctx.
func login(ctx context.Context, t Target, roots *x509.CertPool) (_ *client, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", t.Addr)
	if err != nil {
		return nil, err
	}
	raw := conn
	c := &client{conn: conn, to: t.User.Domain(), stop: context.AfterFunc(ctx, func() { _ = raw.Close() })}
	defer func() {
		if err != nil {
			c.stop()
			_ = raw.Close()
		}
	}()
	features, err := c.open()
	if err != nil {
		return nil, err
	}
	if err := c.startTLS(ctx, features, roots); err != nil {
		return nil, err
	}
	if features, err = c.open(); err != nil {
		return nil, err
	}
	if err := c.authenticate(features, t.User.Local(), t.Password); err != nil {
		return nil, err
	}
	if _, err = c.open(); err != nil {
		return nil, err
	}
	var b bound
	if err := c.askSet(bind{}, &b); err != nil {
		return nil, fmt.Errorf("bind: %w", err)
	}
	c.jid = b.JID
	return c, c.send(&stanza.Presence{})
}

// open begins a stream and returns the server's features.
func (c *client) open() (xmltree.Element, error) {
	const patience = 20 * time.Second
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return xmltree.Element{}, err
	}
	c.p = xmltree.NewParser(xmltree.Config{ContentNS: stanza.NS, ContentAs: stanza.NS})
	header := xmlstream.Header{Content: stanza.NS, To: c.to, Version: "1.0"}
	if _, err := c.conn.Write(header.Append(nil)); err != nil {
		return xmltree.Element{}, err
	}
	if tok, err := c.next(); err != nil || tok != xmltree.TokenOpen {
		return xmltree.Element{}, errors.Join(errors.New("no stream header"), err)
	}
	return c.expect(stanza.NSStream, "features")
}

// next reads up to the next token.
func (c *client) next() (xmltree.Token, error) {
	for {
		tok, err := c.p.Next()
		if err != nil || tok != xmltree.TokenNone {
			return tok, err
		}
		if n, err := c.p.Fill(c.conn); n == 0 && err != nil {
			return tok, err
		}
	}
}

// element reads one element. A stream error is an error.
func (c *client) element() (xmltree.Element, error) {
	tok, err := c.next()
	switch {
	case err != nil:
		return xmltree.Element{}, err
	case tok != xmltree.TokenElement:
		return xmltree.Element{}, errors.New("the server ends the stream")
	}
	el := c.p.Element().Clone()
	if el.Is(stanza.NSStream, "error") {
		return el, stanza.ParseStreamError(el)
	}
	return el, nil
}

func (c *client) expect(space, local string) (xmltree.Element, error) {
	el, err := c.element()
	if err == nil && !el.Is(space, local) {
		err = fmt.Errorf("%s in place of %s: %s", el.Name().Local, local, el)
	}
	return el, err
}

// write writes an element with text and perhaps an attribute.
func (c *client) write(space, local, attr, value, text string) error {
	enc := xmltree.NewEncoder(nil, stanza.NS)
	enc.Start(xml.Name{Space: space, Local: local})
	if attr != "" {
		enc.Attr(attr, value)
	}
	enc.Text(text)
	enc.End()
	if err := enc.Err(); err != nil {
		return err
	}
	_, err := c.conn.Write(enc.Bytes())
	return err
}

func (c *client) startTLS(ctx context.Context, features xmltree.Element, roots *x509.CertPool) error {
	if _, ok := features.Child(nsTLS, "starttls"); !ok {
		return errors.New("the server offers no TLS")
	}
	if err := c.write(nsTLS, "starttls", "", "", ""); err != nil {
		return err
	}
	if _, err := c.expect(nsTLS, "proceed"); err != nil {
		return err
	}
	if len(c.p.Buffered()) > 0 { // it would count as sent inside TLS
		return errors.New("the server sends more before TLS")
	}
	t := tls.Client(c.conn, &tls.Config{RootCAs: roots, ServerName: c.to, MinVersion: tls.VersionTLS12})
	if err := t.HandshakeContext(ctx); err != nil {
		return err
	}
	c.conn = t
	return nil
}

// authenticate proves the password by SCRAM, and demands that the server proves that it knows it, too.
func (c *client) authenticate(features xmltree.Element, user, password string) error {
	mechanisms, _ := features.Child(nsSASL, "mechanisms")
	offered := make(map[string]bool)
	for m := range mechanisms.Children() {
		offered[m.Text()] = true
	}
	hash := scram.SHA256
	switch {
	case offered["SCRAM-SHA-256"]:
		c.mechanism = "SCRAM-SHA-256"
	case offered["SCRAM-SHA-1"]:
		c.mechanism, hash = "SCRAM-SHA-1", scram.SHA1
	default:
		return errors.New("the server offers no SCRAM")
	}
	scr, err := hash.NewClient(user, password, "")
	if err != nil {
		return err
	}
	conv := scr.NewConversation()
	first, err := conv.Step("")
	if err != nil {
		return err
	}
	if err := c.write(nsSASL, "auth", "mechanism", c.mechanism, base64.StdEncoding.EncodeToString([]byte(first))); err != nil {
		return err
	}
	for {
		el, err := c.element()
		if err != nil {
			return err
		}
		data, err := base64.StdEncoding.DecodeString(el.Text())
		switch {
		case err != nil:
			return err
		case el.Is(nsSASL, "challenge"):
			answer, err := conv.Step(string(data))
			if err != nil {
				return err
			}
			if err := c.write(nsSASL, "response", "", "", base64.StdEncoding.EncodeToString([]byte(answer))); err != nil {
				return err
			}
		case el.Is(nsSASL, "success"):
			if _, err := conv.Step(string(data)); err != nil {
				return err
			}
			if !conv.Valid() {
				return errors.New("the server does not know the password itself")
			}
			return nil
		default:
			return fmt.Errorf("refused: %s", el)
		}
	}
}

// bind asks for a resource.
type bind struct{}

// PayloadName implements stanza.Payload.
func (bind) PayloadName() xml.Name { return xml.Name{Space: nsBind, Local: "bind"} }

// bound is the answer.
type bound struct {
	JID jid.JID `xml:"jid"`
}

func (c *client) send(s stanza.Stanza) error {
	data, err := stanza.Append(nil, s)
	if err != nil {
		return err
	}
	_, err = c.conn.Write(data)
	return err
}

// receive reads one stanza.
func (c *client) receive() (stanza.Stanza, error) {
	el, err := c.element()
	if err != nil {
		return nil, err
	}
	return stanza.Parse(el)
}

// ask sends a request of type get and decodes the answer into v, if that is not nil.
func (c *client) ask(to jid.JID, p stanza.Payload, v any) error {
	return c.request(&stanza.IQ{Header: stanza.Header{To: to}, Type: stanza.IQGet, Payload: p}, v)
}

func (c *client) askSet(p stanza.Payload, v any) error {
	return c.request(&stanza.IQ{Type: stanza.IQSet, Payload: p}, v)
}

func (c *client) request(iq *stanza.IQ, v any) error {
	iq.ID = rand.Text()
	if err := c.send(iq); err != nil {
		return err
	}
	for {
		s, err := c.receive()
		if err != nil {
			return err
		}
		answer, ok := s.(*stanza.IQ)
		switch {
		case !ok || answer.ID != iq.ID || answer.IsRequest():
		case answer.Failure() != nil:
			return answer.Failure()
		case v == nil:
			return nil
		case answer.Payload == nil:
			return stanza.ErrNoPayload
		default:
			el, err := stanza.Element(answer.Payload)
			if err != nil {
				return err
			}
			return xmltree.Unmarshal(el, v)
		}
	}
}

// close ends the stream in order.
func (c *client) close() error {
	defer c.stop()
	defer func() { _ = c.conn.Close() }()
	_, err := c.conn.Write([]byte(xmlstream.Close))
	return err
}
