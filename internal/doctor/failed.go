package doctor

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/stanza"
)

// failed says why there is no session.
func (e *examination) failed(ctx context.Context, err error) {
	f := Finding{Step: StepLink, Verdict: Fail, Summary: err.Error()}
	var le *linkError
	var ce *component.Error
	if errors.As(err, &le) && errors.As(err, &ce) {
		switch {
		case ce.Stage == component.StageTLS:
			e.tlsFailed(ctx, &f, ce.Err, le.heard)
		default:
			e.streamFailed(ctx, &f, ce, le.heard)
		}
	}
	e.add(f)
}

// tlsFailed says why TLS could not be negotiated.
func (e *examination) tlsFailed(ctx context.Context, f *Finding, err error, heard []byte) {
	f.Step = StepTLS
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		f.Summary = "the server's certificate comes from an authority that this machine does not trust"
		f.Remedy = "Give the authority's certificate as component.tls_ca."
	case errors.As(err, &name):
		f.Summary = fmt.Sprintf("the server's certificate is for another name than %s", name.Host)
		f.Remedy = "Set component.tls_name to the name in the certificate, or component.address to the server's name."
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		f.Summary = "the server's certificate has expired, or a clock is wrong"
		f.Remedy = "Renew the server's certificate."
	case len(heard) > 0 && heard[0] == '<', len(heard) == 0 && e.speaksXML(ctx):
		f.Summary = "the server speaks no TLS on this port, and component.tls is set"
		f.Remedy = "Set component.tls to false, or have ejabberd speak TLS there (Prosody cannot):\n\n" + e.ejabberdTLS()
	case len(heard) > 0:
		f.Summary, f.Remedy = e.stranger(heard)
	case timedOut(err):
		f.Summary, f.Remedy = e.silent()
	default:
		f.Summary = "the server ends the connection during the TLS handshake: " + err.Error()
		f.Remedy = "Look into the server's log. An ejabberd listener needs a certfile of its own for tls: true:\n\n" + e.ejabberdTLS()
	}
}

// streamFailed says why the stream could not be opened.
func (e *examination) streamFailed(ctx context.Context, f *Finding, ce *component.Error, heard []byte) {
	domain := e.cfg.Component.Domain
	var se *stanza.StreamError
	switch {
	case bytes.Contains(heard, []byte("jabber:client")), bytes.Contains(heard, []byte("jabber:server")), errors.Is(ce, component.ErrBadHeader),
		errors.Is(ce, stanza.StreamInvalidNamespace), errors.Is(ce, stanza.StreamUnsupportedStanzaType):
		f.Summary = "this is an XMPP server's port, and not the one for components"
		f.Remedy = "Clients and other servers have ports of their own, 5222 and 5269 as a rule; that for components is 5347.\n\n" + e.listen()
	case errors.Is(ce, stanza.StreamHostUnknown):
		e.report.Refused = true
		f.Summary = fmt.Sprintf("the server knows no component %s", domain)
		f.Remedy = "Add the component to the server, or correct component.domain.\n\n" + e.listen()
	case errors.Is(ce, stanza.StreamNotAuthorized):
		e.report.Refused = true
		f.Summary = "the server does not take the secret (ejabberd says the same of a domain that it does not know)"
		f.Remedy = fmt.Sprintf("Give both sides the same secret for %s.\n\n", domain) + e.listen()
	case errors.Is(ce, stanza.StreamConflict):
		f.Summary = fmt.Sprintf("the server already has a link for %s, or serves that name itself", domain)
		f.Remedy = "If the gateway is running, that is its link, and all is well: stop it to check the rest. Otherwise something else uses\n" +
			"its name, or the server has not yet noticed that an old link is dead. To have Prosody prefer the newer link:\n\n" +
			indent(fmt.Sprintf("Component %q\n    component_conflict_resolve = \"kick_old\"\n", domain))
	case ce.Stage == component.StageHeader && (len(heard) > 0 && isTLS(heard) || len(heard) == 0 && !timedOut(ce) && e.speaksTLS(ctx)):
		f.Step = StepTLS
		f.Summary = "the server speaks TLS on this port, and component.tls is not set"
		f.Remedy = "Set component.tls to true, and component.tls_ca if the certificate comes from an authority of your own."
	case ce.Stage == component.StageHeader && len(heard) > 0 && heard[0] != '<':
		f.Summary, f.Remedy = e.stranger(heard)
	case timedOut(ce):
		f.Summary, f.Remedy = e.silent()
	case errors.As(ce, &se):
		f.Summary = "the server ends the stream: " + se.Error()
		f.Remedy = "Look into the server's log."
	default:
		f.Summary = "the server ends the connection without a word: " + ce.Error()
		f.Remedy = "Look into the server's log. Some servers do that to addresses that they do not allow."
	}
}

// silent is what is said of a peer that says nothing.
func (e *examination) silent() (summary, remedy string) {
	return fmt.Sprintf("the peer takes the connection and says nothing for %v", e.cfg.Timeout),
		"It hangs, or it is no XMPP server: see what listens on that port, and restart it."
}

// stranger is what is said of a peer that speaks something else.
func (e *examination) stranger(heard []byte) (summary, remedy string) {
	const shown = 64
	what := fmt.Sprintf("it says %q", heard[:min(len(heard), shown)])
	switch {
	case isTLS(heard):
		what = "it speaks TLS, of a version or kind that we do not"
	case bytes.HasPrefix(heard, []byte("HTTP/")):
		what = "it speaks HTTP"
	case bytes.HasPrefix(heard, []byte("SSH-")):
		what = "it speaks SSH"
	}
	return "this is not an XMPP server's port: " + what, "Correct component.address.\n\n" + e.listen()
}

// isTLS reports whether the bytes begin a TLS record: an alert or a handshake.
func isTLS(b []byte) bool {
	const alert, handshake, major = 21, 22, 3
	return len(b) > 1 && (b[0] == alert || b[0] == handshake) && b[1] == major
}

// speaksTLS reports whether the port negotiates TLS, whatever its certificate.
func (e *examination) speaksTLS(ctx context.Context) bool {
	spoke := false
	err := e.probe(ctx, func(ctx context.Context, conn net.Conn) error {
		ears := new(ears)
		cfg := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // nothing is sent; it is only to see what the port speaks
		err := tls.Client(ears.on(conn), cfg).HandshakeContext(ctx)
		spoke = err == nil || isTLS(ears.heard())
		return err
	})
	return err == nil || spoke
}

// speaksXML reports whether the port answers a stream header with XML.
func (e *examination) speaksXML(ctx context.Context) bool {
	first := make([]byte, 1)
	err := e.probe(ctx, func(_ context.Context, conn net.Conn) error {
		header := xmlstream.Header{Content: component.NS, To: e.cfg.Component.Domain.String()}
		if _, err := conn.Write(header.Append(nil)); err != nil {
			return err
		}
		_, err := conn.Read(first)
		return err
	})
	return err == nil && first[0] == '<'
}

// probe has f try something with a connection of its own.
func (e *examination) probe(ctx context.Context, f func(ctx context.Context, conn net.Conn) error) error {
	const patience = 3 * time.Second
	ctx, cancel := context.WithTimeout(ctx, min(patience, e.cfg.Timeout))
	defer cancel()
	network, _, addr := e.target()
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer func() { _ = conn.Close() }()
	return f(ctx, conn)
}
