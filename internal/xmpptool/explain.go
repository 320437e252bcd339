package xmpptool

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/stanza"
)

// explain says what an error means, and what to do about it.
func explain(err error) problem {
	var p problem
	if errors.As(err, &p) {
		return p
	}
	var end *client.Error
	p = problem{err: err, code: ExitFailure}
	switch {
	case errors.Is(err, context.Canceled):
		p.err = errors.New("interrupted")
	case errors.As(err, &end) && end.Stage == client.StageTLS:
		explainTLS(&p, end.Err)
	case errors.As(err, &end) && (end.Stage == client.StageSignIn || end.Stage == client.StageBind):
		explainSignIn(&p, end.Err)
	case errors.As(err, &end):
		explainLink(&p, end)
	case errors.Is(err, client.ErrStreamLost), errors.Is(err, client.ErrNotConnected):
		p.remedy = "The session ended meanwhile. Try again; the server's log says why it ended."
	}
	return p
}

// explainTLS says why there is no TLS.
func explainTLS(p *problem, err error) {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.Is(err, client.ErrNoTLS):
		p.remedy = "The server must be configured for TLS on this port (or somebody in between has removed the offer).\n" +
			"If the port speaks TLS from the first byte on, give --direct-tls."
	case errors.As(err, &unknown):
		p.err = errors.New("the server's certificate comes from an authority that this machine does not trust")
		p.remedy = "Give the authority's certificate with --ca FILE, or have the server send its intermediate certificates."
	case errors.As(err, &name):
		p.err = fmt.Errorf("the server's certificate is not for %s", clean(name.Host))
		p.remedy = "Whatever DNS says, it must be for the account's own domain. \"xmpp check DOMAIN\" shows whom it is for."
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		p.err = errors.New("the server's certificate has expired or is not valid yet, or a clock is wrong")
		p.remedy = "Renew the server's certificate, and have the server read it again."
	case timedOut(err):
		p.remedy = "The server does not go on with TLS. Is it the right port, and is --direct-tls right for it?"
	default:
		p.remedy = "Is it the right port, and is --direct-tls right for it?"
	}
}

// explainSignIn says why the account is not signed in.
func explainSignIn(p *problem, err error) {
	var refused *client.SignInError
	var none *sasl.RefusedError
	switch {
	case errors.As(err, &refused):
		p.code = ExitRefused
		p.remedy = "Is the password right, and does the account exist? Servers say the same of both."
		if refused.Condition.Temporary() {
			p.remedy = "The server says that this may pass: try again later."
		}
	case errors.As(err, &none):
		p.code = ExitRefused
		if errors.Is(err, sasl.ErrPlaintext) {
			p.remedy = "To show the server the password all the same, add --allow-plain. Better: have the server offer SCRAM."
		}
	case errors.Is(err, sasl.ErrServerUnproven):
		p.code = ExitRefused
		p.remedy = "The server cannot prove that it knows the password: somebody may sit in between. Do not work around this."
	case timedOut(err):
		p.remedy = "The server went silent during the sign-in. Its log may say why; a longer --timeout may help a slow one."
	}
}

// explainLink says why there is no stream, or why there is none any more.
func explainLink(p *problem, end *client.Error) {
	var dns *net.DNSError
	switch {
	case errors.Is(end, client.ErrNoService):
		p.remedy = "The domain's SRV records have the target \".\": it says itself that it has no XMPP service for clients."
	case errors.As(end, &dns):
		p.remedy = "Check the domain's name. \"xmpp check DOMAIN\" shows what DNS says; --server HOST:PORT does without it."
	case errors.Is(end, syscall.ECONNREFUSED):
		p.remedy = "Nothing listens there. Start the server, or say with --server HOST:PORT where it is."
	case errors.Is(end, stanza.StreamHostUnknown):
		p.remedy = "There is a server, and it does not serve the domain: check the address, and the server's configuration."
	case errors.Is(end, client.ErrBadHeader), errors.Is(end, client.ErrClosed) && end.Stage == client.StageStream:
		p.remedy = "Is this the port for clients? 5222 as a rule; for 5223 give --direct-tls."
	case timedOut(end) && end.Stage <= client.StageStream:
		p.remedy = "A firewall may drop the packets, or the server hangs. --timeout waits longer."
	}
}

// timedOut reports whether an error is that of a deadline.
func timedOut(err error) bool {
	var ne net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}
