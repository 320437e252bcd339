package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/postern-im/postern/internal/wsstream"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/xmltree"
)

// maxHostMeta bounds what a domain says of itself, in bytes.
const maxHostMeta = 64 << 10

// maxHops bounds how often the question is sent elsewhere.
const maxHops = 3

// relWebSocket marks a link to a WebSocket (XEP-0156 v1.4.0).
const relWebSocket = "urn:xmpp:alt-connections:websocket"

// isURL reports whether an address is that of a WebSocket.
func isURL(addr string) bool {
	return strings.HasPrefix(addr, "wss://") || strings.HasPrefix(addr, "ws://")
}

// parseURL reads the address of a WebSocket.
func parseURL(addr string, insecure bool) (target, error) {
	u, err := url.Parse(addr)
	if err != nil {
		return target{}, fmt.Errorf("client: address: %w", err)
	}
	to := target{host: u.Hostname(), port: u.Port(), direct: u.Scheme == "wss", url: u.String()}
	switch {
	case to.host == "" || u.User != nil || u.Fragment != "" || u.Opaque != "":
		return target{}, fmt.Errorf("client: address %q is not wss://host/path", addr)
	case to.direct:
	case u.Scheme != "ws":
		return target{}, fmt.Errorf("client: address %q is not wss://host/path", addr)
	case !insecure:
		return target{}, fmt.Errorf("client: address %q is not encrypted; set Insecure if that is meant", addr)
	}
	if to.port == "" {
		to.port = map[bool]string{true: "443", false: "80"}[to.direct]
	}
	t, err := parseTarget(to.addr(), to.direct)
	if err != nil {
		return target{}, err
	}
	t.url = to.url
	return t, nil
}

// seeOther returns where a server sends us by a URI (RFC 7395 section 3.6.1): to another encrypted WebSocket, or nowhere.
func seeOther(uri string) *target {
	to, err := parseURL(uri, false)
	if err != nil {
		return nil
	}
	return &to
}

// webSocket makes a WebSocket over the connection.
func (l *link) webSocket(ctx context.Context) error {
	if l.to.direct {
		if err := l.handshake(ctx); err != nil {
			return err
		}
	} else {
		l.c.log.Error("INSECURE: the WebSocket is not encrypted, whoever sits between reads and writes everything", zap.String("server", l.to.addr()))
	}
	l.stage = StageStream
	conn, err := wsstream.Dial(ctx, l.conn, l.to.url)
	if err != nil {
		return err
	}
	l.conn = conn
	return nil
}

// unbindable reports whether a server offers nothing to bind to behind a WebSocket, where somebody else often ends TLS. To insist that we
// could ("y", RFC 5802 section 6) would detect an offer that was cut short, but ejabberd 24.12, which offers binding over TCP alone, refuses
// whoever does so.
func (l *link) unbindable(offer sasl.Offer) bool {
	plus := func(m string) bool { return strings.HasSuffix(m, "-PLUS") }
	return l.to.url != "" && len(offer.Bindings) == 0 && len(offer.FAST) == 0 && !slices.ContainsFunc(offer.Mechanisms, plus)
}

// discover asks the account's domain where its WebSockets are (XEP-0156 section 4): over HTTPS alone, so that whoever answers has the
// domain's certificate.
func (c *Client) discover(ctx context.Context) ([]target, error) {
	var problems []error
	for _, ask := range []struct {
		path  string
		links func(document []byte) ([]string, error)
	}{{"host-meta", linksOfXRD}, {"host-meta.json", linksOfJRD}} {
		document, err := c.hostMeta(ctx, ask.path)
		var links []string
		if err == nil {
			links, err = ask.links(document)
		}
		var all []target
		for _, link := range links {
			if to, err := parseURL(link, false); err == nil && len(all) < maxTargets {
				all = append(all, to)
			}
		}
		if len(all) > 0 {
			return all, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", ErrHostMeta, ctx.Err())
		}
		problems = append(problems, err)
	}
	return nil, fmt.Errorf("%w: %w", ErrHostMeta, errors.Join(problems...))
}

// hostMeta fetches one of the documents in which a domain speaks of itself (RFC 6415).
func (c *Client) hostMeta(ctx context.Context, path string) ([]byte, error) {
	transport := &http.Transport{DialContext: c.cfg.Dial, MaxResponseHeaderBytes: maxHostMeta, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	if c.cfg.TLS != nil {
		transport.TLSClientConfig = c.cfg.TLS.Clone()
		transport.TLSClientConfig.ServerName = "" // that of the URL
		transport.TLSClientConfig.NextProtos = nil
	}
	hc := &http.Client{Transport: transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if r.URL.Scheme != "https" || len(via) > maxHops {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	host := c.serverName
	if strings.Contains(host, ":") {
		host = net.JoinHostPort(host, "443")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, (&url.URL{Scheme: "https", Host: host, Path: "/.well-known/" + path}).String(), nil)
	if err != nil {
		return nil, err
	}
	reply, err := hc.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = reply.Body.Close() }()
	if reply.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", r.URL, reply.Status)
	}
	document, err := io.ReadAll(io.LimitReader(reply.Body, maxHostMeta+1))
	if err == nil && len(document) > maxHostMeta {
		err = fmt.Errorf("%s: more than %d bytes", r.URL, maxHostMeta)
	}
	return document, err
}

// linksOfXRD returns the addresses in a document in XML.
func linksOfXRD(document []byte) ([]string, error) {
	const ns = "http://docs.oasis-open.org/ns/xri/xrd-1.0"
	el, err := xmltree.Parse(document, xmltree.Limits{Bytes: maxHostMeta})
	if err != nil {
		return nil, err
	}
	var all []string
	for c := range el.Children() {
		if el.Is(ns, "XRD") && c.Is(ns, "Link") && c.Attr("rel") == relWebSocket {
			all = append(all, strings.Clone(c.Attr("href")))
		}
	}
	return all, nil
}

// linksOfJRD returns the addresses in a document in JSON.
func linksOfJRD(document []byte) ([]string, error) {
	var d struct {
		Links []struct{ Rel, Href string }
	}
	if err := json.Unmarshal(document, &d); err != nil {
		return nil, err
	}
	var all []string
	for _, l := range d.Links {
		if l.Rel == relWebSocket {
			all = append(all, l.Href)
		}
	}
	return all, nil
}
